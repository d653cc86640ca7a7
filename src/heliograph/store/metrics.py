"""The gauges of `/metrics`, over all organisations.

Reads counters and small indexes, never the backlog itself. Known weakness: the oldest waiting job is the oldest ready
head, or the head whose wait ends next; those of held chats are not read.
"""

from heliograph.domain.jobs.states import Priority
from heliograph.ports.clock import Clock
from heliograph.ports.meter import Backlog
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query, query_row

MAX_COUNTED = 100_000


class BacklogReader:
    """Reads the gauges when called. Raises Unavailable when the database is away."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def __call__(self) -> Backlog:
        now_us = self._clock.now_us()
        return await self._database.read(backlog, now_us)


def backlog(now_us: int) -> Unit[Backlog]:
    counts = yield from query_row(named.backlog_counts())
    opened = yield from query_row(named.backlog_open(most=MAX_COUNTED))
    phones = {row["state"]: row["phones"] for row in (yield from query(named.backlog_phones()))}
    scheduled = yield from query_row(named.backlog_schedules(most=MAX_COUNTED))
    pending = yield from query_row(named.backlog_deliveries(most=MAX_COUNTED))
    oldest_us = (yield from _oldest(now_us)) if counts["waiting"] else now_us
    connected = phones.pop("connected", 0)
    return Backlog(
        waiting=counts["waiting"],
        sending=opened["sending"],
        uncertain=opened["uncertain"],
        scheduled=scheduled["scheduled"],
        oldest_waiting_s=(now_us - oldest_us) / 1e6,
        phones_connected=connected,
        phones_down=sum(phones.values()),
        webhooks_pending=pending["pending"],
    )


def _oldest(now_us: int) -> Unit[int]:
    """Gives when the oldest waiting job was queued."""
    heads: list[named.OldestDelayedColumns] = list((yield from query(named.oldest_delayed())))
    for new_chat in (0, 1):
        for priority in Priority:
            heads += yield from query(named.oldest_waiting(new_chat=new_chat, priority=int(priority)))
    return min((row["queued_at"] for row in heads), default=now_us)
