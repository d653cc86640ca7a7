"""TX2: durably starts the next messages of the phones that may send.

A lane whose message was sent starts its next one at once if nothing else of its phone is ready: its own row is not
written for that. Otherwise ready lanes are taken in order of priority, then age.
Promise: a message that is past its expiry or stopped by a person is not started; each chat has at most one in flight.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event, OutgoingJob
from heliograph.domain.jobs.states import Priority
from heliograph.domain.jobs.verdict import unreadable
from heliograph.ports.stores.sender_store import ALL_PRIORITIES, Settlement, Started, StartRequest
from heliograph.store.database import named
from heliograph.store.database.rows import EventRow, event_row, outgoing_of, readable
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.events import JobEventBuffer
from heliograph.store.jobs.lanes import CounterChanges, LaneHead, LaneKey, NextHead, mark_chats_known, set_lane_heads
from heliograph.store.jobs.settle import Freed, lane_key, settle

CANDIDATES_WHEN_GATED = 50  # heads that are read where chats may have to wait
DUE_AT_ONCE = 200  # lanes promoted for a phone in one transaction
# the row of a busy lane gets its new head about every 16th message, so that the search from there on stays short
HEAD_EVERY = 16

Idle = dict[int, int | None]
Standing = Mapping[int, tuple[int, int | None]]  # phone_no → has a ready lane; when its first waiting one falls due
# org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq
_Head: TypeAlias = "named.LanesCandidatesValues"


class StartBatch:
    """The starts of one transaction: the phones' states, and what changes. `held`: some chats may be held."""

    def __init__(
        self,
        wishes: Sequence[StartRequest],
        standing: Standing,
        *,
        now_us: int,
        held: bool,
        counts: CounterChanges,
        moved: JobEventBuffer,
    ) -> None:
        self.now_us = now_us
        self.held = held
        self.counts = counts
        self.moved = moved
        self.events: list[EventRow] = []
        self.started: list[Started] = []
        self.wanted = {wish.phone_no: wish for wish in wishes if wish.limit > 0}
        self.left = {phone_no: wish.limit for phone_no, wish in self.wanted.items()}  # how many each may still start
        self.phones = sorted((wish.org_no, wish.phone_no) for wish in self.wanted.values())
        # when the first of a phone's waiting lanes falls due
        self.due_us: Idle = {phone_no: standing[phone_no][1] for phone_no in self.wanted}
        # phones whose ready lanes must be looked at
        self.in_line = {phone_no for phone_no in self.wanted if standing[phone_no][0]}
        self.unreadable: dict[JobId, Settlement] = {}
        self._paced: list[tuple[int, int, str, int]] = []

    def due(self) -> list[tuple[int, int]]:
        """Gives the phones with a lane whose wait is over."""
        due = [phone for phone in self.phones if (us := self.due_us[phone[1]]) is not None and us <= self.now_us]
        self.in_line.update(phone_no for _, phone_no in due)
        return due

    def waits(self, phone_no: int, until_us: int | None) -> None:
        if until_us is not None and phone_no in self.due_us:
            before_us = self.due_us[phone_no]
            self.due_us[phone_no] = until_us if before_us is None else min(before_us, until_us)

    def begin(self, row: "named.StartedValues", *, new_chat: bool) -> OutgoingJob:
        """Notes a job that was started just now."""
        try:
            job = outgoing_of(row)
        except msgspec.DecodeError:
            return self._cannot_read(row)
        wish = self.wanted[job.phone_no]
        self.started.append(Started(job, wish.token, new_chat=new_chat))
        self.left[job.phone_no] -= 1
        self._count(job)
        if wish.paced:
            self._paced.append((job.org_no, job.phone_no, job.chat_id, int(new_chat)))
        return job

    def _count(self, job: OutgoingJob) -> None:
        self.counts.add((job.org_no, job.phone_no, int(job.priority)), waiting=-1, active=1)
        self.moved.started.append((job.job_id,))

    def _cannot_read(self, row: "named.StartedValues") -> OutgoingJob:
        """Notes a job that cannot be decoded: it ends in this transaction, and its chat goes on."""
        job = outgoing_of(row, readable)
        token = self.wanted[job.phone_no].token
        self.unreadable[job.job_id] = Settlement(job, token, token, unreadable(maybe_sent=job.maybe_sent))
        self._count(job)
        return job

    def note_pace(self) -> Unit[None]:
        """Writes the starts of phones that have a pace to keep."""
        yield from query(named.pace_log_insert(self._paced, now=self.now_us))


def start(this: StartBatch, freed: Freed) -> Unit[Idle]:
    """Gives the phones that could start more, with when their next lane falls due; 0: at once.

    `freed`: the lanes of attempts that were settled just now.
    """
    for row in (yield from query_values(named.lanes_due(this.due(), now=this.now_us, limit=DUE_AT_ONCE))):
        freed[row[0], row[1], row[2], row[3]] = NextHead()
    yield from _start_next_in_lane(this, freed)
    found = yield from _candidates(this)
    chosen, later = _choose(this, found, (yield from _known_chats(this, found)))
    # a chat whose time has not come is postponed once, when it becomes next
    yield from query(named.lanes_set(sorted(later)))
    for head in later:
        this.waits(head[1], head[7])
    yield from _begin(this, chosen)
    yield from _end_unreadable(this)
    yield from this.note_pace()
    this.started.sort(key=lambda one: (one.job.priority, one.job.seq))
    return (yield from _idle(this))


def _start_next_in_lane(this: StartBatch, freed: Freed) -> Unit[None]:
    """Starts the next message of freed lanes that have no competitor; the others get their next head."""
    direct = sorted((key[0], job_id, this.wanted[key[1]].token) for key, job_id in _uncontended_lanes(this, freed))
    rest, heads = dict(freed), list[LaneHead]()
    for row in (yield from query_values(named.jobs_start_next(direct, now=this.now_us, held=int(this.held)))):
        job = this.begin(row, new_chat=False)
        key = lane_key(job)
        if rest.pop(key).known or hash((job.seq,)) % HEAD_EVERY == 0 or job.job_id in this.unreadable:
            heads.append((*key, job.job_id, job.seq, "busy", None, None, 0))
    # lock all lanes that are written, in one order: whoever enqueues behind a lane that ends waits, or was seen
    yield from query(named.lanes_lock(sorted([*rest, *(head[:4] for head in heads)])))
    yield from query(named.lanes_set(sorted(heads)))
    yield from set_lane_heads(rest)
    yield from mark_chats_known(sorted(key[:3] for key, how in freed.items() if how.known), this.now_us)
    for key, how in rest.items():
        this.waits(key[1], how.not_before_us)
        if how.not_before_us is None:
            this.in_line.add(key[1])


def _uncontended_lanes(this: StartBatch, freed: Freed) -> list[tuple[LaneKey, JobId]]:
    """Gives the lanes without competitors: no other lane of their phone is ready, and all of them may start."""
    lanes: dict[int, list[tuple[LaneKey, NextHead]]] = {}
    for key, how in freed.items():
        if how.not_before_us is None:
            lanes.setdefault(key[1], []).append((key, how))
    found: list[tuple[LaneKey, JobId]] = []
    for phone_no, ends in lanes.items():
        wish = this.wanted.get(phone_no)
        if wish is None or wish.gate is not None or wish.limit < len(ends) or phone_no in this.in_line:
            continue
        sent = [(key, how.sent) for key, how in ends if how.sent is not None]
        if len(sent) < len(ends):
            continue
        if wish.priorities is not ALL_PRIORITIES and any(Priority(key[3]) not in wish.priorities for key, _ in ends):
            continue
        found += sent
    return found


def _candidates(this: StartBatch) -> Unit[Sequence[_Head]]:
    phones = [phone for phone in this.phones if phone[1] in this.in_line]
    if not phones:
        return []
    wishes = [this.wanted[phone_no] for _, phone_no in phones]
    most = max(max(CANDIDATES_WHEN_GATED, wish.limit) if wish.gate else wish.limit for wish in wishes)
    return (yield from query_values(named.lanes_candidates(phones, limit=most)))


def _known_chats(this: StartBatch, heads: Sequence[_Head]) -> Unit[set[tuple[int, str]]]:
    """Gives the chats that are known although their lanes count as new: they became known while enqueued.

    Only for phones where it matters.
    """
    counted = {no for no, wish in this.wanted.items() if wish.paced or wish.new_limit < wish.limit}
    new = sorted({(row[0], row[1], row[2]) for row in heads if row[4] and row[1] in counted})
    return {(row["phone_no"], row["chat_id"]) for row in (yield from query(named.chats_known_among(new)))}


def _choose(
    this: StartBatch, found: Sequence[_Head], known: set[tuple[int, str]]
) -> tuple[list[_Head], list[LaneHead]]:
    """Chooses the first heads of each phone by priority and age, one for each chat, as many as its limits allow.

    Gives them and the lanes that have to wait, for `lanes_set`. `known`: chats that are not new although their lanes
    say so.
    """
    left = dict(this.left)
    new_left = {phone_no: wish.new_limit for phone_no, wish in this.wanted.items()}
    chosen: list[_Head] = []
    later: list[LaneHead] = []
    chats: set[tuple[int, str]] = set()
    for row in sorted(found, key=_order):
        org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq = row
        wish = this.wanted[phone_no]
        chat = (phone_no, chat_id)
        if priority not in wish.priorities or chat in chats:
            continue
        if wish.gate is not None and (until_us := wish.gate(chat_id, this.now_us)) is not None:
            later.append((org_no, phone_no, chat_id, priority, head_job, head_seq, "delayed", until_us, None, None))
            continue
        if chat in known:
            new_chat = 0
        is_new = bool(new_chat)
        if left[phone_no] > 0 and (not is_new or new_left[phone_no] > 0):
            left[phone_no] -= 1
            new_left[phone_no] -= is_new
            chats.add(chat)
            chosen.append((org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq))
    return chosen, later


def _order(row: _Head) -> tuple[int, int]:
    return row[3], row[6]


def _begin(this: StartBatch, chosen: list[_Head]) -> Unit[None]:
    heads: dict[JobId, _Head] = {head[5]: head for head in chosen}
    rows = sorted((head[0], head[5], this.wanted[head[1]].token) for head in chosen)
    busy: list[LaneHead] = []
    for row in (yield from query_values(named.jobs_start(rows, now=this.now_us, held=int(this.held)))):
        org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq = heads.pop(row[0])
        this.begin(row, new_chat=bool(new_chat))
        busy.append((org_no, phone_no, chat_id, priority, head_job, head_seq, "busy", None, None, new_chat))
    yield from query(named.lanes_set(sorted(busy)))
    if heads:
        yield from _handle_unstartable(this, list(heads.values()))
        this.in_line.update(head[1] for head in heads.values())


def _end_unreadable(this: StartBatch) -> Unit[None]:
    """Settles jobs that cannot be decoded; their lanes are locked, and busy."""
    if not this.unreadable:
        return
    yield from this.moved.write(this.now_us)  # their starts, before what comes after
    _, freed = yield from settle(list(this.unreadable.values()), this.now_us, this.counts, this.moved)
    yield from set_lane_heads(freed)
    this.in_line.update(key[1] for key in freed)


def _handle_unstartable(this: StartBatch, heads: list[_Head]) -> Unit[None]:
    """Handles heads that were not started: they are held, or past their expiry.

    A head that is no waiting message at all is replaced by the right one.
    """
    left = {head[5]: head for head in heads}
    for row in (yield from query_values(named.lanes_hold(sorted((*head[:4], head[5]) for head in heads)))):
        left.pop(row[0])
    lanes = {head[:4]: NextHead() for head in left.values()}
    ended = sorted((head[0], head[5]) for head in left.values())
    for job in (yield from query(named.jobs_expire(ended, now=this.now_us))):
        this.counts.add((job["org_no"], job["phone_no"], Priority(job["priority"])), waiting=-1, failed=1)
        this.counts.broadcast(job["org_no"], job["broadcast_no"], failed=1)
        event = Event(
            job["job_id"], job["events"], this.now_us, "expired", "queued", "expired", job["ack"], job["attempts"], 0,
            "engine", "expired", "Expired before it was sent.",
        )  # fmt: skip
        this.events.append(event_row(job["org_no"], event))
    yield from set_lane_heads(lanes)


def _idle(this: StartBatch) -> Unit[Idle]:
    """Gives the phones that could start more, with when their next lane falls due."""
    idle = {phone_no: this.due_us[phone_no] for phone_no, left in this.left.items() if left > 0}
    again = [phone for phone in this.phones if phone[1] in idle and phone[1] in this.in_line]
    for _, phone_no, ready, due_us in (yield from query_values(named.phones_next_start(again))):
        idle[phone_no] = 0 if ready else due_us
    return idle
