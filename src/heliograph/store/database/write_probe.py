"""The probe that tells `/readyz` and `/metrics` whether the store takes writes.

Promise: a refused write shows at once, until a second or two after a write of about a message's size succeeds again.
While no write is refused, nothing is written for this.
Known weakness: a process that writes nothing, such as an idle API process, does not see that writes would be refused.
"""

from contextlib import suppress

from heliograph.domain.errors import Unavailable
from heliograph.ports.clock import Clock
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import query

_TIMES = 1000  # the filler repeats the time: 16 kB, different each time


async def probe_refused_writes(database: Database, clock: Clock) -> None:
    """Tries a write if the last one was refused."""
    if database.write_error is not None:
        with suppress(Unavailable):
            await probe_write(database, clock.now_us())


async def probe_write(database: Database, now_us: int) -> None:
    """Writes once and clears the write error. Raises Unavailable if the write is refused."""
    await database.write(query, named.write_probe_upsert(now=now_us, filler=f"{now_us}" * _TIMES))
    database.write_error = None
