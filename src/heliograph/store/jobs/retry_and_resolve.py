"""Applies an operator's decisions on single messages: try now, send again, mark as arrived, give up.

Promise: each decision is one transaction with its event, under the sender's locks (owner, counters, lanes, jobs). A
message that changed its state in the meantime is refused with that state, and nothing is changed.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event
from heliograph.domain.jobs.states import Ack, State
from heliograph.store.database import named
from heliograph.store.database.rows import event_row
from heliograph.store.database.unit import Unit, query
from heliograph.store.jobs.lanes import (
    INTAKE,
    CounterChanges,
    LaneKey,
    NextHead,
    in_flight_jobs,
    mark_chats_known,
    set_lane_heads,
    write_counters,
)

_Places: TypeAlias = "Sequence[named.JobsForOperatorColumns]"
_Locked: TypeAlias = "Sequence[named.JobsForOperatorLockColumns]"


class Resolution(StrEnum):
    """The decision of a person on an uncertain message."""

    ARRIVED = "arrived"
    AGAIN = "again"
    GIVE_UP = "give_up"


def retry_now(org_no: int, job_ids: Sequence[JobId], actor: str, now_us: int) -> Unit[dict[JobId, str]]:
    """Starts waiting retries at once, and puts failed messages back at the end. Gives the refused ones with states.

    `queued`: other messages are before it, so that there is nothing to try.
    """
    found = {row["job_id"]: row for row in (yield from _look(org_no, job_ids))}
    waiting = [row for row in found.values() if row["state"] == State.QUEUED]
    failed = [row for row in found.values() if row["state"] == State.FAILED]
    refused = {job: row["state"] for job, row in found.items() if row["state"] not in (State.QUEUED, State.FAILED)}
    refused |= {job: "unknown" for job in job_ids if job not in found}
    yield from _before_lanes(org_no, failed + waiting)
    yield from query(named.lanes_lock(_lanes(org_no, failed + waiting)))
    refused |= yield from _put_back(org_no, failed, actor, now_us)
    refused |= yield from _hurry(org_no, waiting, actor, now_us)
    return refused


def put_back(org_no: int, job_ids: Sequence[JobId], actor: str, now_us: int) -> Unit[list[JobId]]:
    """Puts failed messages back at the end of the queue; gives those that were moved."""
    rows = [row for row in (yield from _look(org_no, job_ids)) if row["state"] == State.FAILED]
    yield from _before_lanes(org_no, rows)
    refused = yield from _put_back(org_no, rows, actor, now_us)
    return [row["job_id"] for row in rows if row["job_id"] not in refused]


def resolve(org_no: int, job_id: JobId, how: Resolution, actor: str, now_us: int) -> Unit[str | None]:
    """Settles an uncertain message. None: done; else the state it is in (`unknown`: there is no such message)."""
    rows = yield from _look(org_no, [job_id])
    if not rows or rows[0]["state"] != State.UNCERTAIN:
        return rows[0]["state"] if rows else "unknown"
    row = rows[0]
    lane: LaneKey = (org_no, row["phone_no"], row["chat_id"], row["priority"])
    place = (org_no, row["phone_no"], row["priority"])
    yield from query(named.leases_lock([(org_no, row["phone_no"])]))
    yield from query(named.queue_lock([(*place, INTAKE)]))
    if how is Resolution.AGAIN:
        if not (yield from query(named.queue_reserve([(*place, 0)]))):
            return State.UNCERTAIN.value  # its phone was deleted: nobody would send it
        yield from query(named.lanes_open([(*lane, row["seq"])]))
    yield from query(named.lanes_lock([lane]))
    (job,) = yield from query(named.jobs_for_operator_lock([(org_no, job_id)]))
    if job["state"] != State.UNCERTAIN:
        yield from set_lane_heads((yield from _headless(org_no, rows, {lane: row["seq"]})))
        return job["state"]
    counts = CounterChanges()
    reason: str | None = None
    seq: int | None = None
    match how:
        case Resolution.ARRIVED:
            state, attempts, ack = State.SENT, job["attempts"], max(job["ack"], int(Ack.SENT))
            detail = f"Marked as arrived by {actor}."
            counts.add(place, active=-1, completed=1)
            counts.broadcast(org_no, job["broadcast_no"], sent=1)
            yield from mark_chats_known([lane[:3]], now_us)
        case Resolution.AGAIN:
            state, attempts, ack = State.QUEUED, 0, job["ack"]
            detail = f"Sent again by {actor}."
            counts.add(place, active=-1, waiting=1)
            seq = yield from _change_places(lane, row["seq"])
        case Resolution.GIVE_UP:
            state, attempts, ack, reason = State.FAILED, job["attempts"], job["ack"], "given_up"
            detail = f"Given up by {actor}."
            counts.add(place, active=-1, failed=1)
            counts.broadcast(org_no, job["broadcast_no"], failed=1)
    steered = yield from query(
        named.jobs_set_by_operator(
            [(org_no, job_id, state, seq, attempts, reason, detail if reason else None, ack)], now=now_us
        )
    )
    yield from _write_events(org_no, [job], steered, "resolved", state, actor, detail, now_us)
    yield from set_lane_heads((yield from _freed(lane, job_id, row["seq"] if how is Resolution.AGAIN else None)))
    yield from write_counters(INTAKE, counts)
    return None


def _change_places(lane: LaneKey, seq: int) -> Unit[int | None]:
    """Makes a message that is sent again the next of its chat. If one is in flight, they change places.

    Gives the new place. None: it is after that one anyway, or nothing is in flight.
    """
    for row in (yield from _look(lane[0], (yield from in_flight_jobs([lane])))):
        if row["seq"] < seq:
            return None
        yield from query(named.jobs_set_seq([(lane[0], row["job_id"], seq)]))
        yield from query(named.lanes_lower_head_seq([(*lane, seq)]))
        return row["seq"]
    return None


def _freed(lane: LaneKey, job_id: JobId, again: int | None) -> Unit[dict[LaneKey, NextHead]]:
    """Gives the chat's lane, if the message blocked it, or becomes its head at the place `again`."""
    for row in (yield from query(named.lanes_of_jobs([(*lane, job_id)]))):
        if row["status"] == "busy":
            continue  # it gets its next head when what is in flight is settled
        since = again if row["head_seq"] is None or again is None else min(again, row["head_seq"])
        if row["waits_for"] is not None and row["waits_for"] != job_id:
            return {lane: NextHead(row["not_before"], row["waits_for"], since=since)}
        if row["waits_for"] == job_id or again is not None:
            return {lane: NextHead(since=since)}
    return {}


def _look(org_no: int, job_ids: Sequence[JobId]) -> Unit[_Places]:
    return (yield from query(named.jobs_for_operator([(org_no, job_id) for job_id in sorted(set(job_ids))])))


def _lanes(org_no: int, rows: _Places) -> list[LaneKey]:
    return sorted({(org_no, row["phone_no"], row["chat_id"], row["priority"]) for row in rows})


def _before_lanes(org_no: int, rows: _Places) -> Unit[None]:
    """Takes the locks that come before those of lanes and jobs."""
    failed = {row["broadcast_no"] for row in rows if row["state"] == State.FAILED}
    yield from query(named.broadcasts_lock(sorted((org_no, no) for no in failed if no is not None)))
    yield from query(named.leases_lock(sorted({(org_no, row["phone_no"]) for row in rows})))
    yield from query(named.queue_lock(sorted({(org_no, row["phone_no"], row["priority"], INTAKE) for row in rows})))


def _put_back(org_no: int, rows: _Places, actor: str, now_us: int) -> Unit[dict[JobId, str]]:
    """Puts failed messages back. Gives those in another state under the lock, and those of a deleted phone."""
    seqs = yield from _places(org_no, rows)
    homeless = {row["job_id"]: str(row["state"]) for row in rows if (row["phone_no"], row["priority"]) not in seqs}
    rows = [row for row in rows if row["job_id"] not in homeless]
    opened = {
        (org_no, row["phone_no"], row["chat_id"], row["priority"]): seqs[row["phone_no"], row["priority"]]
        for row in rows
    }
    yield from query(named.lanes_open([(*lane, seq) for lane, seq in sorted(opened.items())]))
    yield from query(named.lanes_lock(sorted(opened)))
    jobs = yield from query(named.jobs_for_operator_lock([(org_no, row["job_id"]) for row in rows]))
    refused = homeless | _elsewhere(rows, jobs, State.FAILED)
    jobs = [job for job in jobs if job["state"] == State.FAILED]
    changes, counts = [], CounterChanges()
    for job in jobs:
        place = (job["phone_no"], job["priority"])
        changes.append((org_no, job["job_id"], State.QUEUED, seqs[place], 0, None, None, 0))
        seqs[place] += 1
        counts.add((org_no, *place), waiting=1, failed=-1)
        counts.broadcast(org_no, job["broadcast_no"], failed=-1)
    steered = yield from query(named.jobs_set_by_operator(changes, now=now_us))
    detail = f"Put back into the queue by {actor}."
    yield from _write_events(org_no, jobs, steered, "moved", State.QUEUED, actor, detail, now_us)
    yield from set_lane_heads((yield from _headless(org_no, rows, opened)))
    yield from write_counters(INTAKE, counts)
    for broadcast_no in sorted({job["broadcast_no"] for job in jobs if job["broadcast_no"] is not None}):
        yield from query(named.broadcast_reopen(org_no=org_no, broadcast_no=broadcast_no, now=now_us))
    return refused


def _places(org_no: int, jobs: _Places) -> Unit[dict[tuple[int, int], int]]:
    """Reserves places in the order; gives the first, by phone and priority."""
    needed: dict[tuple[int, int], int] = {}
    for job in jobs:
        place = (job["phone_no"], job["priority"])
        needed[place] = needed.get(place, 0) + 1
    rows = yield from query(named.queue_reserve([(org_no, *place, count) for place, count in sorted(needed.items())]))
    return {
        (row["phone_no"], row["priority"]): row["next_seq"] - needed[row["phone_no"], row["priority"]] for row in rows
    }


def _headless(org_no: int, jobs: _Places, since: Mapping[LaneKey, int]) -> Unit[dict[LaneKey, NextHead]]:
    """Gives the lanes of these jobs that have no head: new ones, and delayed ones without waiting jobs.

    The job to be found was put back at the lane's place in `since`, or later.
    """
    keys = [(org_no, j["phone_no"], j["chat_id"], j["priority"], j["job_id"]) for j in jobs]
    found: dict[LaneKey, NextHead] = {}
    for row in (yield from query(named.lanes_of_jobs(sorted(keys)))):
        if row["head_job"] is None and row["status"] != "busy":
            lane = (row["org_no"], row["phone_no"], row["chat_id"], row["priority"])
            found[lane] = NextHead(row["not_before"], row["waits_for"], since=since[lane])
    return found


def _elsewhere(rows: _Places, locked: _Locked, expected: State) -> dict[JobId, str]:
    """Gives the jobs that are in another state now, or pruned."""
    states = {job["job_id"]: job["state"] for job in locked}
    found = {row["job_id"]: states.get(row["job_id"], "unknown") for row in rows}
    return {job_id: state for job_id, state in found.items() if state != expected}


def _hurry(org_no: int, rows: _Places, actor: str, now_us: int) -> Unit[dict[JobId, str]]:
    """Makes messages that wait for their retry or their chat start at once. Gives those that do not.

    These are behind others, held by a person, or in another state by now.
    """
    keys = [(org_no, r["phone_no"], r["chat_id"], r["priority"], r["job_id"]) for r in rows]
    jobs = {
        job["job_id"]: job
        for job in (yield from query(named.jobs_for_operator_lock([(org_no, r["job_id"]) for r in rows])))
    }
    refused = _elsewhere(rows, list(jobs.values()), State.QUEUED)
    lanes: dict[LaneKey, NextHead] = {}
    changes, hurried, goes = [], [], set(refused)
    for row in (yield from query(named.lanes_of_jobs(sorted(keys)))):
        job_id = row["job_id"]
        if job_id in refused or row["head_job"] != job_id or row["status"] not in ("ready", "delayed"):
            continue
        if row["waits_for"] is not None and row["waits_for"] != job_id:
            continue  # an uncertain message stands before it: that one must be resolved
        goes.add(job_id)
        if row["status"] == "ready":
            continue  # its wait is over already
        job = jobs[job_id]
        lanes[row["org_no"], row["phone_no"], row["chat_id"], row["priority"]] = NextHead()
        changes.append((org_no, job_id, State.QUEUED, None, job["attempts"], None, None, job["ack"]))
        hurried.append(job)
    steered = yield from query(named.jobs_set_by_operator(changes, now=now_us))
    yield from _write_events(
        org_no, hurried, steered, "moved", State.QUEUED, actor, f"Tried at once, asked by {actor}.", now_us
    )
    yield from set_lane_heads(lanes)
    return refused | {row["job_id"]: str(State.QUEUED) for row in rows if row["job_id"] not in goes}


def _write_events(
    org_no: int,
    jobs: _Locked,
    steered: "Sequence[named.JobsSetByOperatorColumns]",
    kind: str,
    after: State,
    actor: str,
    detail: str,
    now_us: int,
) -> Unit[None]:
    numbers = {row["job_id"]: row["events"] for row in steered}
    rows = []
    for job in jobs:
        ack = max(job["ack"], int(Ack.SENT)) if after is State.SENT else 0 if kind == "moved" else job["ack"]
        event = Event(
            job["job_id"], numbers[job["job_id"]], now_us, kind, str(job["state"]), after.value, ack, job["attempts"],
            0, actor, None, detail,
        )  # fmt: skip
        rows.append(event_row(org_no, event))
    yield from query(named.events_insert(rows))
