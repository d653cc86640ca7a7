"""Time and chance, handed in. Tests advance and load them; only the edge reads the machine's."""

from typing import Any, Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds UTC: what is stored and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back: leases, pacing, time-outs within a process."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Chance(Protocol):
    """Dice, handed in: a `random.Random`, or one that a test has loaded."""

    def random(self) -> float:
        """From 0 up to, but without, 1."""
        ...

    def uniform(self, a: float, b: float, /) -> float: ...

    def seed(self, a: Any = ..., /) -> None: ...
