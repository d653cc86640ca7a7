"""TX4: the network's word on messages moves the ladder, and settles what was uncertain.

Promise: a rung once reached is never left, a repeated receipt changes nothing, and each rung has one event.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from heliograph.domain.ids import JobId, parse_job_id
from heliograph.domain.job import Event
from heliograph.domain.states import Ack, State, climbed
from heliograph.ports.engine import LostLease
from heliograph.ports.provider import Inbound, Receipt
from heliograph.store.lanes import Counts, LaneKey, Relink, relink
from heliograph.store.rows import event_row
from heliograph.store.unit import Unit, batch


def apply_receipts(
    org_no: int, phone_no: int, token: int, receipts: Sequence[Receipt], now_us: int
) -> Unit[list[JobId]]:
    """Gives the jobs that changed."""
    if not (yield from batch("fence", [(org_no, phone_no, token)])):
        raise LostLease(f"phone {phone_no}")
    by_job, unknown = yield from _resolve(org_no, receipts)
    orphans = [
        (org_no, phone_no, receipt.provider_message_id, receipt.ack, receipt.at_us, receipt.code, receipt.detail)
        for receipt in unknown
        if receipt.provider_message_id
    ]
    yield from batch("orphans_keep", orphans, now=now_us)
    counts, events = Counts(), []  # type: ignore[var-annotated]
    changed = yield from climb(org_no, phone_no, token, by_job, now_us=now_us, counts=counts, events=events)
    yield from batch("events_insert", events)
    yield from batch("engine_count", counts.rows())
    return changed


def _resolve(org_no: int, receipts: Sequence[Receipt]) -> Unit[tuple[dict[JobId, list[Receipt]], list[Receipt]]]:
    by_job: dict[JobId, list[Receipt]] = {}
    foreign: list[Receipt] = []
    for receipt in receipts:
        own = receipt.unique_id or receipt.tracker
        job_id = parse_job_id(own) if own else None
        if job_id is None:
            foreign.append(receipt)
        else:
            by_job.setdefault(job_id, []).append(receipt)
    names = sorted({receipt.provider_message_id for receipt in foreign if receipt.provider_message_id})
    rows = yield from batch("jobs_by_alias", [(org_no, name) for name in names])
    aliases = {row["alias"]: JobId(row["job_id"]) for row in rows}
    unknown = []
    for receipt in foreign:
        found = aliases.get(receipt.provider_message_id or "")
        if found is None:
            unknown.append(receipt)
        else:
            by_job.setdefault(found, []).append(receipt)
    return by_job, unknown


def climb(
    org_no: int,
    phone_no: int,
    token: int,
    by_job: dict[JobId, list[Receipt]],
    *,
    now_us: int,
    counts: Counts,
    events: list[tuple[Any, ...]],
) -> Unit[list[JobId]]:
    """Applies receipts to jobs of one phone; the phone must be fenced. Jumps are merged: one update, an event a rung."""
    keys = sorted((org_no, phone_no, job_id) for job_id in by_job)
    seen = yield from batch("receipts_jobs", keys)
    open_lanes = {
        (org_no, phone_no, row["chat_id"], row["lane"]): row["job_id"]
        for row in seen
        if row["state"] in (State.UNCERTAIN, State.QUEUED)
    }
    yield from batch("lanes_lock", sorted(open_lanes))
    updates, freed, known, aliases, changed = [], [], [], [], []
    for row in (yield from batch("receipts_lock", keys)):
        job_id = JobId(row["job_id"])
        decided = _decide(row, by_job[job_id], now_us)
        if decided is None:
            continue
        state, ack, steps, provider_id, settling = decided
        n, at_us = row["events"], min(receipt.at_us for receipt in by_job[job_id])
        before = row["state"]
        for kind, after, rung, code, detail, at in steps:
            n += 1
            event = Event(
                job_id, n, at, kind, before, after, rung, row["attempts"], token, "network", code, detail
            )
            events.append(event_row(org_no, event))
            before = after
        reason, detail = (settling.code, settling.detail) if settling else (None, None)
        updates.append(
            (org_no, job_id, state, ack, n, at_us, int(state != row["state"]), reason, detail, provider_id)
        )
        if provider_id:
            aliases.append((org_no, provider_id, job_id))
        changed.append(job_id)
        place = (org_no, phone_no, row["lane"])
        if row["state"] == State.UNCERTAIN:
            counts.add(place, active=-1, completed=int(state == "sent"), failed=int(state == "failed"))
        elif row["state"] == State.QUEUED:
            counts.add(place, waiting=-1, completed=int(state == "sent"), failed=int(state == "failed"))
        elif state != row["state"]:
            counts.add(place, completed=-1, failed=1)
        if row["state"] in (State.UNCERTAIN, State.QUEUED):
            freed.append((org_no, phone_no, row["chat_id"], row["lane"], job_id))
            if state == "sent":
                known.append((org_no, phone_no, row["chat_id"]))
    yield from batch("receipts_apply", updates, now=now_us)
    lanes: dict[LaneKey, Relink] = {
        (r[0], r[1], r[2], r[3]): Relink() for r in (yield from batch("lanes_waiting_for", sorted(freed)))
    }
    yield from relink(lanes)
    yield from batch("chats_known", known, now=now_us)
    yield from batch("aliases_insert", aliases)
    return changed


_Step = tuple[str, str, int, str | None, str | None, int]  # kind, after, ack, code, detail, at_us


def _decide(
    row: Any, receipts: Sequence[Receipt], now_us: int
) -> tuple[str, int, list[_Step], str | None, Receipt | None] | None:
    """(state, ack, events, provider's id, the receipt that failed it) or None if nothing changes."""
    state, ack = State(row["state"]), row["ack"]
    provider_id = next((r.provider_message_id for r in receipts if r.provider_message_id), None)
    may_settle = state is State.UNCERTAIN or (state is State.QUEUED and row["maybe_sent"] == 1)
    if not (may_settle or state is State.SENT):
        return None
    steps: list[_Step] = []
    failure = next((r for r in receipts if r.ack == Ack.FAILED), None)
    top = max((r.ack for r in receipts), default=0)
    after = state
    if may_settle and top >= Ack.SENT:
        after = State.SENT
        first = min((r.at_us for r in receipts if r.ack >= Ack.SENT), default=now_us)
        detail = "A receipt came for the attempt whose answer was lost."
        steps.append(("resolved", "sent", max(ack, 1), None, detail, first))
        ack = max(ack, 1)
    if after is State.SENT and top > ack:
        for rung in climbed(ack, top):
            at = min((r.at_us for r in receipts if r.ack >= rung), default=now_us)
            steps.append(("receipt", "sent", rung, None, None, at))
        ack = top
    failing = failure is not None and ack < Ack.DELIVERED  # delivered is delivered, whatever comes later
    if failure is not None and failing:
        after, ack = State.FAILED, int(Ack.FAILED)
        steps.append(("failed", "failed", ack, failure.code or "refused", failure.detail, failure.at_us))
    return (after.value, ack, steps, provider_id, failure if failing else None) if steps else None


def apply_orphans(
    org_no: int,
    phone_no: int,
    token: int,
    named: dict[str, JobId],
    *,
    now_us: int,
    counts: Counts,
    events: list[tuple[Any, ...]],
) -> Unit[None]:
    """Receipts that came before we learned the provider's id of their message."""
    rows = yield from batch("orphans_take", [(org_no, phone_no, name) for name in sorted(named)])
    by_job: dict[JobId, list[Receipt]] = {}
    for row in rows:
        receipt = Receipt(ack=row["ack"], at_us=row["at"], code=row["code"], detail=row["detail"])
        by_job.setdefault(named[row["provider_message_id"]], []).append(receipt)
    if by_job:
        yield from climb(org_no, phone_no, token, by_job, now_us=now_us, counts=counts, events=events)


def keep_inbound(org_no: int, phone_no: int, messages: Sequence[Inbound], now_us: int) -> Unit[int]:
    rows = {
        m.message_id: (
            org_no, phone_no, m.message_id, m.chat_id, m.author, m.type, m.body, msgspec.json.encode(m.raw).decode(), m.at_us
        )
        for m in messages
    }  # fmt: skip
    new = yield from batch("inbound_insert", [rows[name] for name in sorted(rows)], now=now_us)
    heard = sorted({(org_no, phone_no, row["chat_id"]) for row in new})
    yield from batch("chats_heard", heard, now=now_us)
    return len(new)
