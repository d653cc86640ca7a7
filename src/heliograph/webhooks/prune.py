"""Retention of ended deliveries and their attempts, in small steps."""

from heliograph.domain.webhooks.retry_policy import DISABLE_AFTER_US
from heliograph.ports.clock import Clock
from heliograph.ports.stores.delivery_store import DeliveryStore
from heliograph.ports.stores.maintenance_store import PRUNE_FROM, PrunePlace

STEP = 500
PAUSE_S = 0.05
DAY_US = 86_400_000_000


async def prune_deliveries(store: DeliveryStore, clock: Clock, *, days: float) -> None:
    """Removes deliveries past their retention.

    A delivery to a disabled endpoint stays at least for the time after which an endpoint is disabled.
    """
    now_us = clock.now_us()
    before_us = now_us - round(days * DAY_US)
    while await store.give_up(min(before_us, now_us - DISABLE_AFTER_US), STEP):
        await clock.sleep(PAUSE_S)
    place: PrunePlace | None = PRUNE_FROM
    while place is not None:
        _, place = await store.prune_deliveries(before_us, STEP, place)
        await clock.sleep(PAUSE_S)
    await store.prune_org_events(before_us, STEP)
