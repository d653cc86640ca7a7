"""Error bodies: every refusal as the contract's JSON, never as HTML and never empty.

Source: contract section 1 ("Error body") and "Client quirks" 1; interface, "HTTP".
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from heliograph.domain.errors import Refusal

_log = structlog.get_logger("heliograph.api")
Headers = list[tuple[bytes, bytes]]


class FieldError(msgspec.Struct, frozen=True):
    message: str
    value: Any = None


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer of 400 and above."""

    code: str
    name: str
    status: int
    message: str
    fields: dict[str, FieldError] = {}


class MethodNotAllowed(Refusal):
    code, name, status = "METHOD_NOT_ALLOWED_ERROR", "Method Not Allowed Error", 405


def error_body(refusal: Refusal) -> bytes:
    body: dict[str, Any] = {
        "code": refusal.code,
        "name": refusal.name,
        "status": refusal.status,
        "message": refusal.message,
        "fields": refusal.fields,
    }
    return msgspec.json.encode(body | refusal.extra)


def log_refusal(refusal: Refusal, method: str, path: str) -> Refusal:
    """Logs at debug which request was refused, but nothing of its content."""
    if _log.is_enabled_for(logging.DEBUG):
        _log.debug(
            "refused", method=method, path=path, status=refusal.status, code=refusal.code, fields=[*refusal.fields]
        )
    return refusal


def headers_of(refusal: Refusal) -> Headers:
    headers: Headers = []
    if refusal.retry_after_s is not None or refusal.status in (429, 503):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after_s or 1))))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def from_status(status: int, detail: str, extra: Mapping[str, Any] | None = None) -> Refusal:
    """Makes the refusal for a status that routing gave, such as 404 or 405."""
    if status == 405:
        return MethodNotAllowed(detail or "This path does not take this method", extra=extra)
    known = {kind.status: kind for kind in _all_refusals(Refusal)}
    return known.get(status, Refusal)(detail, extra=extra)


def _all_refusals(kind: type[Refusal]) -> list[type[Refusal]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _all_refusals(child))]


def internal_error(error: Exception, method: str) -> Refusal:
    """Logs a defect, and returns what the caller is told of it."""
    _log.error("a request ended in a defect", method=method, exc_info=error)
    return Refusal("Internal server error")
