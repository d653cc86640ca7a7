"""TX2: the next messages of the phones that may send, durably started.

A lane whose message was sent goes on with its next one at once if nothing else of its phone is ready: it is written
once, and never passes through the index of ready lanes. Otherwise all ready lanes stand in line, by lane and age.
Promise: a message past its expiry, or stopped by a person, is not started; each chat has at most one on its way.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from heliograph.domain.job import Event
from heliograph.domain.states import Class, Lane, State
from heliograph.ports.engine import ALL_LANES, Started, StartWish
from heliograph.store.lanes import Counts, LaneKey, Relink, relink
from heliograph.store.moved import Moved
from heliograph.store.rows import event_row, outgoing_of
from heliograph.store.settle import Freed
from heliograph.store.unit import Rows, Unit, batch

GATED = 50  # heads that are looked at where chats may have to wait
DUE_AT_ONCE = 200  # lanes promoted for a phone in one transaction

Idle = dict[int, int | None]
_Head = tuple[int, int, str, int, int, int, int]  # org_no, phone_no, chat_id, lane, class, head_job, head_seq


class _Round:
    """What stands where while one transaction starts messages."""

    def __init__(self, wishes: Sequence[StartWish], now: Mapping[int, tuple[int, int | None]], now_us: int) -> None:
        self.wanted = {wish.phone_no: wish for wish in wishes if wish.limit > 0}
        self.phones = sorted((wish.org_no, wish.phone_no) for wish in self.wanted.values())
        self.due_us: Idle = {
            phone_no: now[phone_no][1] for phone_no in self.wanted
        }  # of the lanes that wait, the first
        self.due = [phone for phone in self.phones if (us := self.due_us[phone[1]]) is not None and us <= now_us]
        # phones whose ready lanes must be looked at
        self.in_line = {phone_no for phone_no in self.wanted if now[phone_no][0]}
        self.in_line.update(phone_no for _, phone_no in self.due)

    def waits(self, phone_no: int, until_us: int) -> None:
        before = self.due_us.get(phone_no)
        if phone_no in self.due_us:
            self.due_us[phone_no] = until_us if before is None else min(before, until_us)


def start(
    wishes: Sequence[StartWish],
    freed: Freed,
    *,
    now: Mapping[int, tuple[int, int | None]],
    now_us: int,
    counts: Counts,
    moved: Moved,
    events: list[tuple[Any, ...]],
    held: bool,
) -> Unit[tuple[list[Started], Idle]]:
    """`freed`: lanes of attempts that were settled just now, locked; `now`: of each phone, whether it has a ready lane,
    and when its first waiting one falls due; `held`: some phone's chats may be held.
    """
    this = _Round(wishes, now, now_us)
    for row in (yield from batch("lanes_due", this.due, now=now_us, limit=DUE_AT_ONCE)):
        freed[row[0], row[1], row[2], row[3]] = Relink()
    onward = yield from _free(freed, this)
    chosen, later = _choose((yield from _line(this)), this.wanted, now_us)
    # a chat whose time has not come is put aside once, when it is met
    yield from batch("lanes_set", sorted(later))
    for row in later:
        this.waits(row[1], row[7])
    chosen += onward
    started = []
    if chosen:
        started = yield from _begin(
            chosen,
            {head[5] for head in onward},
            this,
            now_us=now_us,
            counts=counts,
            moved=moved,
            events=events,
            held=held,
        )
    return started, (yield from _idle(this, started))


def _free(freed: Freed, this: _Round) -> Unit[list[_Head]]:
    """Gives freed lanes their next head. Those that go on at once stay busy, and are given."""
    direct = _direct(freed, this)
    heads: list[_Head] = []
    ended = []
    for org_no, phone_no, chat_id, lane, job_id, seq in (yield from batch("lanes_onward", sorted(direct))):
        if job_id is None:
            ended.append((org_no, phone_no, chat_id, lane))
        else:
            heads.append((org_no, phone_no, chat_id, lane, int(Class.KNOWN), job_id, seq))
    yield from batch("lanes_drop", sorted(ended))
    rest = {key: how for key, how in freed.items() if key not in direct}
    yield from relink(rest)
    for key, how in rest.items():
        if how.not_before_us is not None:
            this.waits(key[1], how.not_before_us)
        else:
            this.in_line.add(key[1])
    return heads


def _direct(freed: Freed, this: _Round) -> set[LaneKey]:
    """Lanes that need not stand in line: no other lane of their phone is ready, and there is room for all of them."""
    lanes: dict[int, list[LaneKey]] = {}
    out: set[int] = set()
    for key, how in freed.items():
        if how.not_before_us is None:
            if not how.sent:
                out.add(key[1])
            lanes.setdefault(key[1], []).append(key)
    found: set[LaneKey] = set()
    for phone_no, keys in lanes.items():
        wish = this.wanted.get(phone_no)
        if wish is None or wish.gate is not None or wish.limit < len(keys) or phone_no in this.in_line | out:
            continue
        if wish.lanes is not ALL_LANES and any(Lane(key[3]) not in wish.lanes for key in keys):
            continue
        found.update(keys)
    return found


def _line(this: _Round) -> Unit[Rows]:
    phones = [phone for phone in this.phones if phone[1] in this.in_line]
    if not phones:
        return []
    wishes = [this.wanted[phone_no] for _, phone_no in phones]
    most = max(max(GATED, wish.limit) if wish.gate else wish.limit for wish in wishes)
    return (yield from batch("candidates", phones, limit=most))


def _choose(found: Rows, wanted: dict[int, StartWish], now_us: int) -> tuple[list[_Head], list[tuple[Any, ...]]]:
    """Of each phone the first `limit` heads by lane and age, one for each chat, of the classes it may send to now; and
    the lanes that have to wait, for `lanes_set`.
    """
    left = {phone_no: wish.limit for phone_no, wish in wanted.items()}
    new_left = {phone_no: wish.new_limit for phone_no, wish in wanted.items()}
    chosen: list[_Head] = []
    later, chats = [], set()
    for row in sorted(found, key=_order):
        org_no, phone_no, chat_id, lane, class_, head_job, head_seq = row
        wish = wanted[phone_no]
        chat = (phone_no, chat_id)
        if lane not in wish.lanes or chat in chats:
            continue
        if wish.gate is not None and (until_us := wish.gate(chat_id, now_us)) is not None:
            later.append((org_no, phone_no, chat_id, lane, head_job, head_seq, "delayed", until_us, None, None))
            continue
        is_new = class_ == Class.NEW
        if left[phone_no] > 0 and (not is_new or new_left[phone_no] > 0):
            left[phone_no] -= 1
            new_left[phone_no] -= is_new
            chats.add(chat)
            chosen.append((org_no, phone_no, chat_id, lane, class_, head_job, head_seq))
    return chosen, later


def _order(row: Any) -> tuple[int, int]:
    return row[3], row[6]


def _begin(
    chosen: list[_Head],
    onward: Collection[int],
    this: _Round,
    *,
    now_us: int,
    counts: Counts,
    moved: Moved,
    events: list[tuple[Any, ...]],
    held: bool,
) -> Unit[list[Started]]:
    lanes = {head[5]: head for head in chosen}
    tokens = {phone_no: wish.token for phone_no, wish in this.wanted.items()}
    rows = sorted((head[0], head[5], tokens[head[1]]) for head in chosen)
    begun: list[Started] = []
    busy, paced = [], []
    for row in (yield from batch("jobs_start", rows, now=now_us, held=int(held))):
        job = outgoing_of(row)
        org_no, phone_no, chat_id, lane, class_, head_job, head_seq = lanes.pop(job.job_id)
        token = tokens[phone_no]
        is_new = class_ == Class.NEW
        begun.append(Started(job, token, new_chat=is_new))
        counts.add((org_no, phone_no, lane), waiting=-1, active=1)
        moved.plain.append((org_no, job.job_id, "started", State.QUEUED, token))
        if head_job not in onward:
            busy.append((org_no, phone_no, chat_id, lane, head_job, head_seq, "busy", None, None, class_))
        if this.wanted[phone_no].paced:
            paced.append((org_no, phone_no, chat_id, int(is_new)))
    begun.sort(key=lambda one: (one.job.lane, one.job.seq))
    yield from batch("lanes_set", sorted(busy))
    yield from batch("pace_insert", paced, now=now_us)
    if lanes:
        yield from _left(list(lanes.values()), now_us, counts, events)
        this.in_line.update(head[1] for head in lanes.values())
    return begun


def _left(heads: list[_Head], now_us: int, counts: Counts, events: list[tuple[Any, ...]]) -> Unit[None]:
    """Heads that were not started: their chat or broadcast was stopped, or they are past their expiry (or are no
    waiting message at all: such a lane gets its right head again).
    """
    ready = [(*head[:4], head[5], head[6], "ready", None, None, head[4]) for head in heads]
    yield from batch("lanes_set", sorted(ready))
    left = {head[5]: head for head in heads}
    for row in (yield from batch("lanes_hold", sorted((*head[:4], head[5]) for head in heads))):
        left.pop(row[0])
    lanes = {head[:4]: Relink() for head in left.values()}
    for row in (yield from batch("jobs_expire", sorted((head[0], head[5]) for head in left.values()), now=now_us)):
        counts.add((row["org_no"], row["phone_no"], Lane(row["lane"])), waiting=-1, failed=1)
        counts.broadcast(row["org_no"], row["broadcast_no"], failed=1)
        event = Event(
            row["job_id"], row["events"], now_us, "expired", "queued", "expired", row["ack"], row["attempts"], 0,
            "engine", "expired", "Expired before it was sent.",
        )  # fmt: skip
        events.append(event_row(row["org_no"], event))
    yield from relink(lanes)


def _idle(this: _Round, started: Sequence[Started]) -> Unit[Idle]:
    """Phones that could start more: when their next lane falls due."""
    room = {phone_no: wish.limit for phone_no, wish in this.wanted.items()}
    for one in started:
        room[one.job.phone_no] -= 1
    idle = {phone_no: this.due_us.get(phone_no) for phone_no, left in room.items() if left > 0}
    again = [phone for phone in this.phones if phone[1] in idle and phone[1] in this.in_line]
    for _, phone_no, ready, due_us in (yield from batch("phones_now", again)):
        idle[phone_no] = 0 if ready else due_us
    return idle
