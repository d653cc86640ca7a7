"""Retention of settled jobs, in small steps between which others may write."""

from heliograph.ports.clock import Clock
from heliograph.ports.stores.maintenance_store import PRUNE_FROM, MaintenanceStore

STEP = 500
PAUSE_S = 0.05
DAY_US = 86_400_000_000


async def prune_jobs(store: MaintenanceStore, clock: Clock, *, days: float) -> int:
    """Removes settled jobs past their retention, and returns how many."""
    before_us = clock.now_us() - round(days * DAY_US)
    removed, place = await store.prune_jobs(before_us, STEP, PRUNE_FROM)
    total = removed
    while place is not None:
        await clock.sleep(PAUSE_S)
        removed, place = await store.prune_jobs(before_us, STEP, place)
        total += removed
    await store.prune_rest(before_us, clock.now_us() - DAY_US)
    return total
