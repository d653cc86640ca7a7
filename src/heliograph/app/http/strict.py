"""Checks of a request's head beyond those of the parser.

Promise: a head that passes here and the parser is one that h11 accepts with the same framing. tests/app/http compares
the two, and names what is refused although h11 accepts it.
"""

import re
from collections.abc import Sequence

from heliograph.app.http.refusals import HeadTooLarge
from heliograph.domain.errors import BadRequest, PayloadTooLarge

REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-\"$-~]+ HTTP/1\.[01]\r\n")
# fields that decide who asks, for what, or where a body ends: two of one are two readings of one request
SINGLE = frozenset(
    {
        b"authorization",
        b"x-phone",
        b"idempotency-key",
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
    }
)
# of a trailer: fields that would change what was already decided from the head
_NOT_IN_TRAILERS = SINGLE | {b"content-encoding", b"connection", b"cookie", b"expect", b"te", b"trailer", b"upgrade"}
MAX_LENGTH_DIGITS = 18

Headers = Sequence[tuple[bytes, bytes]]


def check_request_line(head: bytes) -> bytes:
    """Checks a complete head before it is parsed, and gives its request line. Raises a Refusal."""
    found = REQUEST_LINE.match(head)
    if found is None:
        raise BadRequest("Invalid HTTP request received: the request line must be METHOD target HTTP/1.1 or HTTP/1.0")
    return found[0]


def body_length(headers: Headers, version: str, max_fields: int) -> int | None:
    """Bytes of the body, None if it comes in chunks. Raises a Refusal for a head that can be read in two ways."""
    if len(headers) > max_fields:
        raise HeadTooLarge(f"The head of a request may have at most {max_fields} fields")
    found = dict(headers)
    if len(found) != len(headers):
        _refuse_repeated(headers)
    if b"host" not in found and version == "1.1":
        raise BadRequest("Invalid HTTP request received: HTTP/1.1 needs a Host header")
    coding, length = found.get(b"transfer-encoding"), found.get(b"content-length")
    if coding is not None:
        if coding.lower() != b"chunked" or length is not None or version != "1.1":
            raise BadRequest(
                "Invalid HTTP request received: Transfer-Encoding must be chunked, without a Content-Length"
            )
        return None
    if length is None:
        return 0
    if len(length) > MAX_LENGTH_DIGITS:
        raise PayloadTooLarge(f"A Content-Length may have at most {MAX_LENGTH_DIGITS} digits")
    if not length.isdigit():
        raise BadRequest("Invalid HTTP request received: Content-Length must be digits")
    return int(length)


def _refuse_repeated(headers: Headers) -> None:
    seen = set()
    for name, _ in headers:
        if name in seen and name in SINGLE:
            raise BadRequest(f"The header {name.decode()} may be given only once")
        seen.add(name)


def check_trailer(name: bytes) -> None:
    """A trailer is read and forgotten; one that acts as a header is refused."""
    if name.lower() in _NOT_IN_TRAILERS:
        raise BadRequest(f"The field {name.decode('latin-1')[:100]} may not come after the body")


def without_upgrade(head: bytes) -> bytes:
    """The head without its Upgrade fields: a server may ignore them, and then the body is read as any other."""
    first, *lines = head.split(b"\r\n")
    return b"\r\n".join([first, *(line for line in lines if line[:8].lower() != b"upgrade:")])
