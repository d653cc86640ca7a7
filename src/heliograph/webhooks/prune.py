"""Retention of deliveries: those that have ended go after their time, with their attempts, in small steps."""

import structlog

from heliograph.domain.errors import Unavailable
from heliograph.domain.webhooks.retry_policy import DISABLE_AFTER_US
from heliograph.ports.clock import Clock
from heliograph.ports.webhook_store import PRUNE_FROM, DeliveryStore, PrunePlace

STEP = 500
PAUSE_S = 0.05
INTERVAL_S = 60.0
DAY_US = 86_400_000_000

_log = structlog.get_logger("webhooks")


async def keep_deliveries_pruned(outbox: DeliveryStore, clock: Clock, *, days: float) -> None:
    """Until cancelled."""
    while True:
        await clock.sleep(INTERVAL_S)
        try:
            await prune_once(outbox, clock, days=days)
        except Unavailable as error:
            _log.warning("prune_failed", error=error.message)


async def prune_once(outbox: DeliveryStore, clock: Clock, *, days: float) -> None:
    """What waits for a disabled endpoint is kept for the retention, and no shorter than it took to give it up."""
    now_us = clock.now_us()
    before_us = now_us - round(days * DAY_US)
    while await outbox.give_up(min(before_us, now_us - DISABLE_AFTER_US), STEP):
        await clock.sleep(PAUSE_S)
    place: PrunePlace | None = PRUNE_FROM
    while place is not None:
        _, place = await outbox.prune_deliveries(before_us, STEP, place)
        await clock.sleep(PAUSE_S)
    await outbox.prune_org_events(before_us, STEP)
