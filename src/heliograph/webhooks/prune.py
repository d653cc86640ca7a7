"""Retention of deliveries: those that have ended go after their time, with their attempts, in small steps."""

import structlog

from heliograph.domain.errors import Unavailable
from heliograph.ports.clock import Clock
from heliograph.ports.hooks import Outbox

STEP = 500
PAUSE_S = 0.05
EACH_S = 60.0
DAY_US = 86_400_000_000

_log = structlog.get_logger("webhooks")


async def keep_deliveries_pruned(outbox: Outbox, clock: Clock, *, days: float) -> None:
    """Until cancelled."""
    while True:
        await clock.sleep(EACH_S)
        try:
            while await outbox.prune_deliveries(clock.now_us() - round(days * DAY_US), STEP):
                await clock.sleep(PAUSE_S)
        except Unavailable as error:
            _log.warning("prune_failed", error=error.message)
