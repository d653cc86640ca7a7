"""Enqueues the next recipients of broadcasts as jobs, in order, a few hundred ahead of what is sent.

Promise: the cursor moves in the transaction that creates the jobs, and only for the sender that read it there.
Whatever crashes, and however many senders run, no recipient is repeated or left out. Recipients that cannot start soon
do not block the others, nor does a broadcast that cannot be decoded.
Known weakness: chats that waited together (for quiet hours to end, or for new chats to be allowed) then go at the
phone's own pace: the delay of a broadcast applies between messages that may start at once.
"""

from collections.abc import Callable

import msgspec

from heliograph.domain.broadcasts.broadcast import CHUNK, MAX_ENQUEUED_AHEAD
from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.job import NewJob, PhoneDeleted
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import Content, decode_content
from heliograph.domain.messages.template import fill
from heliograph.store.accounts.audit import record_audit
from heliograph.store.broadcasts import lifecycle
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.due_work import UndecodableRow, process_due_items
from heliograph.store.database.unit import Unit, query, query_one, query_row
from heliograph.store.explain import load_facts
from heliograph.store.jobs.enqueue import enqueue

MAX_BROADCASTS_A_STEP = 20  # broadcasts
FULL_US = 100_000  # until the next look, while enough is enqueued
END_US = 1_000_000  # until the next look, while all is enqueued and not all settled
LONG_US = 60_000_000  # a wait that is not soon
MAX_WAITING = MAX_ENQUEUED_AHEAD + 2_000  # jobs that wait at most: a cancel has to read each


async def enqueue_due(database: Database, make_id: Callable[[], JobId], now_us: int) -> tuple[set[int], int | None]:
    """Enqueues for each due broadcast. Gives the phones that got work, and when to look again (None: none runs)."""
    return await process_due_items(
        database,
        now_us,
        soonest=named.broadcasts_next_due(),
        due=named.broadcasts_due(now=now_us, limit=MAX_BROADCASTS_A_STEP),
        do=lambda row: feed_one(row["org_no"], row["broadcast_no"], now_us),
        stop=lambda row, why: _stop(row, why, make_id, now_us),
    )


def _stop(row: "named.BroadcastsDueColumns", why: str, make_id: Callable[[], JobId], now_us: int) -> Unit[str]:
    org_no, phone_no, broadcast_id = row["org_no"], row["phone_no"], queue_id(row["broadcast_no"])
    if (yield from lifecycle.end(org_no, row["broadcast_no"], phone_no, "cancelled", now_us, "")):
        yield from record_audit(
            org_no, phone_no, "cancel", f"broadcast:{broadcast_id}", why, "gateway", make_id(), now_us
        )
    return f"Broadcast {broadcast_id}"


def feed_one(org_no: int, broadcast_no: JobId, now_us: int) -> Unit[bool]:
    """Tells whether the phone got work."""
    row = yield from query_one(named.broadcast_due(org_no=org_no, broadcast_no=broadcast_no, now=now_us))
    if row is None:
        return False
    delay_us = row["delay_us"]
    counted = yield from query_row(named.broadcast_settled(org_no=org_no, broadcast_no=broadcast_no))
    open_now = row["enqueued"] - row["skipped"] - counted["settled"]
    if row["enqueued"] >= row["total"]:
        if open_now > 0:
            yield from _look_again(row, now_us + END_US, now_us)
        else:
            yield from lifecycle.end(org_no, broadcast_no, row["phone_no"], "completed", now_us, "")
        return False
    room = _room(open_now, delay_us)
    if room <= 0:
        waiting, soon = yield from _soon(row, now_us)
        room = min(_room(soon, delay_us), MAX_WAITING - waiting)
        if room <= 0:  # many are not counted often
            again_us = END_US if row["blocked"] and waiting > CHUNK else FULL_US
            yield from _look_again(row, now_us + again_us, now_us, blocked=1)
            return False
    if row["blocked"] and delay_us:  # its message was settled just now, not long ago
        yield from _look_again(row, now_us + delay_us, now_us)
        return False
    found = yield from query(
        named.recipients_next(org_no=org_no, broadcast_no=broadcast_no, n=row["enqueued"], limit=room)
    )
    try:
        content = decode_content(row["content"])
        jobs = [_job(row, content, each) for each in found if not each["suppressed"]]
    except (msgspec.MsgspecError, ValueError) as error:
        raise UndecodableRow(str(error)) from error
    results = (yield from enqueue(jobs, now_us)) if jobs else []
    if any(isinstance(result, PhoneDeleted) for result in results):
        yield from lifecycle.end(org_no, broadcast_no, row["phone_no"], "cancelled", now_us, "The phone was deleted.")
        return False
    spaced_us = now_us + int(delay_us) * len(jobs)
    yield from _move(row, now_us, fed=row["enqueued"] + len(found), skipped=len(found) - len(jobs), feed_at=spaced_us)
    return bool(jobs)


def _soon(row: "named.BroadcastDueColumns", now_us: int) -> Unit[tuple[int, int]]:
    """Counts its jobs that wait or are in flight, and those of them that may start soon.

    Not soon are jobs of chats that are paused or wait for long, and of new chats while the phone may write to none. An
    uncertain job waits for a person.
    """
    found = yield from query_row(
        named.broadcast_waiting(
            org_no=row["org_no"], broadcast_no=row["broadcast_no"], after=now_us + LONG_US, limit=MAX_WAITING
        )
    )
    waiting, soon, fresh = found["waiting"], found["soon"], found["fresh"]
    if fresh and _room(soon, row["delay_us"]) <= 0:
        wait_s = yield from load_facts.new_chats_wait(row["org_no"], row["phone_no"], now_us)
        soon -= fresh if wait_s * 1e6 > LONG_US else 0
    return waiting, soon


def _room(open_now: int, delay_us: int) -> int:
    """Gives how many more recipients may become jobs."""
    room = min(MAX_ENQUEUED_AHEAD - open_now, CHUNK)
    if delay_us:
        # spaced by time: no more are ready than fit in a second, so that a pause of the phone makes no burst
        room = min(room, max(1_000_000 // delay_us, 1) - open_now, max(FULL_US // delay_us, 1))
    return room


def _look_again(row: "named.BroadcastDueColumns", at_us: int, now_us: int, blocked: int = 0) -> Unit[None]:
    yield from _move(row, now_us, fed=row["enqueued"], skipped=0, feed_at=at_us, blocked=blocked)


def _move(
    row: "named.BroadcastDueColumns", now_us: int, *, fed: int, skipped: int, feed_at: int, blocked: int = 0
) -> Unit[None]:
    moved = yield from query_one(
        named.broadcast_enqueued(
            org_no=row["org_no"],
            broadcast_no=row["broadcast_no"],
            fed_now=fed,
            fed_before=row["enqueued"],
            skipped=skipped,
            feed_at=feed_at,
            blocked=blocked,
            now=now_us,
        )
    )
    if moved is None:
        raise CursorMoved(f"broadcast {row['broadcast_no']}")


class CursorMoved(Exception):
    """The broadcast was moved on or stopped by somebody else in the meantime: the unit is rolled back."""


def _job(row: "named.BroadcastDueColumns", content: Content, recipient: "named.RecipientColumns") -> NewJob:
    body = fill(content.body, lifecycle.decode_vars(recipient["vars"]))
    return NewJob(
        job_id=recipient["job_id"],
        org_no=row["org_no"],
        phone_no=row["phone_no"],
        chat_id=recipient["chat_id"],
        content=msgspec.structs.replace(content, body=body) if body != content.body else content,
        priority=Priority(row["priority"]),
        performed_by=row["performed_by"],
        expires_at_us=row["expires_at"],
        broadcast_no=row["broadcast_no"],
    )
