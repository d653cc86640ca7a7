"""Send options that every sending body may have: priority and expiry."""

from heliograph.domain.errors import invalid
from heliograph.domain.jobs.states import Priority
from heliograph.domain.timestamps import parse_moment

MAX_TTL_S = 365 * 86_400.0
PRIORITIES = {"urgent": Priority.URGENT, "normal": Priority.NORMAL, "bulk": Priority.BULK}


def parse_priority(priority: str | None, default: Priority = Priority.NORMAL) -> Priority:
    """Reads a priority: `urgent` goes before `normal`, `normal` before `bulk`. Raises Invalid."""
    if priority is None:
        return default
    known = PRIORITIES.get(priority)
    if known is None:
        raise invalid("priority", f"priority must be one of {', '.join(PRIORITIES)}", priority)
    return known


def expiry_of(
    ttl_seconds: float | None, expires_at: str | None, now_us: int, *, from_us: int | None = None
) -> int | None:
    """Returns the time (µs) at which an unsent message expires. `from_us`: the start of the ttl. Raises Invalid."""
    if ttl_seconds is not None and expires_at is not None:
        raise invalid("ttl_seconds", "Give either ttl_seconds or expires_at, not both")
    if ttl_seconds is not None:
        return max(from_us or now_us, now_us) + round(checked_ttl(ttl_seconds) * 1_000_000)
    if expires_at is None:
        return None
    at_us = parse_moment(expires_at, "expires_at")
    if at_us <= now_us:
        raise invalid("expires_at", "expires_at lies in the past", expires_at)
    return at_us


def checked_ttl(ttl_seconds: float) -> float:
    if not 0 < ttl_seconds <= MAX_TTL_S:  # a NaN is not either
        raise invalid("ttl_seconds", f"ttl_seconds must be above 0 and at most {MAX_TTL_S:.0f}", ttl_seconds)
    return ttl_seconds
