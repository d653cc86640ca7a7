"""Feeding broadcasts: the next recipients become jobs, in order, a few hundred ahead of what is sent.

Promise: the cursor moves in the transaction that makes the jobs, and only for the one who read it there: whatever
crashes when, and however many senders feed, no recipient is repeated or left out. What cannot start soon keeps no other
recipient from its turn, nor a broadcast that cannot be read the other broadcasts.
Known weakness: chats that waited together (for their morning, for the day's new chats) then go at the phone's own pace:
the delay of a broadcast is between what may start at once.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from heliograph.domain.broadcasts.broadcast import CHUNK, MAX_ENQUEUED_AHEAD
from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.job import NewJob, PhoneDeleted
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import Content, decode_content
from heliograph.domain.messages.template import fill
from heliograph.store.accounts.audit import record_audit
from heliograph.store.broadcasts import lifecycle
from heliograph.store.database.due_work import UndecodableRow, process_due_items
from heliograph.store.database.unit import Unit, query, query_one
from heliograph.store.explain import load_facts
from heliograph.store.jobs.enqueue import enqueue

MAX_BROADCASTS_A_STEP = 20  # broadcasts
FULL_US = 100_000  # looked at again after so long, when enough is fed
END_US = 1_000_000  # when all is fed and not all settled
LONG_US = 60_000_000  # what waits longer does not start soon
MAX_WAITING = MAX_ENQUEUED_AHEAD + 2_000  # so many, at most, wait as jobs: a cancel has to look at each


async def feed(shell: Any, make_id: Callable[[], JobId], now_us: int) -> tuple[set[int], int | None]:
    """Feeds every broadcast that is due. Gives the phones that got work, and when to look again (None: none runs)."""
    return await process_due_items(
        shell,
        now_us,
        soonest="next_broadcast",
        due="broadcasts_due",
        limit=MAX_BROADCASTS_A_STEP,
        do=lambda row: feed_one(row["org_no"], row["broadcast_no"], now_us),
        stop=lambda row, why: _stop(row, why, make_id, now_us),
    )


def _stop(row: Any, why: str, make_id: Callable[[], JobId], now_us: int) -> Unit[str]:
    org_no, phone_no, broadcast_id = row["org_no"], row["phone_no"], queue_id(row["broadcast_no"])
    if (yield from lifecycle.end(org_no, row["broadcast_no"], phone_no, "cancelled", now_us, "")):
        yield from record_audit(
            org_no, phone_no, "cancel", f"broadcast:{broadcast_id}", why, "gateway", make_id(), now_us
        )
    return f"Broadcast {broadcast_id}"


def feed_one(org_no: int, broadcast_no: JobId, now_us: int) -> Unit[bool]:
    """Whether its phone got work."""
    row = yield from query_one("broadcast_due", org_no=org_no, broadcast_no=broadcast_no, now=now_us)
    if row is None:
        return False
    delay_us = row["delay_us"]
    counted = yield from query_one("broadcast_settled", org_no=org_no, broadcast_no=broadcast_no)
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
        if room <= 0:  # many are not looked at often
            again_us = END_US if row["blocked"] and waiting > CHUNK else FULL_US
            yield from _look_again(row, now_us + again_us, now_us, blocked=1)
            return False
    if row["blocked"] and delay_us:  # its message was settled just now, not long ago
        yield from _look_again(row, now_us + delay_us, now_us)
        return False
    found = yield from query("recipients_next", org_no=org_no, broadcast_no=broadcast_no, n=row["enqueued"], limit=room)
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


def _soon(row: Any, now_us: int) -> Unit[tuple[int, int]]:
    """How many of its jobs wait or are on their way, and how many of them may start soon: not those of chats that are
    paused or wait for long, nor of new chats while the phone may write to none. An uncertain one waits for a person.
    """
    found = yield from query_one(
        "broadcast_waiting",
        org_no=row["org_no"],
        broadcast_no=row["broadcast_no"],
        after=now_us + LONG_US,
        limit=MAX_WAITING,
    )
    waiting, soon, fresh = found["waiting"], found["soon"], found["fresh"]
    if fresh and _room(soon, row["delay_us"]) <= 0:
        wait_s = yield from load_facts.new_chats_wait(row["org_no"], row["phone_no"], now_us)
        soon -= fresh if wait_s * 1e6 > LONG_US else 0
    return waiting, soon


def _room(open_now: int, delay_us: int) -> int:
    """How many more may become jobs."""
    room = min(MAX_ENQUEUED_AHEAD - open_now, CHUNK)
    if delay_us:
        # spaced by time: no more stand ready than fit in a second, so that a pause of the phone makes no burst
        room = min(room, max(1_000_000 // delay_us, 1) - open_now, max(FULL_US // delay_us, 1))
    return room


def _look_again(row: Any, at_us: int, now_us: int, blocked: int = 0) -> Unit[None]:
    yield from _move(row, now_us, fed=row["enqueued"], skipped=0, feed_at=at_us, blocked=blocked)


def _move(row: Any, now_us: int, *, fed: int, skipped: int, feed_at: int, blocked: int = 0) -> Unit[None]:
    moved = yield from query_one(
        "broadcast_enqueued",
        org_no=row["org_no"],
        broadcast_no=row["broadcast_no"],
        fed_now=fed,
        fed_before=row["enqueued"],
        skipped=skipped,
        feed_at=feed_at,
        blocked=blocked,
        now=now_us,
    )
    if moved is None:
        raise CursorMoved(f"broadcast {row['broadcast_no']}")


class CursorMoved(Exception):
    """Somebody else fed or stopped it meanwhile: the unit is undone."""


def _job(row: Any, content: Content, recipient: Any) -> NewJob:
    body = fill(content.body, lifecycle.decode_vars(recipient["vars"]))
    return NewJob(
        job_id=JobId(recipient["job_id"]),
        org_no=row["org_no"],
        phone_no=row["phone_no"],
        chat_id=recipient["chat_id"],
        content=msgspec.structs.replace(content, body=body) if body != content.body else content,
        priority=Priority(row["priority"]),
        performed_by=row["performed_by"],
        expires_at_us=row["expires_at"],
        broadcast_no=row["broadcast_no"],
    )
