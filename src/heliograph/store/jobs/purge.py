"""Cancels the waiting jobs of a phone, and removes the rest of a deleted phone. Both work in steps."""

from functools import partial

from heliograph.domain.jobs.ids import JobId
from heliograph.ports.clock import Clock
from heliograph.store.database.database import Database
from heliograph.store.jobs import cancel, prune


async def purge_phone(
    database: Database, clock: Clock, org_no: int, phone_no: int, actor: str, why: str
) -> list[JobId]:
    """Cancels everything that waits, and gives the ids."""
    ended: list[JobId] = []
    place: cancel.Place | None = cancel.FIRST
    while place is not None:
        step, place = await database.write(cancel.purge_step, org_no, phone_no, place, actor, why, clock.now_us())
        ended += step
    return ended


async def remove_phone_rest(database: Database, clock: Clock, org_no: int, phone_no: int, actor: str) -> None:
    """Ends what waits for a deleted phone, and deletes its lanes, holds and pace log."""
    await purge_phone(database, clock, org_no, phone_no, actor, "phone_deleted")
    now_us = clock.now_us()
    for step in (
        partial(cancel.orphan_retries_step, org_no, phone_no, actor, now_us),
        partial(prune.lanes_of_phone, org_no, phone_no),
        partial(prune.pace_of_phone, org_no, phone_no, now_us),
    ):
        while await database.write(step):
            pass
