"""Explains many messages at once, for lists and pages, with a few reads for all.

Promise: the number of searches does not grow with the queue: some for each phone, and a few for all messages.
Weakness: the pace of a phone is explained for the first fifty phones only. The messages before one in its own chat are
counted for the first two hundred messages that are not the next of their chat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.explain.explanation import MAX_AHEAD, ExplanationFacts, Hold, explain
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.phone_numbers import zones_of
from heliograph.domain.pacing.next_start import Policy, StartHistory
from heliograph.domain.pacing.quiet_hours import quiet_until
from heliograph.store.database import named
from heliograph.store.database.rows import phone_of
from heliograph.store.database.unit import Unit, query, query_one
from heliograph.store.explain.load_facts import (
    Queue,
    ahead_in_list,
    ahead_of,
    history_of,
    holds_of,
    of_lane,
    pace_of,
    policy_of,
)

MAX_PACED_PHONES = 50
MAX_COUNTED = 200


@dataclass(frozen=True, slots=True)
class _Phone:
    """A phone and its queue; `history` is None if it was not loaded."""

    row: PhoneRow
    policy: Policy
    history: StartHistory | None
    holds: Mapping[str, Hold]
    unowned: bool
    queue: Queue


def explain_many(jobs: Sequence[Job], now_us: int) -> Unit[list[str]]:
    """Gives one sentence for each of `jobs`, which are of one organisation."""
    waiting = [job for job in jobs if job.state is State.QUEUED]
    phones: dict[int, _Phone] = {}
    for phone_no in dict.fromkeys(job.phone_no for job in waiting):
        found = yield from _phone(waiting[0].org_no, phone_no, now_us, paced=len(phones) < MAX_PACED_PHONES)
        if found is not None:
            phones[phone_no] = found
    keys = list(dict.fromkeys((job.org_no, job.phone_no, job.chat_id, int(job.priority)) for job in waiting))
    lanes = {
        (row["phone_no"], row["chat_id"], row["priority"]): row for row in (yield from query(named.explain_lanes(keys)))
    }
    bare = [key[:3] for key in keys if key[1:] not in lanes]  # recipients that are no jobs yet
    known = {(row["phone_no"], row["chat_id"]) for row in (yield from query(named.chats_known_among(bare)))}
    behind = yield from _behind(waiting, lanes)
    fed = yield from _fed(waiting)
    sentences = []
    for job in jobs:
        phone = phones.get(job.phone_no) if job.state is State.QUEUED else None
        if phone is None:
            sentences.append(explain(ExplanationFacts(job=job, now_us=now_us)).sentence)
            continue
        lane = lanes.get((job.phone_no, job.chat_id, int(job.priority)))
        new = (job.phone_no, job.chat_id) not in known if lane is None else bool(lane["new_chat"])
        facts = _facts(job, phone, lane, now_us, new_chat=new, ahead_in_chat=behind.get(job.job_id), fed=fed)
        sentences.append(explain(facts).sentence)
    return sentences


def _facts(
    job: Job,
    phone: _Phone,
    lane: "named.LaneStateColumns | None",
    now_us: int,
    *,
    new_chat: bool,
    ahead_in_chat: int | None,
    fed: Mapping[int, int],
) -> ExplanationFacts:
    policy, history = phone.policy, phone.history
    return ExplanationFacts(
        job=job,
        now_us=now_us,
        phone=phone.row,
        ahead=_ahead(job, phone.queue, fed),
        ahead_in_chat=ahead_in_chat,
        unowned=phone.unowned,
        phone_hold=phone.holds.get("phone"),
        chat_hold=phone.holds.get(f"chat:{job.chat_id}"),
        broadcast_hold=phone.holds.get(f"broadcast:{job.broadcast_no}"),
        new_chat=new_chat,
        quiet_until_us=None if policy.quiet is None else quiet_until(policy.quiet, zones_of(job.chat_id), now_us),
        **of_lane(lane, now_us),
        pace=None if history is None else pace_of(policy, history, now_us, job.chat_id, new_chat),
    )


def _ahead(job: Job, queue: Queue, fed: Mapping[int, int]) -> int:
    if job.events or job.broadcast_no is None:
        return ahead_of(job, queue)
    return ahead_in_list(job, queue, fed.get(job.broadcast_no, job.seq))


def _fed(waiting: Sequence[Job]) -> Unit[dict[int, int]]:
    """Gives how many recipients are enqueued, for the broadcasts of messages that are still recipients."""
    found = {}
    for job in waiting:
        if job.events == 0 and job.broadcast_no is not None and job.broadcast_no not in found:
            row = yield from query_one(named.broadcast_by_no(org_no=job.org_no, broadcast_no=job.broadcast_no))
            if row is not None:
                found[job.broadcast_no] = row["enqueued"]
    return found


def _phone(org_no: int, phone_no: int, now_us: int, *, paced: bool) -> Unit[_Phone | None]:
    found = yield from query_one(named.phone_by_no(org_no=org_no, phone_no=phone_no))
    if found is None:
        return None
    row = phone_of(found)
    policy = policy_of(row)
    history = (yield from history_of(policy, row, now_us)) if paced else None
    holds = yield from holds_of(org_no, phone_no)
    owner = yield from query_one(named.lease_owner(org_no=org_no, phone_no=phone_no))
    queue = yield from query(named.explain_queue(org_no=org_no, phone_no=phone_no))
    return _Phone(row, policy, history, holds, owner is None or owner["owner"] is None, queue)


def _behind(
    waiting: Sequence[Job], lanes: "Mapping[tuple[int, str, int], named.LaneStateColumns]"
) -> Unit[dict[int, int]]:
    later = []
    for job in waiting:
        lane = lanes.get((job.phone_no, job.chat_id, int(job.priority)))
        if lane is not None and lane["head_job"] is not None and lane["head_job"] != job.job_id and job.events:
            later.append((job.org_no, job.phone_no, job.chat_id, int(job.priority), job.seq, job.job_id))
    rows = yield from query(named.explain_behind(later[:MAX_COUNTED], most=MAX_AHEAD + 1))
    return {row["job_id"]: row["ahead"] for row in rows}
