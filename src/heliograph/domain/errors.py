"""Refusals, as one tree with stable codes. `api` renders these; `cli` maps them to exit codes.

Source: contract section 1 ("Error body", "Error codes/status"); interface, "HTTP".
"""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """A request that cannot be done as asked. Nothing was stored."""

    code = "UNKNOWN_ERROR"
    name = "Unknown Error"
    status = 500

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, Mapping[str, Any]] | None = None,
        retry_after_s: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s
        self.extra = dict(extra or {})


class BadRequest(Refusal):
    code, name, status = "BAD_REQUEST_ERROR", "Bad Request Error", 400


class Unauthorized(Refusal):
    code, name, status = "UNAUTHORIZED_ERROR", "Unauthorized Error", 401


class NotFound(Refusal):
    code, name, status = "NOT_FOUND_ERROR", "Not Found Error", 404


class Conflict(Refusal):
    code, name, status = "CONFLICT_ERROR", "Conflict Error", 409


class PayloadTooLarge(Refusal):
    code, name, status = "PAYLOAD_TOO_LARGE_ERROR", "Payload Too Large Error", 413


class UnsupportedMediaType(Refusal):
    code, name, status = "UNSUPPORTED_MEDIA_TYPE_ERROR", "Unsupported Media Type Error", 415


class Invalid(Refusal):
    """Well-formed, but not acceptable; `fields` names each culprit by its bare name."""

    code, name, status = "VALIDATION_ERROR", "Validation Error", 422


class RateLimited(Refusal):
    code, name, status = "RATE_LIMIT_ERROR", "Rate Limit Error", 429


class Unavailable(Refusal):
    """The store cannot answer now (disk full, database away). The same request may be sent again after a while."""

    code, name, status = "SERVICE_UNAVAILABLE_ERROR", "Service Unavailable Error", 503


class CannotStart(Exception):
    """The program cannot work as it is set up; the text is the one line a person reads. Exit code 1."""


def invalid(field: str, message: str, value: Any = None) -> Invalid:
    """An `Invalid` with one culprit; a value is shown back only if it is short and harmless."""
    shown = value if isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) <= 200) else None
    return Invalid(message, fields={field: {"message": message, "value": shown}})
