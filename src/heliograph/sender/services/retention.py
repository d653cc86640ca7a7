"""Retention: settled jobs and what hangs on them go after their time, in small steps between which others may write."""

from collections.abc import Callable
from typing import Protocol

from heliograph.ports.clock import Clock
from heliograph.ports.sender_store import PRUNE_FROM, PrunePlace

STEP = 500
PAUSE_S = 0.05
INTERVAL_S = 60.0
DAY_US = 86_400_000_000


class Prunable(Protocol):
    async def prune(self, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]: ...

    async def prune_rest(self, before_us: int, day_ago_us: int) -> None: ...


async def prune_settled(store: Prunable, clock: Clock, *, days: float, log: Callable[..., None]) -> None:
    """Until cancelled."""
    while True:
        await clock.sleep(INTERVAL_S)
        try:
            await prune_once(store, clock, days=days)
        except Exception as error:  # noqa: BLE001 - supervised: tried again in a minute
            log("prune_failed", error=f"{type(error).__name__}: {error}")


async def prune_once(store: Prunable, clock: Clock, *, days: float) -> int:
    before_us = clock.now_us() - round(days * DAY_US)
    gone, place = 0, PRUNE_FROM
    while True:
        removed, on = await store.prune(before_us, STEP, place)
        gone += removed
        if on is None:
            break
        place = on
        await clock.sleep(PAUSE_S)
    await store.prune_rest(before_us, clock.now_us() - DAY_US)
    return gone
