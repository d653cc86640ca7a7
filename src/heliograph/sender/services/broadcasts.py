"""Enqueues the next recipients of broadcasts, a few hundred ahead of the messages sent.

Promise: any number of these may run, in any process (see `store/broadcasts/enqueue_recipients.py`). A failed step is
repeated.
"""

from collections.abc import Callable
from typing import Protocol

from heliograph.ports.clock import Clock
from heliograph.ports.wake import Wake

SOON_S = 0.02  # between two steps of a broadcast that is under way
IDLE_S = 0.5  # when nothing is due
SWEEP_S = 300.0


class Feedable(Protocol):
    async def feed(self) -> tuple[set[int], int | None]: ...

    async def sweep_broadcasts(self, before_us: int) -> int: ...


async def enqueue_broadcasts(steering: Feedable, wake: Wake, clock: Clock, log: Callable[..., None]) -> None:
    """Until cancelled."""
    while True:
        pause_s = IDLE_S
        try:
            phones, due_us = await steering.feed()
            wake.phones(phones)
            if due_us is not None:
                pause_s = min(max((due_us - clock.now_us()) / 1e6, SOON_S), IDLE_S)
        except Exception as error:  # noqa: BLE001 - supervised: the database may be away, or another sender was first
            log("feed_failed", error=f"{type(error).__name__}: {error}")
        await clock.sleep(pause_s)


async def clean_up_broadcasts(steering: Feedable, clock: Clock, *, days: float, log: Callable[..., None]) -> None:
    """Removes broadcasts past their retention, and loads that were cut off, until cancelled."""
    while True:
        try:
            await steering.sweep_broadcasts(clock.now_us() - round(days * 86_400_000_000))
        except Exception as error:  # noqa: BLE001 - supervised: tried again in a few minutes
            log("sweep_failed", error=f"{type(error).__name__}: {error}")
        await clock.sleep(SWEEP_S)
