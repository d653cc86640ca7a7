"""Creates a broadcast: its recipients by chunks, then one commit that begins it.

Promise: before that commit nothing of it is sent, after it everything. A load that is cut off is deleted by the
cleanup, which frees its key.
"""

from collections.abc import Sequence

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.errors import Conflict, invalid
from heliograph.domain.jobs.ids import JobId, JobIds
from heliograph.ports.clock import Clock
from heliograph.store.broadcasts import lifecycle
from heliograph.store.database.database import Database

LOAD = 500  # recipients added by one transaction
TOO_LONG = "The broadcast took too long to be taken in; nothing of it is sent."


async def create_broadcast(
    database: Database, clock: Clock, ids: JobIds, new: NewBroadcast, recipients: Sequence[Recipient]
) -> tuple[JobId, bool]:
    """Gives its number, and whether an earlier request with the same key created it."""
    now_us = clock.now_us()
    made = await database.write(lifecycle.create, new, now_us)
    if made == "reused":
        raise invalid("Idempotency-Key", "This Idempotency-Key was used for another request.")
    if made == "busy":
        raise Conflict("The first request with this Idempotency-Key is still under way.", retry_after_s=1)
    if made is not None:
        return JobId(int(made)), True
    try:
        for first in range(0, len(recipients), LOAD):
            chunk = recipients[first : first + LOAD]
            rows = [(first + n, one.chat_id, one.variables, ids.make()) for n, one in enumerate(chunk)]
            if not await database.write(lifecycle.load_broadcast, new.org_no, new.broadcast_no, rows):
                raise Conflict(TOO_LONG)
        begun = await database.write(lifecycle.begin, new, len(recipients))
    except BaseException:
        await database.write(lifecycle.drop, new.org_no, new.broadcast_no)
        raise
    if not begun:
        raise Conflict(TOO_LONG)
    return new.broadcast_no, False
