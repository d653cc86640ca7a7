"""Whether the store takes writes: what `/readyz` and `/metrics` say of it.

Promise: a write that was refused shows at once, and no longer than a second or two after one of about the size of a
message goes through again. While all is well nothing is written for it.
Known weakness: a process that writes nothing, such as one that only accepts messages while none come, does not see that
the store would refuse.
"""

from contextlib import suppress

from heliograph.domain.errors import Unavailable
from heliograph.ports.clock import Clock
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import query

_TIMES = 1000  # the filler is the time, so often: 16 kB, each time other ones


async def probe_refused_writes(database: Database, clock: Clock) -> None:
    """Tries a write if the last one was refused."""
    if database.write_error is not None:
        with suppress(Unavailable):
            await probe_write(database, clock.now_us())


async def probe_write(database: Database, now_us: int) -> None:
    """A write that ends the trouble if it goes through. Raises Unavailable if it does not."""
    await database.write(query, named.write_probe_upsert(now=now_us, filler=f"{now_us}" * _TIMES))
    database.write_error = None
