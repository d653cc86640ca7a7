"""Time, handed in. Tests advance it; only the edge reads the machine's."""

from typing import Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds UTC: what is stored and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back: leases, pacing, time-outs within a process."""
        ...

    async def sleep(self, seconds: float) -> None: ...
