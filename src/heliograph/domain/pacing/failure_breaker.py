"""Circuit breaker of a phone: too many failures among its last messages pause it.

The breaker never resumes a phone; a person does.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breaker:
    """Trips when at least `failures` of the last `window` messages failed for good, none older than `within_s`."""

    window: int = 20
    failures: int = 10
    within_s: float = 3_600.0


class FailureWatch:
    """Recent outcomes of one phone, as many as the breaker's window."""

    __slots__ = ("_breaker", "_last")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._last: deque[tuple[float, bool]] = deque(maxlen=breaker.window)

    def note(self, now: float, failed: bool) -> bool:
        """Counts an outcome. True: pause the phone now; counting begins anew."""
        self._last.append((now, failed))
        while self._last and now - self._last[0][0] > self._breaker.within_s:
            self._last.popleft()
        if not failed or sum(bad for _, bad in self._last) < self._breaker.failures:
            return False
        self._last.clear()
        return True

    def replay(self, outcomes: Iterable[tuple[float, bool]]) -> None:
        """Adds the outcomes that a former owner saw, oldest first."""
        for at, failed in outcomes:
            self._last.append((at, failed))
