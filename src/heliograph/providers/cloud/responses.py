"""Translation of Graph API answers into outcomes. Pure; never raises, whatever the server sends.

Promise: only an answer that surely says "not sent" becomes anything that is tried again. A 5xx whose error is not in
JSON, a success that cannot be read, and silence are Unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, Scope, SessionDown, Throttled, Unknown
from heliograph.providers.cloud.error_codes import ERROR_RULES, UNKNOWN_4XX, UNKNOWN_5XX, ErrorAction, ErrorRule

MAX_DETAIL = 300
_MAX_WAIT_S = 24 * 3600.0
_GATEWAY = frozenset({502, 504})  # a gateway speaks, whatever it says: what lies behind it may have taken the message


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """Answer of the server: header names in lower case, at most the first megabyte of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class GraphFault:
    """An error in JSON, as Graph spells it."""

    code: int
    message: str
    subcode: int | None = None

    @property
    def row(self) -> ErrorRule | None:
        return ERROR_RULES.get(33 if self.code == 100 and self.subcode == 33 else self.code)


def read_json(body: bytes) -> dict[str, Any] | None:
    """The object in the body; None for anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):  # bad UTF-8 is a ValueError
        return None
    return value if isinstance(value, dict) else None


def read_fault(value: Mapping[str, Any]) -> GraphFault | None:
    """`{"error": {...}}` of an answer, or one entry of a status's `errors`."""
    error = value.get("error", value)
    if not isinstance(error, dict):
        return None
    code = error.get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code)
    if not isinstance(code, int):
        return None
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    said = details or error.get("message") or error.get("title") or ""
    subcode = error.get("error_subcode")
    return GraphFault(code, str(said)[:MAX_DETAIL], subcode if isinstance(subcode, int) else None)


def explain(fault: GraphFault, row: ErrorRule) -> str:
    """Plain words first, then what WhatsApp itself said."""
    said = fault.message.strip().rstrip(".") or "no further words"
    return f"{row.text} WhatsApp says: {said} ({fault.code})."


def outcome_of(answer: GraphAnswer, *, refusals: int = 0, cached_media: bool = False) -> Outcome:
    """`refusals`: how often in a row this chat or phone was told to wait; `cached_media`: an old upload was used."""
    value = read_json(answer.body)
    if 200 <= answer.status < 300:
        return _success(value)
    fault = read_fault(value) if value is not None and "error" in value else None
    if fault is None or answer.status in _GATEWAY:
        return _no_reason(answer)
    row = fault.row or (UNKNOWN_5XX if answer.status >= 500 else UNKNOWN_4XX)
    text = explain(fault, row)
    wait = named_wait_s(answer.headers)
    if wait is None:
        wait = min(row.wait_s * row.grows**refusals, row.wait_max_s)
    match row.means:
        case ErrorAction.RETRY:
            return NotSent(row.code, text, named_wait_s(answer.headers))
        case ErrorAction.RETRY_MEDIA:
            return NotSent("media_again", text) if cached_media else Rejected(row.code, text)
        case ErrorAction.REJECT:
            return Rejected(row.code, text)
        case ErrorAction.WAIT_CHAT:
            return Throttled(row.code, text, wait, Scope.CHAT)
        case ErrorAction.WAIT_PHONE:
            return Throttled(row.code, text, wait, Scope.PHONE)
        case ErrorAction.WAIT_APP:
            return Throttled(row.code, text, wait, Scope.APP)
        case ErrorAction.RESTRICTED:
            return SessionDown(row.code, text, wait)
        case ErrorAction.UNAUTHORIZED:
            return SessionDown(row.code, text)


def _success(value: Mapping[str, Any] | None) -> Outcome:
    messages = value.get("messages") if value is not None else None
    first = messages[0] if isinstance(messages, list) and messages else None
    taken = first.get("id") if isinstance(first, dict) else None
    if isinstance(taken, str) and taken:
        return Accepted(provider_message_id=taken)
    return Unknown("unreadable_answer", "WhatsApp said yes, but its answer could not be read: waiting for its status.")


def _no_reason(answer: GraphAnswer) -> Outcome:
    """An answer that is not Graph's own: of a proxy, a load balancer, or another host altogether."""
    status = answer.status
    if status >= 500 or status in (408, 499):
        return Unknown(
            "lost_answer", f"WhatsApp's servers answered {status} without saying whether they took the message."
        )
    if status == 429:
        wait = named_wait_s(answer.headers)
        return Throttled("throughput", "The server asks to wait (429).", 5.0 if wait is None else wait, Scope.PHONE)
    if status == 413:
        return Rejected("too_large", "The server refused the message as too large (413).")
    text = f"The answer ({status}) is not one of WhatsApp's: check base_url, and any proxy on the way."
    return SessionDown("bad_answer", text, 60.0)


def named_wait_s(headers: Mapping[str, str]) -> float | None:
    """The wait that the answer asks for, in seconds: Retry-After, else the usage headers; None if it names none."""
    named = headers.get("retry-after", "").strip()
    if named.isascii() and named.isdigit():
        return min(float(named), _MAX_WAIT_S)
    minutes = _usage_minutes(headers.get("x-business-use-case-usage", ""))
    return min(minutes * 60.0, _MAX_WAIT_S) if minutes > 0 else None


def _usage_minutes(header: str) -> float:
    """The longest `estimated_time_to_regain_access` (minutes) of all accounts and uses in the header."""
    value = read_json(header.encode()) or {}
    entries = [entry for uses in value.values() if isinstance(uses, list) for entry in uses if isinstance(entry, dict)]
    minutes = [entry.get("estimated_time_to_regain_access", 0) for entry in entries]
    return float(max([m for m in minutes if isinstance(m, int | float)], default=0))
