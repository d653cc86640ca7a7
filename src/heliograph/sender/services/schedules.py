"""Runs schedules when they are due, and ends what waits beyond its time.

Promise: see store/schedules/run_due.py: each run once, however many of these look. A step that fails is done again.
"""

from collections.abc import Callable
from typing import Protocol

from heliograph.ports.clock import Clock
from heliograph.ports.wake import Wake

POLL_INTERVAL_S = 1.0


class Schedulable(Protocol):
    async def run_schedules(self) -> tuple[set[int], int | None]: ...

    async def expire(self) -> int: ...


async def run_schedules(steering: Schedulable, wake: Wake, clock: Clock, log: Callable[..., None]) -> None:
    """Until cancelled."""
    while True:
        pause_s = POLL_INTERVAL_S
        try:
            phones, due_us = await steering.run_schedules()
            wake.phones(phones)
            if due_us is not None:
                pause_s = min(max((due_us - clock.now_us()) / 1e6, 0.01), POLL_INTERVAL_S)
        except Exception as error:  # noqa: BLE001 - supervised: the database may be away
            log("schedules_failed", error=f"{type(error).__name__}: {error}")
        await clock.sleep(pause_s)


async def expire_messages(steering: Schedulable, clock: Clock, log: Callable[..., None]) -> None:
    """Until cancelled."""
    while True:
        await clock.sleep(POLL_INTERVAL_S)
        try:
            await steering.expire()
        except Exception as error:  # noqa: BLE001 - supervised: the database may be away
            log("expire_failed", error=f"{type(error).__name__}: {error}")
