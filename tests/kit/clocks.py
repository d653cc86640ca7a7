"""Clocks for tests: one that stands still, one that jumps to the next sleeper, and a shifted system clock."""

import asyncio
import heapq
import inspect
import itertools
from collections.abc import Awaitable, Callable

from heliograph.clock import SystemClock

START_US = 1_760_000_000_000_000
SECOND_US = 1_000_000
THREAD_S = 0.0002  # real time between two checks of work that is done outside the event loop


class ManualClock:
    """A clock that stands still until a test advances it; a sleep advances it too."""

    def __init__(self, start_us: int = START_US) -> None:
        self.us = start_us

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


class VirtualClock:
    """A clock that jumps to the next sleeper when nothing else is left to do.

    `busy`: checks for work outside the event loop, such as a database thread.
    """

    def __init__(self) -> None:
        self._elapsed_us = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self.busy: list[Callable[[], bool]] = []

    def now_us(self) -> int:
        return START_US + self._elapsed_us

    def monotonic(self) -> float:
        return self._elapsed_us / 1e6

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_us + round(max(seconds, 0) * 1e6), next(self._numbers), woken))
        await woken

    async def idle(self) -> None:
        """Returns when every task waits for time, or for something that will not come."""
        loop = asyncio.get_running_loop()
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0)
            if any(busy() for busy in self.busy):
                await asyncio.sleep(THREAD_S)
                quiet = 0
            elif loop._ready:  # type: ignore[attr-defined]  # asyncio has no public view of callbacks that are ready
                quiet = 0
            else:
                quiet += 1

    def advance(self, seconds: float) -> None:
        """Moves time on at once, and wakes the sleepers that this reaches."""
        self._move_to(self._elapsed_us + round(seconds * 1e6))

    def step(self, limit_us: int) -> None:
        """Moves time on to the next sleeper, or to `limit_us`."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        self._move_to(min(self._sleepers[0][0], limit_us) if self._sleepers else limit_us)

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], *, limit_s: float = 120.0) -> None:
        """Lets time pass until the condition holds."""
        end = self._elapsed_us + round(limit_s * 1e6)
        while True:
            await self.idle()
            held = condition()
            if await held if inspect.isawaitable(held) else held:
                return
            assert self._elapsed_us < end, f"it did not come true in {limit_s} s"
            self.step(end)

    async def forward(self, seconds: float) -> None:
        """Lets this much time pass, sleeper by sleeper."""
        end = self._elapsed_us + round(seconds * 1e6)
        while self._elapsed_us < end:
            await self.idle()
            self.step(end)
        await self.idle()

    def _move_to(self, elapsed_us: int) -> None:
        self._elapsed_us = elapsed_us
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_us:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)


class ShiftedClock(SystemClock):
    """The system clock, put ahead by a test; sleeps take as long as they say."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us

    def forward(self, *, days: float = 0.0, seconds: float = 0.0) -> None:
        self.ahead_us += round((days * 86_400 + seconds) * 1_000_000)
