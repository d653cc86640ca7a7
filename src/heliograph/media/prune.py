"""Retention of media files, in small steps."""

import asyncio
from collections.abc import Awaitable, Callable, Set

from heliograph.ports.clock import Clock
from heliograph.ports.media import MediaStore

STEP = 500
DAY_US = 86_400_000_000
Needed = Callable[[int], Awaitable[Set[str]]]


async def prune_media(media: MediaStore, needed: Needed, clock: Clock, *, days: float) -> int:
    """Removes files past their retention that no unsent older message and no broadcast or schedule needs.

    A file is marked as used when it is given again, before its job exists; so a younger message needs no look.
    """
    before_us = clock.now_us() - round(days * DAY_US)
    names = await needed(before_us + DAY_US)
    before_s, total = before_us / 1e6, 0
    while removed := await asyncio.to_thread(media.prune, before_s, names.__contains__, limit=STEP):
        total += removed
    return total
