"""Ends jobs without sending them: purged jobs, and those of a deleted phone.

Promise: only jobs that have not started are cancelled. One that may have been sent stays until its receipt comes or a
person decides.
"""

from collections.abc import Sequence

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event
from heliograph.domain.jobs.states import State
from heliograph.store.database import named
from heliograph.store.database.rows import event_row
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.lanes import INTAKE, CounterChanges, NextHead, on_the_way_of, set_lane_heads, write_counters

STEP = 500
Place = tuple[str, int, int]  # chat_id, priority, seq: in the order in which a phone's queue is read
FIRST: Place = ("", 0, 0)
_WORDS = {
    "purged": "Purged before it was sent.",
    "phone_deleted": "The phone was deleted before it was sent.",
    "broadcast_cancelled": "Its broadcast was cancelled before it was sent.",
}


def purge_named(
    org_no: int, phone_no: int | None, job_ids: Sequence[JobId], actor: str, now_us: int
) -> Unit[list[JobId]]:
    found = yield from query(named.jobs_waiting_by_id([(org_no, job_id) for job_id in sorted(job_ids)]))
    rows = [row for row in found if phone_no is None or row["phone_no"] == phone_no]
    return (yield from cancel_rows(org_no, rows, actor, "purged", now_us))


def purge_step(
    org_no: int, phone_no: int, after: Place, actor: str, why: str, now_us: int
) -> Unit[tuple[list[JobId], Place | None]]:
    """Cancels the next waiting jobs of the phone; gives them with the place to go on from, None at the end."""
    rows = yield from _waiting(org_no, phone_no, after, maybe_sent=0)
    ended = yield from cancel_rows(org_no, rows, actor, why, now_us)
    last = rows[-1] if rows else None
    return ended, None if last is None else (last["chat_id"], last["priority"], last["seq"] + 1)


def _waiting(
    org_no: int, phone_no: int, after: Place, *, maybe_sent: int
) -> Unit[Sequence["named.JobsWaitingInLanesColumns"]]:
    chat_id, priority, seq = after
    return (
        yield from query(
            named.jobs_waiting_in_lanes(org_no=org_no, phone_no=phone_no, chat_id=chat_id, priority=priority, seq=seq,
            maybe_sent=maybe_sent, limit=STEP,
        ))
    )  # fmt: skip


def cancel_rows(
    org_no: int, rows: Sequence["named.JobPlaceColumns"], actor: str, why: str, now_us: int
) -> Unit[list[JobId]]:
    detail = _WORDS[why]
    return (yield from end_rows(org_no, rows, "cancelled", actor, why, detail, now_us))


def end_rows(
    org_no: int, rows: Sequence["named.JobPlaceColumns"], state: str, actor: str, why: str, detail: str, now_us: int
) -> Unit[list[JobId]]:
    """Ends those of these jobs that still wait as `cancelled` or `expired`; their chats go on."""
    if not rows:
        return []
    yield from query(named.leases_lock(sorted({(org_no, row["phone_no"]) for row in rows})))
    yield from query(named.queue_lock(sorted({(org_no, row["phone_no"], row["priority"], INTAKE) for row in rows})))
    yield from query(named.lanes_lock(sorted({(org_no, r["phone_no"], r["chat_id"], r["priority"]) for r in rows})))
    ended: Sequence[named.JobsCancelColumns]
    if state == State.EXPIRED:
        ended = yield from query(named.jobs_expire(sorted((org_no, row["job_id"]) for row in rows), now=now_us))
    else:
        cancelled = sorted((org_no, row["job_id"], why, detail) for row in rows)
        ended = yield from query(named.jobs_cancel(cancelled, now=now_us))
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
    lanes = yield from query_values(named.lanes_headed_by(sorted(heads)))
    gone = {row["job_id"] for row in ended}
    again = {}
    for org, phone, chat, priority, not_before, waits_for in lanes:
        # a lane that waits for an uncertain message goes on waiting for it
        keeps = waits_for is not None and waits_for not in gone
        again[org, phone, chat, priority] = NextHead(not_before, waits_for) if keeps else NextHead()
    yield from set_lane_heads(again)
    yield from query(named.events_insert(events))
    yield from write_counters(INTAKE, counts)
    return [row["job_id"] for row in ended]


def orphan_attempts(org_no: int, phone_no: int, actor: str, now_us: int) -> Unit[None]:
    """Marks jobs in flight as uncertain, in the transaction that deletes the phone."""
    jobs = yield from on_the_way_of(org_no, phone_no)
    rows = yield from query(named.jobs_for_operator([(org_no, job_id) for job_id in jobs]))
    detail = "The phone was deleted while this message was being sent."
    yield from _orphan(org_no, rows, actor, detail, now_us)


def orphan_retries_step(org_no: int, phone_no: int, actor: str, now_us: int) -> Unit[int]:
    """Marks jobs that may have been sent as uncertain, after the rest of a deleted phone's queue was cancelled."""
    rows = yield from _waiting(org_no, phone_no, FIRST, maybe_sent=1)
    detail = "The phone was deleted before it was known whether this message had been sent."
    yield from _orphan(org_no, rows, actor, detail, now_us)
    return len(rows)


def _orphan(
    org_no: int, rows: Sequence["named.JobsWaitingInLanesColumns"], actor: str, detail: str, now_us: int
) -> Unit[None]:
    """Marks jobs as uncertain. The phone's counters were deleted with it, so there are none to change."""
    lanes = sorted({(org_no, row["phone_no"], row["chat_id"], row["priority"]) for row in rows})
    yield from query(named.lanes_lock(lanes))
    before = {row["job_id"]: row["state"] for row in rows}
    changed = yield from query(
        named.jobs_set_uncertain(sorted((org_no, job, state, detail) for job, state in before.items()))
    )
    events = [
        Event(
            row["job_id"], row["events"], now_us, "uncertain", before[row["job_id"]], "uncertain", row["ack"],
            row["attempts"], 0, actor, "phone_deleted", detail,
        )
        for row in changed
    ]  # fmt: skip
    yield from set_lane_heads({priority: NextHead() for priority in lanes})
    yield from query(named.events_insert([event_row(org_no, event) for event in events]))
