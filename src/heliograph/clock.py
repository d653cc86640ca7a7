"""The machine's own clock: the one place, with the command line and telemetry, where time is read."""

import asyncio
import time


class SystemClock:
    """Implements ports.clock.Clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
