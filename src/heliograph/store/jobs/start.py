"""TX2: the next messages of the phones that may send, durably started.

A lane whose message was sent goes on with its next one at once if nothing else of its phone is ready: its own row is
not written for that. Otherwise all ready lanes stand in line, by lane and age.
Promise: a message past its expiry, or stopped by a person, is not started; each chat has at most one on its way.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event, OutgoingJob
from heliograph.domain.jobs.states import Priority
from heliograph.domain.jobs.verdict import unreadable
from heliograph.ports.sender_store import ALL_PRIORITIES, Settlement, Started, StartRequest
from heliograph.store.database.rows import event_row, outgoing_of, readable
from heliograph.store.database.unit import Rows, Unit, query_batch
from heliograph.store.jobs.events import JobEventBuffer
from heliograph.store.jobs.lanes import CounterChanges, LaneKey, NextHead, mark_chats_known, set_lane_heads
from heliograph.store.jobs.settle import Freed, lane_key, settle

CANDIDATES_WHEN_GATED = 50  # heads that are looked at where chats may have to wait
DUE_AT_ONCE = 200  # lanes promoted for a phone in one transaction
# a busy lane's row learns its head once in about so many messages: what is searched from there on stays short
HEAD_EVERY = 16

Idle = dict[int, int | None]
Standing = Mapping[int, tuple[int, int | None]]  # phone_no → has a ready lane; when its first waiting one falls due
_Head = tuple[int, int, str, int, int, int, int]  # org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq


class StartBatch:
    """One transaction's starts: what stands where, and what they change. `held`: some phone's chats may be held."""

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
        self.events: list[tuple[Any, ...]] = []
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
        """Phones with a lane whose wait is over."""
        due = [phone for phone in self.phones if (us := self.due_us[phone[1]]) is not None and us <= self.now_us]
        self.in_line.update(phone_no for _, phone_no in due)
        return due

    def waits(self, phone_no: int, until_us: int) -> None:
        if phone_no in self.due_us:
            before_us = self.due_us[phone_no]
            self.due_us[phone_no] = until_us if before_us is None else min(before_us, until_us)

    def begin(self, row: Any, *, new_chat: bool) -> OutgoingJob:
        """A job that was started just now, from `$columns(started)`."""
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

    def _cannot_read(self, row: Any) -> OutgoingJob:
        """It is not given to anybody: it ends in this transaction, and its chat goes on."""
        job = outgoing_of(row, readable)
        token = self.wanted[job.phone_no].token
        self.unreadable[job.job_id] = Settlement(job, token, token, unreadable(maybe_sent=job.maybe_sent))
        self._count(job)
        return job

    def note_pace(self) -> Unit[None]:
        """The starts of phones that have a pace to keep."""
        yield from query_batch("pace_insert", self._paced, now=self.now_us)


def start(this: StartBatch, freed: Freed) -> Unit[Idle]:
    """`freed`: lanes of attempts that were settled just now. Gives the phones that could start more, with when
    their next lane falls due; 0: at once.
    """
    for row in (yield from query_batch("lanes_due", this.due(), now=this.now_us, limit=DUE_AT_ONCE)):
        freed[row[0], row[1], row[2], row[3]] = NextHead()
    yield from _start_next_in_lane(this, freed)
    line = yield from _candidates(this)
    chosen, later = _choose(this, line, (yield from _known_chats(this, line)))
    # a chat whose time has not come is put aside once, when it is met
    yield from query_batch("lanes_set", sorted(later))
    for row in later:
        this.waits(row[1], row[7])
    yield from _begin(this, chosen)
    yield from _end_unreadable(this)
    yield from this.note_pace()
    this.started.sort(key=lambda one: (one.job.priority, one.job.seq))
    return (yield from _idle(this))


def _start_next_in_lane(this: StartBatch, freed: Freed) -> Unit[None]:
    """Starts what comes next in freed lanes that need not stand in line; the others get their next head, and do."""
    direct = sorted((key[0], how.sent, this.wanted[key[1]].token) for key, how in _uncontended_lanes(this, freed))
    rest, heads = dict(freed), []
    for row in (yield from query_batch("jobs_start_next", direct, now=this.now_us, held=int(this.held))):
        job = this.begin(row, new_chat=False)
        key = lane_key(job)
        if rest.pop(key).known or hash((job.seq,)) % HEAD_EVERY == 0 or job.job_id in this.unreadable:
            heads.append((*key, job.job_id, job.seq, "busy", None, None, 0))
    # all that is written, in one order: who enqueues behind a lane that ends waits, or was seen
    yield from query_batch("lanes_lock", sorted([*rest, *(head[:4] for head in heads)]))
    yield from query_batch("lanes_set", sorted(heads))
    yield from set_lane_heads(rest)
    yield from mark_chats_known(sorted(key[:3] for key, how in freed.items() if how.known), this.now_us)
    for key, how in rest.items():
        if how.not_before_us is not None:
            this.waits(key[1], how.not_before_us)
        else:
            this.in_line.add(key[1])


def _uncontended_lanes(this: StartBatch, freed: Freed) -> list[tuple[LaneKey, NextHead]]:
    """Lanes that need not stand in line: no other lane of their phone is ready, and there is room for all of them."""
    lanes: dict[int, list[tuple[LaneKey, NextHead]]] = {}
    for key, how in freed.items():
        if how.not_before_us is None:
            lanes.setdefault(key[1], []).append((key, how))
    found: list[tuple[LaneKey, NextHead]] = []
    for phone_no, ends in lanes.items():
        wish = this.wanted.get(phone_no)
        if wish is None or wish.gate is not None or wish.limit < len(ends) or phone_no in this.in_line:
            continue
        if any(how.sent is None for _, how in ends):
            continue
        if wish.priorities is not ALL_PRIORITIES and any(Priority(key[3]) not in wish.priorities for key, _ in ends):
            continue
        found += ends
    return found


def _candidates(this: StartBatch) -> Unit[Rows]:
    phones = [phone for phone in this.phones if phone[1] in this.in_line]
    if not phones:
        return []
    wishes = [this.wanted[phone_no] for _, phone_no in phones]
    most = max(max(CANDIDATES_WHEN_GATED, wish.limit) if wish.gate else wish.limit for wish in wishes)
    return (yield from query_batch("lanes_candidates", phones, limit=most))


def _known_chats(this: StartBatch, line: Rows) -> Unit[set[tuple[int, str]]]:
    """Of the lanes that say that their chat is new, the chats that are not: they became known while they were fed.
    Only for phones where it matters.
    """
    counted = {no for no, wish in this.wanted.items() if wish.paced or wish.new_limit < wish.limit}
    new = sorted({(row[0], row[1], row[2]) for row in line if row[4] and row[1] in counted})
    return {(row["phone_no"], row["chat_id"]) for row in (yield from query_batch("chats_known_among", new))}


def _choose(this: StartBatch, found: Rows, known: set[tuple[int, str]]) -> tuple[list[_Head], list[tuple[Any, ...]]]:
    """Of each phone the first heads by lane and age, one for each chat, of the classes it may send to now; and the
    lanes that have to wait, for `lanes_set`. `known`: chats that are not new, whatever their lanes say.
    """
    left = dict(this.left)
    new_left = {phone_no: wish.new_limit for phone_no, wish in this.wanted.items()}
    chosen: list[_Head] = []
    later, chats = [], set()
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


def _order(row: Any) -> tuple[int, int]:
    return row[3], row[6]


def _begin(this: StartBatch, chosen: list[_Head]) -> Unit[None]:
    heads: dict[JobId, _Head] = {JobId(head[5]): head for head in chosen}
    rows = sorted((head[0], head[5], this.wanted[head[1]].token) for head in chosen)
    busy = []
    for row in (yield from query_batch("jobs_start", rows, now=this.now_us, held=int(this.held))):
        org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq = heads.pop(row[0])
        this.begin(row, new_chat=bool(new_chat))
        busy.append((org_no, phone_no, chat_id, priority, head_job, head_seq, "busy", None, None, new_chat))
    yield from query_batch("lanes_set", sorted(busy))
    if heads:
        yield from _handle_unstartable(this, list(heads.values()))
        this.in_line.update(head[1] for head in heads.values())


def _end_unreadable(this: StartBatch) -> Unit[None]:
    """Their lanes are locked, and stand as busy."""
    if not this.unreadable:
        return
    yield from this.moved.write(this.now_us)  # their starts, before what comes after
    _, freed = yield from settle(list(this.unreadable.values()), this.now_us, this.counts, this.moved)
    yield from set_lane_heads(freed)
    this.in_line.update(key[1] for key in freed)


def _handle_unstartable(this: StartBatch, heads: list[_Head]) -> Unit[None]:
    """Heads that were not started: their chat or broadcast was stopped, or they are past their expiry (or are no
    waiting message at all: such a lane gets its right head again).
    """
    left = {head[5]: head for head in heads}
    for row in (yield from query_batch("lanes_hold", sorted((*head[:4], head[5]) for head in heads))):
        left.pop(row[0])
    lanes = {head[:4]: NextHead() for head in left.values()}
    ended = sorted((head[0], head[5]) for head in left.values())
    for row in (yield from query_batch("jobs_expire", ended, now=this.now_us)):
        this.counts.add((row["org_no"], row["phone_no"], Priority(row["priority"])), waiting=-1, failed=1)
        this.counts.broadcast(row["org_no"], row["broadcast_no"], failed=1)
        event = Event(
            row["job_id"], row["events"], this.now_us, "expired", "queued", "expired", row["ack"], row["attempts"], 0,
            "engine", "expired", "Expired before it was sent.",
        )  # fmt: skip
        this.events.append(event_row(row["org_no"], event))
    yield from set_lane_heads(lanes)


def _idle(this: StartBatch) -> Unit[Idle]:
    """Phones that could start more: when their next lane falls due."""
    idle = {phone_no: this.due_us[phone_no] for phone_no, left in this.left.items() if left > 0}
    again = [phone for phone in this.phones if phone[1] in idle and phone[1] in this.in_line]
    for _, phone_no, ready, due_us in (yield from query_batch("phones_next_start", again)):
        idle[phone_no] = 0 if ready else due_us
    return idle
