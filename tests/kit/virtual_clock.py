"""A clock that goes on by itself to the next moment anybody waits for, but only when nothing else is left to do."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable

START_US = 1_760_000_000_000_000
THREAD_S = 0.0002  # between two looks at work that is done outside of the loop, in real time


class VirtualClock:
    """Implements ports.clock.Clock. `busy`: is something under way outside of the loop (a database, a file)?"""

    def __init__(self) -> None:
        self._now = 0  # microseconds
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self.busy: list[Callable[[], bool]] = []

    def now_us(self) -> int:
        return START_US + self._now

    def monotonic(self) -> float:
        return self._now / 1e6

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + round(max(seconds, 0) * 1e6), next(self._numbers), woken))
        await woken

    async def idle(self) -> None:
        """Returns when everybody waits: for time, or for something that nobody will bring."""
        loop = asyncio.get_running_loop()
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0)
            if any(busy() for busy in self.busy):
                await asyncio.sleep(THREAD_S)
                quiet = 0
            elif loop._ready:  # type: ignore[attr-defined]  # others have something to do
                quiet = 0
            else:
                quiet += 1

    def step(self, most_us: int) -> None:
        """To the next sleeper, or as far as `most_us`."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        self._now = min(self._sleepers[0][0], most_us) if self._sleepers else most_us
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    async def until(self, true: Callable[[], Awaitable[bool]], *, limit_s: float = 120.0) -> None:
        """Lets time pass until something is true."""
        end = self._now + round(limit_s * 1e6)
        while True:
            await self.idle()
            if await true():
                return
            assert self._now < end, f"it did not come true in {limit_s} s"
            self.step(end)

    async def forward(self, seconds: float) -> None:
        end = self._now + round(seconds * 1e6)
        while self._now < end:
            await self.idle()
            self.step(end)
        await self.idle()
