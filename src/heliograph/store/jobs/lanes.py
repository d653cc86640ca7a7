"""Lanes and counters, with which every change of a queue ends.

Promise: a lane that has work has a head, and the counters change in the transaction that changes the jobs.
"""

from collections.abc import Sequence

from heliograph.domain.jobs.ids import JobId
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_values

LaneKey = tuple[int, int, str, int]  # org_no, phone_no, chat_id, priority
# a lane, its head and the head's seq, status, not_before, waits_for, new_chat
LaneHead = tuple[int, int, str, int, int | None, int | None, str, int | None, int | None, int | None]
INTAKE, ENGINE = 0, 1  # the sides of the counters
MAX_ALIKE = 2  # kinds of change that are worth a statement each


class CounterChanges:
    """Changes of the counters of queues and broadcasts, added up for few queries."""

    def __init__(self) -> None:
        self._changes: dict[tuple[int, int, int], list[int]] = {}
        self._broadcasts: dict[tuple[int, int], list[int]] = {}

    def add(
        self, place: tuple[int, int, int], *, waiting: int = 0, active: int = 0, completed: int = 0, failed: int = 0
    ) -> None:
        change = self._changes.get(place)
        if change is None:
            self._changes[place] = [waiting, active, completed, failed]
            return
        change[0] += waiting
        change[1] += active
        change[2] += completed
        change[3] += failed

    def broadcast(
        self,
        org_no: int,
        broadcast_no: int | None,
        *,
        sent: int = 0,
        failed: int = 0,
        delivered: int = 0,
        read: int = 0,
    ) -> None:
        """Counts the outcome of a broadcast's message; does nothing for other messages."""
        if broadcast_no is None:
            return
        change = self._broadcasts.setdefault((org_no, broadcast_no), [0, 0, 0, 0])
        for n, by in enumerate((sent, failed, delivered, read)):
            change[n] += by

    def rows(self, side: int) -> list[tuple[int, int, int, int, int, int, int, int]]:
        return [
            (*place, side, waiting, active, completed, failed)
            for place, (waiting, active, completed, failed) in sorted(self._changes.items())
            if waiting or active or completed or failed
        ]

    def grouped_by_change(self) -> dict[tuple[int, ...], list[tuple[int]]]:
        """Gives (org_no, priority, change) → phones.

        Under load most phones change alike: each sent one message and started one.
        """
        found: dict[tuple[int, ...], list[tuple[int]]] = {}
        for (org_no, phone_no, priority), change in self._changes.items():
            if any(change):
                found.setdefault((org_no, priority, *change), []).append((phone_no,))
        return found

    def broadcasts(self) -> list[tuple[int, int, int, int, int, int]]:
        return [
            (*key, sent, failed, delivered, read)
            for key, (sent, failed, delivered, read) in sorted(self._broadcasts.items())
            if sent or failed or delivered or read
        ]


def write_counters(side: int, counts: CounterChanges) -> Unit[None]:
    """Writes the counters of one side (INTAKE, ENGINE), then those of broadcasts: the last of all locks."""
    alike = counts.grouped_by_change()
    if len(alike) <= MAX_ALIKE:
        for (org_no, priority, waiting, active, completed, failed), phones in alike.items():
            yield from query(
                named.queue_counters_add_alike(phones, org_no=org_no, priority=priority, side=side, waiting=waiting,
                active=active,
                completed=completed, failed=failed,
            ))  # fmt: skip
    else:
        yield from query(named.queue_counters_add(counts.rows(side)))
    broadcasts = counts.broadcasts()
    yield from query(named.broadcast_count_lock([row[:2] for row in broadcasts]))
    yield from query(named.broadcast_count(broadcasts))


def in_flight_jobs(lanes: Sequence[LaneKey]) -> Unit[list[JobId]]:
    """Gives the jobs in flight of those lanes that are busy."""
    rows = yield from query(named.lanes_in_flight(lanes))
    return [row["job_id"] for row in rows if row["job_id"] is not None]


def on_the_way_of(org_no: int, phone_no: int) -> Unit[list[JobId]]:
    """Gives the jobs in flight of a phone."""
    lanes = yield from query_values(named.lanes_busy_of_phone(org_no=org_no, phone_no=phone_no))
    return (yield from in_flight_jobs([(row[0], row[1], row[2], row[3]) for row in lanes]))


def mark_chats_known(chats: Sequence[tuple[int, int, str]], now_us: int) -> Unit[None]:
    """Stores that these chats are known, and marks their lanes.

    A lane that a caller is creating at this moment still counts as new, because it cannot see us yet. Code that must
    limit new chats therefore reads `chats` once more.
    """
    yield from query(named.chats_insert(chats, now=now_us))
    yield from query(named.lanes_known(chats))


class NextHead:
    """The way a lane goes on: at once, or from `not_before_us` on because of the job `waits_for`.

    `sent`: its message that was sent just now; `known`: that message was the first to its chat. `since`: nothing of
    the lane waits before this place, if that is known better than by the lane's row.
    """

    __slots__ = ("known", "not_before_us", "sent", "since", "waits_for")

    def __init__(
        self,
        not_before_us: int | None = None,
        waits_for: int | None = None,
        *,
        known: bool = False,
        sent: JobId | None = None,
        since: int | None = None,
    ) -> None:
        self.not_before_us = not_before_us
        self.waits_for = waits_for
        self.known = known
        self.sent = sent
        self.since = since


def set_lane_heads(lanes: dict[LaneKey, NextHead]) -> Unit[None]:
    """Gives each lane its next waiting job, or deletes it; the lanes must be locked (see `lanes_lock`).

    The next job is looked for by a query of its own after the lock. In one query with it, a message that is being
    enqueued at the same time would be missed, and its chat would be blocked for ever.
    """
    sets: list[LaneHead] = []
    drops: list[LaneKey] = []
    wanted = sorted((*key, how.since) for key, how in lanes.items())
    for org_no, phone_no, chat_id, priority, job_id, seq in (yield from query_values(named.lanes_heads(wanted))):
        key = (org_no, phone_no, chat_id, priority)
        how = lanes[key]
        if job_id is None and how.not_before_us is None:
            drops.append(key)
        else:
            status = "ready" if how.not_before_us is None else "delayed"
            known = 0 if how.known else None
            sets.append((*key, job_id, seq, status, how.not_before_us, how.waits_for, known))
    yield from query(named.lanes_set(sets))
    yield from query(named.lanes_delete(drops))
