"""A moment in time as text: ISO 8601 in, microseconds UTC out, and back."""

from datetime import UTC, datetime, timedelta

from heliograph.domain.errors import invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = 0
_LAST_US = int((datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000


def parse_moment(text: object, field: str) -> int:
    """Microseconds UTC of an ISO time; one without an offset is UTC (contract 2.1). Raises Invalid naming `field`."""
    wrong = invalid(
        field, f"{field} must be a time such as 2026-04-01T14:30:00Z", text if isinstance(text, str) else None
    )
    if not isinstance(text, str) or len(text) < len("2026-04-01T14:30"):
        raise wrong
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        at_us = (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise wrong from None
    if not _FIRST_US <= at_us < _LAST_US:
        raise wrong
    return at_us


def parse_future(text: object, field: str, now_us: int, *, grace_s: float = 0.0) -> int:
    """Parses as `parse_moment`, and refuses the past (clocks that differ by `grace_s` aside)."""
    at_us = parse_moment(text, field)
    if at_us < now_us - int(grace_s * 1e6):
        raise invalid(field, f"{field} lies in the past", text)
    return at_us


def iso(at_us: int) -> str:
    """Formats with milliseconds and Z, as the contract's examples.

    >>> iso(1_775_053_401_279_999)
    '2026-04-01T14:23:21.279Z'
    """
    seconds, rest = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:03d}Z"


def iso_or_none(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)
