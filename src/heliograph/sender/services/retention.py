"""Retention of settled jobs, in small steps between which others may write."""

from typing import Protocol

from heliograph.ports.clock import Clock
from heliograph.ports.sender_store import PRUNE_FROM, PrunePlace

STEP = 500
PAUSE_S = 0.05
DAY_US = 86_400_000_000


class PrunableJobs(Protocol):
    async def prune(self, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]: ...

    async def prune_rest(self, before_us: int, day_ago_us: int) -> None: ...


async def prune_jobs(store: PrunableJobs, clock: Clock, *, days: float) -> int:
    """Removes settled jobs past their retention, and returns how many."""
    before_us = clock.now_us() - round(days * DAY_US)
    removed, place = await store.prune(before_us, STEP, PRUNE_FROM)
    total = removed
    while place is not None:
        await clock.sleep(PAUSE_S)
        removed, place = await store.prune(before_us, STEP, place)
        total += removed
    await store.prune_rest(before_us, clock.now_us() - DAY_US)
    return total
