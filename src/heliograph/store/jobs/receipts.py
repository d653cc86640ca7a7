"""TX4: applies receipts: they raise the ack levels of messages and settle uncertain ones.

Promise: an ack level never falls, a repeated receipt changes nothing, and each level has one event.
"""

from collections.abc import Mapping, Sequence

import msgspec

from heliograph.domain.jobs.ids import JobId, parse_job_id
from heliograph.domain.jobs.job import Event
from heliograph.domain.jobs.states import Ack, State, newly_reached_acks
from heliograph.domain.messages.chat import is_group
from heliograph.domain.messages.opt_out import start_word, stop_word
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.stores.sender_store import PhoneReceipts, ReceiptsApplied
from heliograph.store.database import named
from heliograph.store.database.rows import EventRow, event_row
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.lanes import (
    ENGINE,
    CounterChanges,
    LaneKey,
    NextHead,
    mark_chats_known,
    set_lane_heads,
    write_counters,
)

JobKey = tuple[int, int, JobId]  # org_no, phone_no, job
# org_no, job_id, state, ack, events, first receipt, delivered_at, read_at, settles, reason, detail, provider's id
_Update = tuple[int, int, str, int, int, int | None, int | None, int | None, int, str | None, str | None, str | None]
# which counter of its queue a job is in
_COUNTED = {"uncertain": "active", "queued": "waiting", "sent": "completed", "failed": "failed"}


def apply_receipts(received: Sequence[PhoneReceipts], now_us: int) -> Unit[ReceiptsApplied]:
    """Applies receipts of several phones; phones that are no longer ours are left out and named."""
    fences = sorted({(one.org_no, one.phone_no, one.token) for one in received})
    ours = {row["phone_no"] for row in (yield from query(named.fence(fences)))}
    kept = [one for one in received if one.phone_no in ours]
    by_job, unknown = yield from _resolve(kept)
    orphans = [
        (one.org_no, one.phone_no, r.provider_message_id, r.ack, r.at_us, r.code, r.detail)
        for one, r in unknown
        if r.provider_message_id
    ]
    yield from query(named.unmatched_receipts_insert(orphans, now=now_us))
    counts, events = CounterChanges(), list[EventRow]()
    tokens = {one.phone_no: one.token for one in kept}
    changed, early = yield from apply_receipts_to_jobs(by_job, tokens, now_us=now_us, counts=counts, events=events)
    yield from query(named.events_insert(events))
    yield from write_counters(ENGINE, counts)
    lost = frozenset(one.phone_no for one in received if one.phone_no not in ours)
    return ReceiptsApplied(changed, lost, frozenset(early))


def _resolve(
    received: Sequence[PhoneReceipts],
) -> Unit[tuple[dict[JobKey, list[Receipt]], list[tuple[PhoneReceipts, Receipt]]]]:
    by_job: dict[JobKey, list[Receipt]] = {}
    foreign: list[tuple[PhoneReceipts, Receipt]] = []
    for one in received:
        for receipt in one.receipts:
            own = receipt.unique_id or receipt.tracker
            job_id = parse_job_id(own) if own else None
            if job_id is None:
                foreign.append((one, receipt))
            else:
                by_job.setdefault((one.org_no, one.phone_no, job_id), []).append(receipt)
    names = sorted({(one.org_no, r.provider_message_id) for one, r in foreign if r.provider_message_id})
    rows = yield from query(named.jobs_by_provider_id(names))
    aliases = {(row["org_no"], row["alias"]): row["job_id"] for row in rows}
    unknown = []
    for one, receipt in foreign:
        found = aliases.get((one.org_no, receipt.provider_message_id or ""))
        if found is None:
            unknown.append((one, receipt))
        else:
            by_job.setdefault((one.org_no, one.phone_no, found), []).append(receipt)
    return by_job, unknown


def apply_receipts_to_jobs(
    by_job: dict[JobKey, list[Receipt]],
    tokens: Mapping[int, int],
    *,
    now_us: int,
    counts: CounterChanges,
    events: list[EventRow],
) -> Unit[tuple[list[JobId], list[Receipt]]]:
    """Applies receipts to jobs of fenced phones: one update of each job, one event for each ack level.

    Gives the jobs that changed, and the receipts of attempts that must be settled first.
    """
    keys = sorted(by_job)
    seen = yield from query(named.jobs_of_receipts(keys))
    open_lanes = {
        (row["org_no"], row["phone_no"], row["chat_id"], row["priority"])
        for row in seen
        if row["state"] in (State.UNCERTAIN, State.QUEUED)
    }
    yield from query(named.lanes_lock(sorted(open_lanes)))
    updates: list[_Update] = []
    freed, known, aliases, changed = [], [], [], []
    early: list[Receipt] = []
    acks = _AckUpdates()
    for row in (yield from query(named.jobs_of_receipts_lock(keys))):
        org_no, phone_no, job_id = row["org_no"], row["phone_no"], row["job_id"]
        receipts = by_job[org_no, phone_no, job_id]
        if row["state"] == State.SENDING:
            early += receipts
            continue
        if row["state"] == State.SENT and not any(r.ack < 0 or r.provider_message_id for r in receipts):
            if acks.apply(row, receipts, tokens[phone_no]):
                changed.append(job_id)
                counts.broadcast(org_no, row["broadcast_no"], **acks.broadcast_counts(row))
            continue
        decided = _decide(row, receipts, now_us)
        if decided is None:
            continue
        state, ack, steps, provider_id, settling = decided
        n, before = row["events"], row["state"]
        for kind, after, level, code, detail, at in steps:
            n += 1
            event = Event(
                job_id, n, at, kind, before, after, level, row["attempts"], tokens[phone_no], "network", code, detail
            )
            events.append(event_row(org_no, event))
            before = after
        reason, detail = (settling.code, settling.detail) if settling else (None, None)
        first_at, delivered_at, read_at = (_first(receipts, level) for level in (Ack.FAILED, Ack.DELIVERED, Ack.READ))
        settles = int(state != row["state"])
        updates.append(
            (org_no, job_id, state, ack, n, first_at, delivered_at, read_at, settles, reason, detail, provider_id)
        )
        if provider_id:
            aliases.append((org_no, provider_id, job_id))
        changed.append(job_id)
        was_open = row["state"] in (State.UNCERTAIN, State.QUEUED)
        if settles:
            counts.add((org_no, phone_no, row["priority"]), **{_COUNTED[row["state"]]: -1, _COUNTED[state]: 1})
        counts.broadcast(
            org_no,
            row["broadcast_no"],
            sent=int(state == "sent") - int(row["state"] == "sent"),
            failed=int(state == "failed") - int(row["state"] == "failed"),
            delivered=int(ack >= Ack.DELIVERED > row["ack"]),
            read=int(ack >= Ack.READ > row["ack"]),
        )
        if was_open:
            freed.append((org_no, phone_no, row["chat_id"], row["priority"], job_id))
        if settles and state == "sent":
            known.append((org_no, phone_no, row["chat_id"]))
    yield from acks.write()
    yield from query(named.jobs_apply_receipts(updates, now=now_us))
    lanes: dict[LaneKey, NextHead] = {
        (r[0], r[1], r[2], r[3]): NextHead() for r in (yield from query_values(named.lanes_waiting_for(sorted(freed))))
    }
    yield from set_lane_heads(lanes)
    yield from mark_chats_known(sorted(set(known)), now_us)
    yield from query(named.provider_message_ids_insert(aliases))
    return changed, early


class _AckUpdates:
    """The new ack levels of messages that are sent and stay so: most receipts are about these."""

    def __init__(self) -> None:
        self._jobs: list[tuple[int, int, int, int, int | None, int | None]] = []
        self._events: list[tuple[int, int, int, int, int, int, int]] = []

    def apply(self, row: "named.JobsOfReceiptsLockColumns", receipts: Sequence[Receipt], token: int) -> bool:
        """Notes new ack levels; False: there are none."""
        org_no, job_id, n, attempts = row["org_no"], row["job_id"], row["events"], row["attempts"]
        top = max(receipt.ack for receipt in receipts)
        new = newly_reached_acks(row["ack"], top)
        for level in new:
            n += 1
            at_us = min(receipt.at_us for receipt in receipts if receipt.ack >= level)
            self._events.append((org_no, job_id, n, at_us, level, attempts, token))
        if new:
            self._jobs.append((org_no, job_id, top, n, _first(receipts, Ack.DELIVERED), _first(receipts, Ack.READ)))
        return bool(new)

    def broadcast_counts(self, row: "named.JobsOfReceiptsLockColumns") -> dict[str, int]:
        """Gives the changes of a broadcast's counts by the last `apply`."""
        top = self._jobs[-1][2]
        return {"delivered": int(top >= Ack.DELIVERED > row["ack"]), "read": int(top >= Ack.READ > row["ack"])}

    def write(self) -> Unit[None]:
        yield from query(named.jobs_set_acks(self._jobs))
        yield from query(named.events_of_receipts(self._events))


def _first(receipts: Sequence[Receipt], level: Ack) -> int | None:
    """Gives the time of the first receipt with this ack level or a higher one."""
    return min((receipt.at_us for receipt in receipts if receipt.ack >= level), default=None)


_Step = tuple[str, str, int, str | None, str | None, int]  # kind, after, ack, code, detail, at_us


def _decide(
    row: "named.JobsOfReceiptsLockColumns", receipts: Sequence[Receipt], now_us: int
) -> tuple[str, int, list[_Step], str | None, Receipt | None] | None:
    """Gives (state, ack, events, provider's id, the receipt that failed it), or None if nothing changes."""
    state, ack = State(row["state"]), row["ack"]
    provider_id = next((r.provider_message_id for r in receipts if r.provider_message_id), None)
    failure = next((r for r in receipts if r.ack == Ack.FAILED), None)
    top = max((r.ack for r in receipts), default=0)
    maybe_sent = row["maybe_sent"] == 1
    may_settle = state is State.UNCERTAIN or (maybe_sent and state is State.QUEUED)
    if state is State.FAILED:  # given up without an answer, not refused: it arrived all the same
        may_settle = maybe_sent and ack != Ack.FAILED and top >= Ack.SENT
    if not (may_settle or state is State.SENT):
        return None
    steps: list[_Step] = []
    after = state
    if may_settle and top >= Ack.SENT:
        after = State.SENT
        first = min((r.at_us for r in receipts if r.ack >= Ack.SENT), default=now_us)
        detail = "A receipt came: WhatsApp has taken it."
        steps.append(("resolved", "sent", max(ack, 1), None, detail, first))
        ack = max(ack, 1)
    if after is State.SENT and top > ack:
        for level in newly_reached_acks(ack, top):
            at = min((r.at_us for r in receipts if r.ack >= level), default=now_us)
            steps.append(("receipt", "sent", level, None, None, at))
        ack = top
    failing = failure is not None and ack < Ack.DELIVERED  # delivered is delivered, whatever comes later
    if failure is not None and failing:
        after, ack = State.FAILED, int(Ack.FAILED)
        steps.append(("failed", "failed", ack, failure.code or "refused", failure.detail, failure.at_us))
    return (after.value, ack, steps, provider_id, failure if failing else None) if steps else None


def apply_orphans(
    learned: Mapping[tuple[int, int, str], JobId],
    tokens: Mapping[int, int],
    *,
    now_us: int,
    counts: CounterChanges,
    events: list[EventRow],
) -> Unit[None]:
    """Applies receipts that came before their message's id was known: (org, phone, that id) → its job."""
    by_job: dict[JobKey, list[Receipt]] = {}
    for row in (yield from query(named.unmatched_receipts_claim(sorted(learned)))):
        org_no, phone_no = row["org_no"], row["phone_no"]
        receipt = Receipt(ack=row["ack"], at_us=row["at"], code=row["code"], detail=row["detail"])
        job_id = learned[org_no, phone_no, row["provider_message_id"]]
        by_job.setdefault((org_no, phone_no, job_id), []).append(receipt)
    if by_job:
        yield from apply_receipts_to_jobs(by_job, tokens, now_us=now_us, counts=counts, events=events)


def keep_inbound(org_no: int, phone_no: int, messages: Sequence[Inbound], now_us: int) -> Unit[int]:
    rows = {
        m.message_id: (
            org_no, phone_no, m.message_id, m.chat_id, m.author, m.type,
            m.body.replace("\0", "\N{REPLACEMENT CHARACTER}"), msgspec.json.encode(m.raw).decode(), m.at_us
        )
        for m in messages
    }  # fmt: skip
    new = yield from query(named.inbound_insert([rows[name] for name in sorted(rows)], now=now_us))
    heard = sorted({(org_no, phone_no, row["chat_id"]) for row in new})
    waiting = [(r[0], r[1], r[2], r[3]) for r in (yield from query_values(named.lanes_of_new_chats(heard)))]
    yield from query(named.lanes_lock(sorted(waiting)))
    yield from query(named.lanes_known(heard))
    yield from query(named.chats_upsert_inbound(heard, now=now_us))
    yield from _apply_opt_outs(
        org_no, [m for m in messages if m.message_id in {row["message_id"] for row in new}], now_us
    )
    return len(new)


def _apply_opt_outs(org_no: int, messages: Sequence[Inbound], now_us: int) -> Unit[None]:
    """Suppresses chats that asked for it by a stop word, and takes back those that sent a start word."""
    stopped = {m.chat_id: m.author for m in messages if not is_group(m.chat_id) and stop_word(m.body)}
    started = {m.chat_id for m in messages if not is_group(m.chat_id) and start_word(m.body)}
    yield from query(
        named.suppressions_insert([(org_no, chat, by) for chat, by in sorted(stopped.items())], now=now_us)
    )
    yield from query(named.suppressions_delete([(org_no, chat) for chat in sorted(started - stopped.keys())]))
