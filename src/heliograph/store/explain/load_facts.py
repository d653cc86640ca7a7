"""What is known of a message that waits: the facts behind its explanation, each one search by key.

Promise: reads a bounded number of rows, however long the queue is.
Weakness: how many stand before it is counted from the order of arrival: messages of other chats that went ahead make
the number too small for a while, and messages whose own chats wait are counted though they may go later.
"""

from itertools import pairwise
from typing import Any

from heliograph.domain.errors import Invalid
from heliograph.domain.explain.explanation import MAX_AHEAD, ExplanationFacts, Hold, Wait
from heliograph.domain.jobs.job import Job, PhoneRow
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
from heliograph.ports.control_store import Forecast
from heliograph.store.database.rows import phone_of
from heliograph.store.database.unit import Rows, Unit, query, query_one

SEND_S = 0.02  # an attempt, where nothing was sent lately
MIN_SAMPLES = 5  # messages that tell a speed
_LIMITS = {
    "per_second": "per_second",
    "per_minute": "per_minute",
    "per_hour": "per_hour",
    "per_day": "per_day",
    "new_chats": "new_chats_per_day",
}


def facts_of(job: Job, now_us: int, in_flight: int) -> Unit[ExplanationFacts]:
    """`in_flight`: how many the phone's provider sends at once."""
    found = yield from query_one("phone_by_no", org_no=job.org_no, phone_no=job.phone_no)
    phone = None if found is None else phone_of(found)
    if job.state is State.UNCERTAIN:
        since = yield from query_one("explain_uncertain_since", org_no=job.org_no, job_id=job.job_id)
        return ExplanationFacts(
            job=job, now_us=now_us, phone=phone, uncertain_since_us=None if since is None else since["at"]
        )
    if job.state is not State.QUEUED or phone is None:
        return ExplanationFacts(job=job, now_us=now_us, phone=phone)
    where = {"org_no": job.org_no, "phone_no": job.phone_no}
    lane = yield from query_one("explain_lane", chat_id=job.chat_id, priority=int(job.priority), **where)
    holds = {row["target"]: hold_of(row) for row in (yield from query("holds_of_phone", **where))}
    owner = yield from query_one("explain_owner", **where)
    new_chat = (yield from _is_new(job)) if lane is None else bool(lane["new_chat"])
    in_chat = yield from query_one(
        "explain_ahead_in_chat",
        chat_id=job.chat_id,
        priority=int(job.priority),
        seq=job.seq,
        most=MAX_AHEAD + 1,
        **where,
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
        counted = yield from query_one("explain_new_ahead", priority=int(job.priority), seq=job.seq, **where)
        new_ahead = counted["ahead"]
        if not new_chat and new_wait_s > 0:  # new chats wait for their limit, and this message passes them
            before = max(before - new_ahead, in_chat["ahead"])
    forecast_s = eta(policy, history, 0.0, ahead=before, send_s=send_s, in_flight=in_flight, new_chat=new_chat)
    if new_chat and new_ahead:
        forecast_s = max(forecast_s, eta_new(policy, history, 0.0, ahead=new_ahead))
    if policy.free and each_s is not None:
        forecast_s = before * each_s  # nothing but its own speed holds the phone back
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
    """When `count` more messages, `new` of them to new chats, would be through."""
    found = yield from query_one("phone_by_no", org_no=org_no, phone_no=phone_no)
    phone = phone_of(found)
    policy = policy_of(phone)
    history = yield from history_of(policy, phone, now_us)
    waiting = 0
    for row in (yield from query("explain_queue", org_no=org_no, phone_no=phone_no)):
        waiting += row["open_now"]
    seconds = eta(policy, history, 0.0, ahead=waiting + count, send_s=SEND_S, in_flight=in_flight)
    seconds = max(seconds, delay_s * count)
    if new and limit_now(policy, history, 0.0, "new_chats_per_day") is not None:
        seconds = max(seconds, eta_new(policy, history, 0.0, ahead=new - 1))
    return Forecast(None if seconds == float("inf") else seconds, new)


def policy_of(phone: PhoneRow) -> Policy:
    """A policy that this program cannot read holds nothing back."""
    try:
        return parse_policy(phone.pacing)
    except Invalid:
        return Policy(name="none")


def hold_of(row: Any) -> Hold:
    return Hold(row["actor"], row["created_at"], row["reason"])


def new_chats_wait(org_no: int, phone_no: int, now_us: int) -> Unit[float]:
    """How much longer than others chats the phone has not written to have to wait, in seconds."""
    found = yield from query_one("phone_by_no", org_no=org_no, phone_no=phone_no)
    if found is None:
        return 0.0
    phone = phone_of(found)
    told_s = ((phone.new_chats_until_us or 0) - now_us) / 1e6  # by the provider
    policy = policy_of(phone)
    history = StartHistory(policy)
    if policy.new_chats_per_day is not None or policy.warm_up:
        history = yield from history_of(policy, phone, now_us)
    others_at = next_start(policy, history, 0.0).at
    own_at = next_start(policy, history, 0.0, new_chat=True).at
    return max(told_s, own_at - others_at if others_at < own_at else 0.0)


def _is_new(job: Job) -> Unit[bool]:
    found = yield from query_one("explain_new_chat", org_no=job.org_no, phone_no=job.phone_no, chat_id=job.chat_id)
    return found is None


def _ahead(job: Job) -> Unit[int]:
    return ahead_of(job, (yield from query("explain_queue", org_no=job.org_no, phone_no=job.phone_no)))


def ahead_of(job: Job, queue: Rows) -> int:
    """`queue`: the rows of `explain_queue` of its phone."""
    ahead = 0
    for row in queue:
        if row["priority"] < job.priority:
            ahead += row["open_now"]
        elif row["priority"] == job.priority:
            ahead += max(row["open_now"] - max(row["next_seq"] - job.seq, 1), 0)
    return ahead


def _ahead_in_list(job: Job) -> Unit[tuple[int, float]]:
    """Of a recipient that is not fed: who goes first, and how long the broadcast's own delay keeps it."""
    row = yield from query_one("broadcast_by_no", org_no=job.org_no, broadcast_no=job.broadcast_no)
    fed = job.seq if row is None else row["enqueued"]
    queue = yield from query("explain_queue", org_no=job.org_no, phone_no=job.phone_no)
    return ahead_in_list(job, queue, fed), 0.0 if row is None else max(job.seq - fed, 0) * row["delay_us"] / 1e6


def ahead_in_list(job: Job, queue: Rows, fed: int) -> int:
    before: int = sum(lane["open_now"] for lane in queue if lane["priority"] <= job.priority)
    return max(job.seq - fed, 0) + before


def history_of(policy: Policy, phone: PhoneRow, now_us: int) -> Unit[StartHistory]:
    if policy.free:
        return StartHistory(policy)
    after = now_us - round(policy.horizon_s * 1_000_000)
    rows = yield from query("pace_rows", org_no=phone.org_no, phone_no=phone.phone_no, after=after)
    starts = [PaceRow(row["at"], row["chat_id"], row["new_chat"] == 1) for row in rows]
    history = history_from_rows(
        policy, starts, now=0.0, now_us=now_us, first_connected_at_us=phone.first_connected_at_us
    )
    if starts:  # seen from outside the last settle is about the last start
        history.gap_until = (starts[-1].at_us - now_us) / 1e6 + policy.gap_s(0.5)
    return history


def _speed(job: Job) -> Unit[tuple[float, float | None]]:
    """Of the messages that went last: seconds of an attempt, and seconds from one to the next while there was work
    (None: too few).
    """
    head = yield from query_one("explain_head", org_no=job.org_no, phone_no=job.phone_no, priority=int(job.priority))
    below = job.job_id if head is None or head["head_job"] is None else min(head["head_job"], job.job_id)
    rows = yield from query("explain_speed", org_no=job.org_no, below=below, phone_no=job.phone_no)
    took = [(row["sent_at"] - row["started_at"]) / 1e6 for row in rows if row["sent_at"] and row["started_at"]]
    sent = sorted((row["sent_at"], row["queued_at"]) for row in rows if row["sent_at"])
    # from one to the next while there was work: of a message that came later, from when it came
    gaps = [at - max(before, queued) for (before, _), (at, queued) in pairwise(sent)]
    each = sum(gaps) / 1e6 / len(gaps) if len(sent) >= MIN_SAMPLES else None
    return (sum(took) / len(took) if took else SEND_S), each


def of_lane(lane: Any, now_us: int) -> dict[str, int | None]:
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
