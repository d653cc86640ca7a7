"""Retention of files: those last used before their time, and needed by no message to come, go in small steps."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from heliograph.ports.clock import Clock
from heliograph.ports.media import MediaStore

EACH_S = 3600.0
STEP = 500
DAY_US = 86_400_000_000


class Needed(Protocol):
    @property
    def since_us(self) -> int: ...

    @property
    def sha256(self) -> Collection[str]: ...


async def keep_media_pruned(
    media: MediaStore,
    needed: Callable[[int], Awaitable[Needed]],
    clock: Clock,
    *,
    days: float,
    log: Callable[..., None],
) -> None:
    """Until cancelled."""
    while True:
        await clock.sleep(EACH_S)
        try:
            await prune_media(media, needed, clock, days=days)
        except Exception as error:  # noqa: BLE001 - supervised: tried again in an hour
            log("prune_media_failed", error=f"{type(error).__name__}: {error}")


async def prune_media(
    media: MediaStore, needed: Callable[[int], Awaitable[Needed]], clock: Clock, *, days: float
) -> int:
    """A file is marked as used when it is given again, before its job is made: what is older than every job that still
    waits, and is in no list to come, nobody will ask for."""
    now_us = clock.now_us()
    keep = await needed(now_us)
    before_s = min(now_us - round(days * DAY_US), keep.since_us - DAY_US) / 1e6
    gone = 0
    while removed := await asyncio.to_thread(media.prune, before_s, keep.sha256.__contains__, limit=STEP):
        gone += removed
    return gone
