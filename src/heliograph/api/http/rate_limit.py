"""Rate limit of each key, by a window of one second that begins with its first request.

Known weakness: each API process counts for itself, so n processes behind a balancer let up to n times as many through.
"""

import math
from dataclasses import dataclass

from heliograph.domain.errors import RateLimited
from heliograph.ports.clock import Clock

WINDOW_S = 1.0


@dataclass(slots=True)
class _Window:
    began: float
    used: int


class RateLimit:
    """Counts requests by key. `limit` 0: off."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._windows: dict[int, _Window] = {}

    def count_request(self, key_no: int) -> "RateLimitState | None":
        """Counts one request, and returns None if there is no limit. The caller refuses by `over`."""
        if not self._limit:
            return None
        now = self._clock.monotonic()
        window = self._windows.get(key_no)
        if window is None or now - window.began >= WINDOW_S:
            window = self._windows[key_no] = _Window(now, 0)
        window.used += 1
        left_s = WINDOW_S - (now - window.began)
        reset = math.ceil(self._clock.now_us() / 1_000_000 + left_s)
        return RateLimitState(self._limit, max(self._limit - window.used, 0), reset, window.used > self._limit, left_s)


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """State of a key's window. `reset`: the epoch second at which it has ended."""

    limit: int
    remaining: int
    reset: int
    over: bool
    left_s: float

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset),
        ]

    def refusal(self) -> RateLimited:
        return RateLimited(f"You can only make {self.limit} requests per second", retry_after_s=self.left_s)
