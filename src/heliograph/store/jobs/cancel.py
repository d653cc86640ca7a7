"""What ends without being sent: purged jobs, and those of a deleted phone.

Promise: only what has not started is cancelled; a job that may have been sent stays until its receipt or a person
decides.
"""

from collections.abc import Sequence
from typing import Any

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event
from heliograph.domain.jobs.states import State
from heliograph.store.database.rows import event_row
from heliograph.store.database.unit import Rows, Unit, query, query_batch
from heliograph.store.jobs.lanes import INTAKE, CounterChanges, NextHead, on_the_way_of, set_lane_heads, write_counters

STEP = 500
Place = tuple[str, int, int]  # chat_id, lane, seq: in the order in which a phone's queue is walked
FIRST: Place = ("", 0, 0)
_WORDS = {
    "purged": "Purged before it was sent.",
    "phone_deleted": "The phone was deleted before it was sent.",
    "broadcast_cancelled": "Its broadcast was cancelled before it was sent.",
}


def purge_named(
    org_no: int, phone_no: int | None, job_ids: Sequence[JobId], actor: str, now_us: int
) -> Unit[list[JobId]]:
    found = yield from query_batch("purge_named", [(org_no, job_id) for job_id in sorted(job_ids)])
    rows = [row for row in found if phone_no is None or row["phone_no"] == phone_no]
    return (yield from cancel_rows(org_no, rows, actor, "purged", now_us))


def purge_step(
    org_no: int, phone_no: int, after: Place, actor: str, why: str, now_us: int
) -> Unit[tuple[list[JobId], Place | None]]:
    """Cancels the next piece of the phone's waiting jobs; with the place to go on from, None at the end."""
    rows = yield from _waiting(org_no, phone_no, after, maybe_sent=0)
    ended = yield from cancel_rows(org_no, rows, actor, why, now_us)
    last = rows[-1] if rows else None
    return ended, None if last is None else (last["chat_id"], last["priority"], last["seq"] + 1)


def _waiting(org_no: int, phone_no: int, after: Place, *, maybe_sent: int) -> Unit[Rows]:
    chat_id, priority, seq = after
    return (
        yield from query(
            "waiting_in_lanes", org_no=org_no, phone_no=phone_no, chat_id=chat_id, priority=priority, seq=seq,
            maybe_sent=maybe_sent, limit=STEP,
        )
    )  # fmt: skip


def cancel_rows(org_no: int, rows: Sequence[Any], actor: str, why: str, now_us: int) -> Unit[list[JobId]]:
    detail = _WORDS[why]
    return (yield from end_rows(org_no, rows, "cancelled", actor, why, detail, now_us))


def end_rows(
    org_no: int, rows: Sequence[Any], state: str, actor: str, why: str, detail: str, now_us: int
) -> Unit[list[JobId]]:
    """Those of these jobs that still wait end as `cancelled` or `expired`, and their chats go on."""
    if not rows:
        return []
    yield from query_batch("owners_lock", sorted({(org_no, row["phone_no"]) for row in rows}))
    yield from query_batch("queue_lock", sorted({(org_no, row["phone_no"], row["priority"], INTAKE) for row in rows}))
    yield from query_batch("lanes_lock", sorted({(org_no, r["phone_no"], r["chat_id"], r["priority"]) for r in rows}))
    if state == State.EXPIRED:
        ended = yield from query_batch("jobs_expire", sorted((org_no, row["job_id"]) for row in rows), now=now_us)
    else:
        cancelled = sorted((org_no, row["job_id"], why, detail) for row in rows)
        ended = yield from query_batch("jobs_cancel", cancelled, now=now_us)
    counts, events, heads = CounterChanges(), [], []
    for row in ended:
        counts.add((org_no, row["phone_no"], row["priority"]), waiting=-1, failed=1)
        counts.broadcast(org_no, row["broadcast_no"], failed=1)
        heads.append((org_no, row["phone_no"], row["chat_id"], row["priority"], row["job_id"]))
        event = Event(
            row["job_id"], row["events"], now_us, state, "queued", state, row["ack"], row["attempts"], 0, actor, why,
            detail,
        )  # fmt: skip
        events.append(event_row(org_no, event))
    lanes = yield from query_batch("lanes_headed_by", sorted(heads))
    gone = {row["job_id"] for row in ended}
    again = {}
    for org, phone, chat, priority, not_before, waits_for in lanes:
        # a lane that waits for an uncertain message goes on waiting for it
        keeps = waits_for is not None and waits_for not in gone
        again[org, phone, chat, priority] = NextHead(not_before, waits_for) if keeps else NextHead()
    yield from set_lane_heads(again)
    yield from query_batch("events_insert", events)
    yield from write_counters(INTAKE, counts)
    return [JobId(row["job_id"]) for row in ended]


def orphan_attempts(org_no: int, phone_no: int, actor: str, now_us: int) -> Unit[None]:
    """In the transaction that deletes the phone: what is under way becomes uncertain."""
    jobs = yield from on_the_way_of(org_no, phone_no)
    rows = yield from query_batch("jobs_for_operator", [(org_no, job_id) for job_id in jobs])
    detail = "The phone was deleted while this message was being sent."
    yield from _orphan(org_no, rows, actor, detail, now_us)


def orphan_retries_step(org_no: int, phone_no: int, actor: str, now_us: int) -> Unit[int]:
    """After the rest of a deleted phone's queue was cancelled: what may have been sent becomes uncertain."""
    rows = yield from _waiting(org_no, phone_no, FIRST, maybe_sent=1)
    detail = "The phone was deleted before it was known whether this message had been sent."
    yield from _orphan(org_no, rows, actor, detail, now_us)
    return len(rows)


def _orphan(org_no: int, rows: Sequence[Any], actor: str, detail: str, now_us: int) -> Unit[None]:
    """The phone's counters are gone with it, so there are none to change."""
    lanes = sorted({(org_no, row["phone_no"], row["chat_id"], row["priority"]) for row in rows})
    yield from query_batch("lanes_lock", lanes)
    before = {row["job_id"]: row["state"] for row in rows}
    changed = yield from query_batch(
        "jobs_orphan", sorted((org_no, job, state, detail) for job, state in before.items())
    )
    events = [
        Event(
            row["job_id"], row["events"], now_us, "uncertain", before[row["job_id"]], "uncertain", row["ack"],
            row["attempts"], 0, actor, "phone_deleted", detail,
        )
        for row in changed
    ]  # fmt: skip
    yield from set_lane_heads({priority: NextHead() for priority in lanes})
    yield from query_batch("events_insert", [event_row(org_no, event) for event in events])
