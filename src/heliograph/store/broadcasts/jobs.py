"""A broadcast as part of the queue: its messages as jobs, and its purge. Both in steps, in bounded memory."""

from collections.abc import AsyncIterator

from heliograph.domain.broadcasts.broadcast import BroadcastRow
from heliograph.domain.jobs.ids import JobId, parse_job_id
from heliograph.domain.jobs.job import Job
from heliograph.ports.clock import Clock
from heliograph.store.broadcasts import lifecycle
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query

STEP = 500


async def jobs_of(database: Database, clock: Clock, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
    """Gives all its messages in order, by chunks; those not enqueued yet as they will be."""
    broadcast_no = parse_job_id(broadcast_id)
    n: int | None = None if broadcast_no is None else 0
    while n is not None and broadcast_no is not None:
        # the row is read with each chunk: a recipient that is enqueued meanwhile is shown as the job it became
        row = await database.read(lifecycle.get, org_no, broadcast_no)
        if row is None:
            return
        now_us, first = clock.now_us(), n
        jobs, n = await database.read(lifecycle.jobs_from, row, first, STEP, now_us)
        if jobs:
            yield jobs


async def cancel_enqueued(
    database: Database, clock: Clock, org_no: int, phone_no: int, broadcast_no: JobId, actor: str
) -> list[JobId]:
    """Cancels the waiting jobs of a cancelled broadcast. If this is cut off, the cleanup goes on."""
    ended: list[JobId] = []
    while True:
        now_us = clock.now_us()
        step = await database.write(lifecycle.cancel_step, org_no, phone_no, broadcast_no, actor, now_us)
        if step is None:
            return ended
        ended += step


async def purge(
    database: Database, clock: Clock, org_no: int, phone_no: int | None, broadcast_id: str, actor: str
) -> list[JobId]:
    """Cancels the broadcast; gives all its messages that will not be sent, enqueued or not."""
    broadcast_no = parse_job_id(broadcast_id)
    if broadcast_no is None:
        return []
    now_us = clock.now_us()

    def unit() -> Unit[BroadcastRow | None]:
        row = yield from lifecycle.get(org_no, broadcast_no)
        if row is None or (phone_no is not None and row.phone_no != phone_no):
            return None
        done = yield from lifecycle.cancel(org_no, broadcast_no, actor, now_us)
        return done if isinstance(done, BroadcastRow) else None

    row = await database.write(unit)
    if row is None:
        return []
    ended = await cancel_enqueued(database, clock, org_no, row.phone_no, broadcast_no, actor)
    n: int | None = row.enqueued
    while n is not None:
        first = n
        found = await database.read(
            query, named.recipients_from(org_no=org_no, broadcast_no=broadcast_no, n=first, limit=STEP)
        )
        ended += [each["job_id"] for each in found]
        n = found[-1]["n"] + 1 if len(found) == STEP else None
    return ended
