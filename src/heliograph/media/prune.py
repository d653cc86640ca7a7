"""Retention of files: those last used before their time, and needed by no message to come, go in small steps."""

import asyncio
from collections.abc import Awaitable, Callable, Set

from heliograph.ports.clock import Clock
from heliograph.ports.media import MediaStore

INTERVAL_S = 3600.0
STEP = 500
DAY_US = 86_400_000_000


Needed = Callable[[int], Awaitable[Set[str]]]


async def keep_media_pruned(
    media: MediaStore,
    needed: Needed,
    clock: Clock,
    *,
    days: float,
    log: Callable[..., None],
) -> None:
    """Until cancelled."""
    while True:
        await clock.sleep(INTERVAL_S)
        try:
            await prune_media(media, needed, clock, days=days)
        except Exception as error:  # noqa: BLE001 - supervised: tried again in an hour
            log("prune_media_failed", error=f"{type(error).__name__}: {error}")


async def prune_media(media: MediaStore, needed: Needed, clock: Clock, *, days: float) -> int:
    """A file is marked as used when it is given again, before its job is made: what is older than the retention, and is
    named by no older message that may still be sent and in no list to come, nobody will ask for.
    """
    before_us = clock.now_us() - round(days * DAY_US)
    named = await needed(before_us + DAY_US)
    before_s = before_us / 1e6
    gone = 0
    while removed := await asyncio.to_thread(media.prune, before_s, named.__contains__, limit=STEP):
        gone += removed
    return gone
