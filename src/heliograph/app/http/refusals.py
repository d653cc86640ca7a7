"""Refusals that only a connection gives."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from heliograph.api.http.errors import Headers, error_body, headers_of
from heliograph.domain.errors import Refusal

_END = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"


class RequestTimeout(Refusal):
    code, name, status = "REQUEST_TIMEOUT_ERROR", "Request Timeout Error", 408


class HeadTooLarge(Refusal):
    code, name, status = "REQUEST_HEADER_FIELDS_TOO_LARGE_ERROR", "Request Header Fields Too Large Error", 431


class Refused(Exception):
    """Ends the parser's work from one of its callbacks."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def last_answer(refusal: Refusal, headers: Headers) -> bytes:
    """A whole answer in JSON, after which the connection closes."""
    body = error_body(refusal)
    lines = [b"%b: %b\r\n" % one for one in (*headers, *headers_of(refusal))]
    return b"".join((STATUS_LINE[refusal.status], *lines, _END % len(body), body))
