"""Retry policy of deliveries: the next try, the parking beside a stream, and the end of an endpoint.

Pure rules; written by the store in one transaction. Source: queue.md, "Events and who reads them".
The schedule is the one of the Standard Webhooks specification.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

SCHEDULE_S: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
JITTER: Final = 0.2  # of the wait, either way: receivers that failed together do not come back together
PARK_AFTER_TRIES: Final = 3  # then the stream goes on and the delivery retries beside it
MAX_RETRY_AFTER_S: Final = 3600.0
ATTEMPT_LIMIT_S: Final = 15.0
KEEP_BYTES: Final = 65_536
TRIP_AFTER: Final = 5  # failures in a row of one endpoint open its circuit
PROBE_FIRST_S: Final = 5.0
MAX_PROBE_S: Final = 300.0
_MAX_DATE: Final = 64  # characters
DISABLE_AFTER_US: Final = 5 * 86_400 * 1_000_000


class DeliveryOutcome(StrEnum):
    """Outcome of one attempt, in one word. Those of ports.fetch.Failure come through unchanged."""

    DELIVERED = "delivered"  # 2xx
    REDIRECTED = "redirected"  # 3xx: never followed
    REJECTED = "rejected"  # 4xx
    GONE = "gone"  # 410: the receiver wants no more
    THROTTLED = "throttled"  # 429
    SERVER_ERROR = "server_error"  # 5xx
    BAD_ANSWER = "bad_answer"
    FORBIDDEN = "forbidden"  # the URL may not be reached (any more)


def outcome_of_status(status: int) -> DeliveryOutcome:
    if 200 <= status < 300:
        return DeliveryOutcome.DELIVERED
    if 300 <= status < 400:
        return DeliveryOutcome.REDIRECTED
    if status == 410:
        return DeliveryOutcome.GONE
    if status == 429:
        return DeliveryOutcome.THROTTLED
    if 400 <= status < 500:
        return DeliveryOutcome.REJECTED
    return DeliveryOutcome.SERVER_ERROR if 500 <= status < 600 else DeliveryOutcome.BAD_ANSWER


def wait_s(tries: int, schedule: Sequence[float], *, jitter: float, retry_after_s: float | None = None) -> float | None:
    """The wait after the n-th failed try; None: it was the last. `jitter` in [-1, 1].

    >>> wait_s(1, SCHEDULE_S, jitter=0.0)
    5.0
    """
    if tries > len(schedule):
        return None
    planned = schedule[tries - 1] * (1 + JITTER * jitter)
    return max(planned, min(retry_after_s, MAX_RETRY_AFTER_S)) if retry_after_s else planned


def parse_retry_after(text: str | None, *, date: str | None = None, now_us: int = 0) -> float | None:
    """Seconds from now: of a whole number of seconds or an HTTP date; None for anything else, and for what is over.

    A date counts from the `date` that the same answer bears, so that a receiver whose clock is wrong is understood;
    without one from `now_us`. Source: RFC 9110, 10.2.3 and 5.6.7.

    >>> parse_retry_after("Wed, 21 Oct 2026 07:28:30 GMT", date="Wed, 21 Oct 2026 07:28:00 GMT")
    30.0
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 and text.strip("0") else None
    until_s = _http_date_s(text)
    if until_s is None:
        return None
    said_s = _http_date_s((date or "").strip())
    wait = until_s - (now_us / 1_000_000 if said_s is None else said_s)
    return wait if wait > 0 else None


def _http_date_s(text: str) -> float | None:
    """Seconds since 1970 of any of the three spellings that HTTP knows."""
    if not text.isascii() or len(text) > _MAX_DATE:
        return None
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def probe_wait_s(failures: int, *, first_s: float = PROBE_FIRST_S) -> float:
    """Gives the wait of an open circuit before its next probe: 5, 10, 20 … 300 s."""
    return float(min(first_s * 2.0 ** min(max(failures - TRIP_AFTER, 0), 16), MAX_PROBE_S))


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """An endpoint's state. `failures`: in a row. `failing_since_us`: of the first of them."""

    failures: int = 0
    failing_since_us: int | None = None

    @property
    def tripped(self) -> bool:
        return self.failures >= TRIP_AFTER

    def after(self, *, delivered: int, failed: int, probed: bool, now_us: int) -> "EndpointHealth":
        """The state after a batch of attempts; one success among them clears it.

        Many may fail at once; past the trip only the probe counts, so that its wait grows step by step.
        """
        if delivered:
            return EndpointHealth()
        grown = int(probed and failed > 0) if self.tripped else min(failed, TRIP_AFTER - self.failures)
        if not grown:
            return self
        since = self.failing_since_us if self.failing_since_us is not None else now_us
        return EndpointHealth(self.failures + grown, since)

    def hopeless(self, now_us: int) -> bool:
        """Five days of nothing but failures, and more than a few: two that are five days apart are no such sign."""
        lasting = self.failing_since_us is not None and now_us - self.failing_since_us >= DISABLE_AFTER_US
        return self.tripped and lasting
