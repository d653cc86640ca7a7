"""TX3 + TX2: attempts that ended are settled and the next ones are durably started, in one transaction for many phones.

Promise: what this returns as started stands in `sending` on disk, its attempt counted, under the token of the wish.
Nothing is written for a phone whose token is no longer ours.
"""

from collections.abc import Sequence
from typing import Any

from heliograph.domain.ids import JobId
from heliograph.domain.job import Event, Job
from heliograph.domain.states import Class, Lane, State
from heliograph.ports.engine import Advanced, Settlement, Started, StartWish
from heliograph.store.lanes import ENGINE, Counts, LaneKey, Relink, relink, tally
from heliograph.store.receipts import apply_orphans
from heliograph.store.rows import event_row, job_of
from heliograph.store.unit import Rows, Unit, batch

GATED = 50  # heads that are looked at where chats may have to wait
DUE_AT_ONCE = 200  # lanes promoted for a phone in one transaction


def advance(settlements: Sequence[Settlement], wishes: Sequence[StartWish], now_us: int) -> Unit[Advanced]:
    fenced = {(s.job.org_no, s.job.phone_no, s.token) for s in settlements} | {
        (w.org_no, w.phone_no, w.token) for w in wishes
    }
    found = yield from batch("fence", sorted(fenced))
    ours = {(row[0], row[1]) for row in found}
    stopped = {row[0] for row in found if row[2]}
    counts, events = Counts(), []  # type: ignore[var-annotated]
    settled = yield from _settle([s for s in settlements if (s.job.phone_no, s.token) in ours], now_us, counts)
    tokens = dict(ours)
    named = _named(settlements, settled)
    yield from apply_orphans(named, tokens, now_us=now_us, counts=counts, events=events)
    open_wishes = [w for w in wishes if (w.phone_no, w.token) in ours and w.phone_no not in stopped]
    phones = sorted({(wish.org_no, wish.phone_no) for wish in open_wishes})
    due = yield from batch("lanes_due", phones, now=now_us, limit=DUE_AT_ONCE)
    yield from relink({(r[0], r[1], r[2], r[3]): Relink() for r in due})
    started = yield from _start(open_wishes, now_us, counts, events)
    yield from batch("events_insert", events)
    yield from tally(ENGINE, counts)
    idle: dict[int, int | None] = {}
    full = {wish.phone_no: wish.limit for wish in open_wishes}
    for one in started:
        full[one.job.phone_no] -= 1
    hungry = sorted({(w.org_no, w.phone_no) for w in open_wishes if full[w.phone_no] > 0})
    if hungry:
        for row in (yield from batch("ready_now", hungry)):
            idle[row["phone_no"]] = row["due_at"]
    return Advanced(
        started=started,
        settled=[s.job.job_id in settled for s in settlements],
        lost=frozenset((phone_no, token) for _, phone_no, token in fenced if (phone_no, token) not in ours),
        idle=idle,
    )


def _lane_of(job: Job) -> LaneKey:
    return (job.org_no, job.phone_no, job.chat_id, int(job.lane))


def _settle(settlements: Sequence[Settlement], now_us: int, counts: Counts) -> Unit[set[int]]:
    if not settlements:
        return set()
    yield from batch("lanes_lock", sorted({_lane_of(s.job) for s in settlements}))
    rows = []
    for s in settlements:
        verdict = s.verdict
        waits_until = _until(verdict.lane_wait_s, now_us) if verdict.state is State.QUEUED else None
        starts = (s.job.starts - verdict.uncounted) if verdict.kind == "recovered" else 0
        rows.append(
            (s.job.org_no, s.job.job_id, s.started_token, verdict.state.value, int(verdict.uncounted), starts,
             verdict.reason, verdict.detail, int(verdict.maybe_sent), waits_until, verdict.ack,
             verdict.provider_message_id)
        )  # fmt: skip
    done = {row[0] for row in (yield from batch("jobs_settle", rows, now=now_us))}
    lanes: dict[LaneKey, Relink] = {}
    known: list[tuple[int, int, str]] = []
    aliases = []
    told: list[tuple[int, int, str, int]] = []
    settled: set[int] = set()
    for s in settlements:
        if s.job.job_id not in done:
            continue
        done.discard(s.job.job_id)  # a second settlement of it in this batch says nothing
        settled.add(s.job.job_id)
        job, verdict = s.job, s.verdict
        told.append((job.org_no, job.job_id, verdict.kind, s.token))
        place = (job.org_no, job.phone_no, int(job.lane))
        match verdict.state:
            case State.SENT:
                counts.add(place, active=-1, completed=1)
                counts.broadcast(job.org_no, job.broadcast_no, sent=1)
                if s.new_chat:
                    known.append((job.org_no, job.phone_no, job.chat_id))
            case State.FAILED:
                counts.add(place, active=-1, failed=1)
                counts.broadcast(job.org_no, job.broadcast_no, failed=1)
            case State.QUEUED:
                counts.add(place, active=-1, waiting=1)
        if verdict.provider_message_id:
            aliases.append((job.org_no, verdict.provider_message_id, job.job_id))
        until = _until(verdict.lane_wait_s, now_us)
        lanes[_lane_of(job)] = Relink(
            until, job.job_id if until else None, known=s.new_chat and verdict.state is State.SENT
        )
    yield from batch("events_settled", told, now=now_us)
    yield from relink(lanes)
    yield from batch("chats_known", known, now=now_us)
    yield from batch("aliases_insert", aliases)
    return settled


def _named(settlements: Sequence[Settlement], settled: set[int]) -> dict[tuple[int, int, str], JobId]:
    """(org_no, phone_no, the provider's id) → the job that just learned it."""
    return {
        (s.job.org_no, s.job.phone_no, s.verdict.provider_message_id): s.job.job_id
        for s in settlements
        if s.verdict.provider_message_id and s.job.job_id in settled
    }


def _until(wait_s: float | None, now_us: int) -> int | None:
    return None if wait_s is None else now_us + round(wait_s * 1_000_000)


def _start(
    wishes: Sequence[StartWish], now_us: int, counts: Counts, events: list[tuple[Any, ...]]
) -> Unit[list[Started]]:
    wanted = {wish.phone_no: wish for wish in wishes if wish.limit > 0}
    if not wanted:
        return []
    phones = sorted((wish.org_no, wish.phone_no) for wish in wanted.values())
    most = max(GATED if wish.gate else wish.limit for wish in wanted.values())
    found = yield from batch("candidates", phones, limit=max(most, *(wish.limit for wish in wanted.values())))
    chosen, later = _choose(found, wanted, now_us)
    # a chat whose time has not come is put aside once, when it is met
    yield from batch("lanes_set", sorted(later))
    if not chosen:
        return []
    lanes = {row["head_job"]: row for row in chosen}
    rows = [(row["org_no"], row["head_job"], wanted[row["phone_no"]].token) for row in chosen]
    begun = yield from batch("jobs_start", rows, now=now_us)
    started = []
    for row in begun:
        job = job_of(row)
        lane = lanes.pop(job.job_id)
        token = wanted[job.phone_no].token
        started.append(Started(job, token, new_chat=lane["class"] == Class.NEW))
        counts.add((job.org_no, job.phone_no, int(job.lane)), waiting=-1, active=1)
    yield from batch("events_started", [(one.job.org_no, one.job.job_id) for one in started], now=now_us)
    yield from batch("lanes_busy", sorted(_lane_of(one.job) for one in started))
    paced = [one.job for one in started if wanted[one.job.phone_no].paced]
    new = {one.job.job_id for one in started if one.new_chat}
    kept = [(job.org_no, job.phone_no, job.chat_id, int(job.job_id in new)) for job in paced]
    yield from batch("pace_insert", kept, now=now_us)
    if lanes:  # heads that were not started: their chat or broadcast was stopped, or they are past their expiry
        # (or are no waiting message at all: such a lane gets its right head again)
        left = [(r["org_no"], r["phone_no"], r["chat_id"], r["lane"], r["head_job"]) for r in lanes.values()]
        for row in (yield from batch("lanes_hold", sorted(left))):
            lanes.pop(row["head_job"])
        yield from _expire(list(lanes.values()), now_us, counts, events)
    return started


def _choose(found: Rows, wanted: dict[int, StartWish], now_us: int) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """Of each phone the first `limit` heads by lane and age, one for each chat, of the classes it may send to now; and
    the lanes that have to wait, for `lanes_set`.
    """
    left = {phone_no: wish.limit for phone_no, wish in wanted.items()}
    new_left = {phone_no: wish.new_limit for phone_no, wish in wanted.items()}
    chosen, later, chats = [], [], set()
    for row in sorted(found, key=lambda row: (row["lane"], row["head_seq"])):
        wish = wanted[row["phone_no"]]
        chat = (row["phone_no"], row["chat_id"])
        if row["lane"] not in wish.lanes or chat in chats:
            continue
        is_new = row["class"] == Class.NEW
        if wish.gate is not None and (until_us := wish.gate(row["chat_id"], now_us)) is not None:
            key = (row["org_no"], row["phone_no"], row["chat_id"], row["lane"])
            later.append((*key, row["head_job"], row["head_seq"], "delayed", until_us, None, None))
            continue
        if left[row["phone_no"]] > 0 and (not is_new or new_left[row["phone_no"]] > 0):
            left[row["phone_no"]] -= 1
            new_left[row["phone_no"]] -= is_new
            chats.add(chat)
            chosen.append(row)
    return chosen, later


def _expire(rows: Sequence[Any], now_us: int, counts: Counts, events: list[tuple[Any, ...]]) -> Unit[None]:
    lanes = {(row["org_no"], row["phone_no"], row["chat_id"], row["lane"]): Relink() for row in rows}
    jobs = sorted((row["org_no"], row["head_job"]) for row in rows)
    for row in (yield from batch("jobs_expire", jobs, now=now_us)):
        counts.add((row["org_no"], row["phone_no"], Lane(row["lane"])), waiting=-1, failed=1)
        counts.broadcast(row["org_no"], row["broadcast_no"], failed=1)
        event = Event(
            row["job_id"], row["events"], now_us, "expired", "queued", "expired", row["ack"], row["attempts"], 0,
            "engine", "expired", "Expired before it was sent.",
        )  # fmt: skip
        events.append(event_row(row["org_no"], event))
    yield from relink(lanes)
