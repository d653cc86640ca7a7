"""Loads the facts that explain a waiting message, each by one search by key.

Promise: reads a bounded number of rows, however long the queue is.
Weakness: the messages before it are counted by the order of arrival. Messages of other chats that went ahead make the
number too small for a while, and messages whose own chats wait are counted although they may go later.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Invalid
from heliograph.domain.explain.explanation import MAX_AHEAD, ExplanationFacts, Hold, Wait
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.phone_numbers import zones_of
from heliograph.domain.pacing.forecast import eta, eta_new
from heliograph.domain.pacing.next_start import (
    NEVER,
    PaceRow,
    Policy,
    StartHistory,
    history_from_rows,
    limit_now,
    next_start,
    parse_policy,
)
from heliograph.domain.pacing.quiet_hours import quiet_until
from heliograph.ports.stores.broadcast_store import Forecast
from heliograph.store.database import named
from heliograph.store.database.rows import phone_of
from heliograph.store.database.unit import Unit, query, query_one, query_row

Queue: TypeAlias = "Sequence[named.ExplainQueueColumns]"  # of one phone

SEND_S = 0.02  # an attempt, where nothing was sent lately
MIN_SAMPLES = 5  # messages needed to estimate a speed
_LIMITS = {
    "per_second": "per_second",
    "per_minute": "per_minute",
    "per_hour": "per_hour",
    "per_day": "per_day",
    "new_chats": "new_chats_per_day",
}


def facts_of(job: Job, now_us: int, in_flight: int) -> Unit[ExplanationFacts]:
    """Loads the facts of a message. `in_flight`: how many messages the phone's provider sends at once."""
    found = yield from query_one(named.phone_by_no(org_no=job.org_no, phone_no=job.phone_no))
    phone = None if found is None else phone_of(found)
    if job.state is State.UNCERTAIN:
        since = yield from query_one(named.events_uncertain_since(org_no=job.org_no, job_id=job.job_id))
        return ExplanationFacts(
            job=job, now_us=now_us, phone=phone, uncertain_since_us=None if since is None else since["at"]
        )
    if job.state is not State.QUEUED or phone is None:
        return ExplanationFacts(job=job, now_us=now_us, phone=phone)
    org_no, phone_no, chat_id, priority = job.org_no, job.phone_no, job.chat_id, int(job.priority)
    lane = yield from query_one(
        named.explain_lane(org_no=org_no, phone_no=phone_no, chat_id=chat_id, priority=priority)
    )
    holds = yield from holds_of(org_no, phone_no)
    owner = yield from query_one(named.lease_owner(org_no=org_no, phone_no=phone_no))
    new_chat = (yield from _is_new(job)) if lane is None else bool(lane["new_chat"])
    in_chat = yield from query_row(
        named.explain_ahead_in_chat(
            org_no=org_no, phone_no=phone_no, chat_id=chat_id, priority=priority, seq=job.seq, most=MAX_AHEAD + 1
        )
    )
    ahead, spaced_s = (yield from _ahead(job)), 0.0
    if job.events == 0 and job.broadcast_no is not None:  # still a recipient
        ahead, spaced_s = yield from _ahead_in_list(job)
    policy = policy_of(phone)
    history = yield from history_of(policy, phone, now_us)
    send_s, each_s = yield from _speed(job)
    before = max(ahead, in_chat["ahead"])
    new_ahead = 0
    new_wait_s = next_start(policy, history, 0.0, new_chat=True).at - next_start(policy, history, 0.0).at
    if limit_now(policy, history, 0.0, "new_chats_per_day") is not None:
        counted = yield from query_row(
            named.explain_new_ahead(org_no=org_no, phone_no=phone_no, priority=priority, seq=job.seq)
        )
        new_ahead = counted["ahead"]
        if not new_chat and new_wait_s > 0:  # new chats wait for their limit, and this message passes them
            before = max(before - new_ahead, in_chat["ahead"])
    forecast_s = eta(policy, history, 0.0, ahead=before, send_s=send_s, in_flight=in_flight, new_chat=new_chat)
    if new_chat and new_ahead:
        forecast_s = max(forecast_s, eta_new(policy, history, 0.0, ahead=new_ahead))
    if policy.free and each_s is not None:
        forecast_s = before * each_s  # only its own speed limits the phone
    forecast_s = max(forecast_s, spaced_s)
    return ExplanationFacts(
        job=job,
        now_us=now_us,
        phone=phone,
        ahead=ahead,
        ahead_in_chat=in_chat["ahead"],
        unowned=owner is None or owner["owner"] is None,
        phone_hold=holds.get("phone"),
        chat_hold=holds.get(f"chat:{job.chat_id}"),
        broadcast_hold=holds.get(f"broadcast:{job.broadcast_no}"),
        new_chat=new_chat,
        quiet_until_us=None if policy.quiet is None else quiet_until(policy.quiet, zones_of(job.chat_id), now_us),
        **of_lane(lane, now_us),
        pace=pace_of(policy, history, now_us, job.chat_id, new_chat),
        forecast_s=forecast_s,
    )


def forecast_of(
    org_no: int, phone_no: int, count: int, new: int, delay_s: float, in_flight: int, now_us: int
) -> Unit[Forecast]:
    """Estimates when `count` more messages, `new` of them to new chats, would be sent."""
    found = yield from query_row(named.phone_by_no(org_no=org_no, phone_no=phone_no))
    phone = phone_of(found)
    policy = policy_of(phone)
    history = yield from history_of(policy, phone, now_us)
    waiting = 0
    for row in (yield from query(named.explain_queue(org_no=org_no, phone_no=phone_no))):
        waiting += row["open_now"]
    seconds = eta(policy, history, 0.0, ahead=waiting + count, send_s=SEND_S, in_flight=in_flight)
    seconds = max(seconds, delay_s * count)
    if new and limit_now(policy, history, 0.0, "new_chats_per_day") is not None:
        seconds = max(seconds, eta_new(policy, history, 0.0, ahead=new - 1))
    return Forecast(None if seconds == float("inf") else seconds, new)


def policy_of(phone: PhoneRow) -> Policy:
    """Gives the pacing policy of a phone; one that cannot be parsed limits nothing."""
    try:
        return parse_policy(phone.pacing)
    except Invalid:
        return Policy(name="none")


def holds_of(org_no: int, phone_no: int) -> Unit[dict[str, Hold]]:
    """Gives the holds of a phone by target."""
    rows = yield from query(named.holds_of_phone(org_no=org_no, phone_no=phone_no))
    return {row["target"]: Hold(row["actor"], row["created_at"], row["reason"]) for row in rows}


def new_chats_wait(org_no: int, phone_no: int, now_us: int) -> Unit[float]:
    """Gives how much longer new chats of the phone have to wait than known ones, in seconds."""
    found = yield from query_one(named.phone_by_no(org_no=org_no, phone_no=phone_no))
    if found is None:
        return 0.0
    phone = phone_of(found)
    throttled_s = ((phone.new_chats_until_us or 0) - now_us) / 1e6  # by the provider
    policy = policy_of(phone)
    history = StartHistory(policy)
    if policy.new_chats_per_day is not None or policy.warm_up:
        history = yield from history_of(policy, phone, now_us)
    others_at = next_start(policy, history, 0.0).at
    own_at = next_start(policy, history, 0.0, new_chat=True).at
    return max(throttled_s, own_at - others_at if others_at < own_at else 0.0)


def _is_new(job: Job) -> Unit[bool]:
    found = yield from query_one(named.chat_known(org_no=job.org_no, phone_no=job.phone_no, chat_id=job.chat_id))
    return found is None


def _ahead(job: Job) -> Unit[int]:
    return ahead_of(job, (yield from query(named.explain_queue(org_no=job.org_no, phone_no=job.phone_no))))


def ahead_of(job: Job, queue: Queue) -> int:
    """Gives how many messages of its phone are before a job."""
    ahead = 0
    for row in queue:
        if row["priority"] < job.priority:
            ahead += row["open_now"]
        elif row["priority"] == job.priority:
            ahead += max(row["open_now"] - max(row["next_seq"] - job.seq, 1), 0)
    return ahead


def _ahead_in_list(job: Job) -> Unit[tuple[int, float]]:
    """Gives how many messages are before a recipient that is not enqueued, and the wait by the broadcast's delay."""
    assert job.broadcast_no is not None
    row = yield from query_one(named.broadcast_by_no(org_no=job.org_no, broadcast_no=job.broadcast_no))
    fed = job.seq if row is None else row["enqueued"]
    queue = yield from query(named.explain_queue(org_no=job.org_no, phone_no=job.phone_no))
    return ahead_in_list(job, queue, fed), 0.0 if row is None else max(job.seq - fed, 0) * row["delay_us"] / 1e6


def ahead_in_list(job: Job, queue: Queue, fed: int) -> int:
    before = sum(lane["open_now"] for lane in queue if lane["priority"] <= job.priority)
    return max(job.seq - fed, 0) + before


def history_of(policy: Policy, phone: PhoneRow, now_us: int) -> Unit[StartHistory]:
    if policy.free:
        return StartHistory(policy)
    after = now_us - round(policy.horizon_s * 1_000_000)
    rows = yield from query(named.pace_log_recent(org_no=phone.org_no, phone_no=phone.phone_no, after=after))
    starts = [PaceRow(row["at"], row["chat_id"], row["new_chat"] == 1) for row in rows]
    history = history_from_rows(
        policy, starts, now=0.0, now_us=now_us, first_connected_at_us=phone.first_connected_at_us
    )
    if starts:  # the last settlement is not known here: it was about the last start
        history.gap_until = (starts[-1].at_us - now_us) / 1e6 + policy.gap_s(0.5)
    return history


def _speed(job: Job) -> Unit[tuple[float, float | None]]:
    """Gives the seconds of an attempt, and between messages while there was work (None: too few), of the last ones."""
    head = yield from query_one(
        named.explain_head(org_no=job.org_no, phone_no=job.phone_no, priority=int(job.priority))
    )
    below = job.job_id if head is None or head["head_job"] is None else min(head["head_job"], job.job_id)
    rows = yield from query(named.explain_speed(org_no=job.org_no, below=below, phone_no=job.phone_no))
    took = [(row["sent_at"] - row["started_at"]) / 1e6 for row in rows if row["sent_at"] and row["started_at"]]
    sent = sorted((row["sent_at"], row["queued_at"]) for row in rows if row["sent_at"])
    # from one to the next while there was work; for a message that came later, from its arrival
    gaps = [at - max(before, queued) for (before, _), (at, queued) in pairwise(sent)]
    each = sum(gaps) / 1e6 / len(gaps) if len(sent) >= MIN_SAMPLES else None
    return (sum(took) / len(took) if took else SEND_S), each


def of_lane(lane: "named.LaneStateColumns | None", now_us: int) -> dict[str, int | None]:
    if lane is None or lane["status"] != "delayed" or lane["not_before"] is None or lane["not_before"] <= now_us:
        return {}
    other = lane["waits_for"] is not None and lane["waits_for"] != lane["head_job"]
    return {"waits_for_until_us" if other else "chat_until_us": lane["not_before"]}


def pace_of(policy: Policy, history: StartHistory, now_us: int, chat_id: str, new_chat: bool) -> Wait | None:
    slot = next_start(policy, history, 0.0, new_chat=new_chat, chat=chat_id)
    if slot.rule is None or slot.rule == "in_flight":
        return None
    key = _LIMITS.get(slot.rule)
    limit = None
    if key is not None:
        limit = policy.per_second if key == "per_second" else limit_now(policy, history, 0.0, key)
        limit = policy.per_minute if key == "per_minute" else limit
    until_us = None if slot.at == NEVER else now_us + round(slot.at * 1_000_000)
    return Wait(until_us, slot.rule, limit)
