"""JSON of broadcasts, schedules and explanations. Source: contract 2.1, 2.4, 3.3; extensions beside."""

from typing import Any

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.broadcasts.broadcast import BroadcastRow, shown_state
from heliograph.domain.explain.explanation import Explanation
from heliograph.domain.jobs.ids import message_id, queue_id, unique_id
from heliograph.domain.messages.content import Content
from heliograph.domain.schedules.recurrence import in_words, repeat_config
from heliograph.domain.schedules.schedule import Occurrence, Schedule
from heliograph.domain.timestamps import iso

_STATUS = {
    "scheduled": None,
    "running": "inprogress",
    "paused": "inprogress",
    "completed": "completed",
    "cancelled": "stopped",
}


class BroadcastObject(msgspec.Struct, frozen=True):
    """Contract 3.3. From `state` on: extensions."""

    broadcast_id: str
    org_id: str
    message_payload: dict[str, Any]
    created_at: str
    scheduled_at: str | None
    performed_by: str
    performed_at: str | None
    broadcast_status: str | None
    total_chats: int
    sent_chats: int
    failed_chats: int
    pending_chats: int
    total_delivered_count: int
    total_read_count: int
    total_member_count: int
    delivered_percentage: float
    read_percentage: float
    logs: list[Any]
    state: str
    phone_id: str
    skipped_chats: int
    cancelled_chats: int
    paused_at: str | None
    paused_by: str | None
    ended_at: str | None


def broadcast_object(row: BroadcastRow, phone: PhoneRow, now_us: int) -> BroadcastObject:
    state = shown_state(row, now_us)
    return BroadcastObject(
        broadcast_id=row.broadcast_id,
        org_id=phone.org_id,
        message_payload={
            "body": row.content.body,
            "message_type": row.content.type.value,
            "performed_by": row.performed_by,
        },
        created_at=iso(row.created_at_us),
        scheduled_at=_iso(row.scheduled_at_us),
        performed_by=row.performed_by,
        performed_at=_iso(row.started_at_us),
        broadcast_status=_STATUS[state],
        total_chats=row.total,
        sent_chats=row.sent,
        failed_chats=row.failed,
        pending_chats=row.pending,
        total_delivered_count=row.delivered,
        total_read_count=row.read,
        total_member_count=row.total,
        delivered_percentage=_percent(row.delivered, row.total),
        read_percentage=_percent(row.read, row.total),
        logs=[],
        state=state,
        phone_id=phone.phone_id,
        skipped_chats=row.skipped,
        cancelled_chats=row.cancelled,
        paused_at=_iso(row.paused_at_us),
        paused_by=row.paused_by,
        ended_at=_iso(row.ended_at_us),
    )


class ScheduleObject(msgspec.Struct, frozen=True):
    """Contract 2.4, "Object". From `next_at` on: extensions."""

    scheduled_id: str
    org_id: str
    org_phone: str
    chat_id: str
    message_payload: dict[str, Any]
    scheduled_at: str
    is_repeat: bool
    repeat_config: dict[str, Any] | None
    status: str
    skip_next: bool
    paused_at: str | None
    updated_at: str
    performed_by: str
    created_at: str
    next_at: str | None
    recurrence: str
    missed_policy: str
    runs: int
    priority: str
    ttl_seconds: float | None


def schedule_object(schedule: Schedule, phone: PhoneRow) -> ScheduleObject:
    repeat = schedule.repeat
    return ScheduleObject(
        scheduled_id=schedule.scheduled_id,
        org_id=phone.org_id,
        org_phone=f"{phone.number}@c.us",
        chat_id=schedule.chat_id,
        message_payload=_payload(schedule.content),
        scheduled_at=iso(schedule.next_at_us if schedule.next_at_us is not None else schedule.first_at_us),
        is_repeat=repeat is not None,
        repeat_config=None if repeat is None else repeat_config(repeat, _iso(repeat.ends_us)),
        status="paused" if schedule.paused_at_us is not None else schedule.state,
        skip_next=schedule.skip_next,
        paused_at=_iso(schedule.paused_at_us),
        updated_at=iso(schedule.updated_at_us),
        performed_by=schedule.performed_by,
        created_at=iso(schedule.created_at_us),
        next_at=None if schedule.paused_at_us is not None else _iso(schedule.next_at_us),
        recurrence=in_words(schedule.first_at_us, repeat),
        missed_policy=schedule.missed.value,
        runs=schedule.runs,
        priority=schedule.priority.name.lower(),
        ttl_seconds=schedule.lasts_s,
    )


class OccurrenceObject(msgspec.Struct, frozen=True):
    id: str
    scheduled_id: str
    chat_id: str
    sent_message_id: str | None
    message_id: str | None
    is_success: bool | None
    remarks: str
    delivered_at: str | None
    created_at: str
    due_at: str
    outcome: str


def occurrence_object(run: Occurrence, schedule: Schedule | None) -> OccurrenceObject:
    """`is_success` None: its message is still on its way. `message_id` None: there is none, or none any more."""
    chat_id = run.chat_id or ("" if schedule is None else schedule.chat_id)
    success = {"sent": True, "failed": False, "expired": False, "cancelled": False}.get(run.state or "")
    if run.job_id is None:
        success = False
    return OccurrenceObject(
        id=f"{queue_id(run.schedule_no)}-{run.at_us // 1_000_000}",
        scheduled_id=queue_id(run.schedule_no),
        chat_id=chat_id,
        sent_message_id=None if run.job_id is None else queue_id(run.job_id),
        message_id=_message_id(run),
        is_success=success,
        remarks=run.remarks or run.detail or "",
        delivered_at=_iso(run.delivered_at_us),
        created_at=iso(run.created_at_us),
        due_at=iso(run.at_us),
        outcome=run.outcome,
    )


def _message_id(run: Occurrence) -> str | None:
    if run.job_id is None or run.chat_id is None:
        return None
    return message_id(run.chat_id, run.provider_message_id or unique_id(run.job_id), run.author)


class BlockerObject(msgspec.Struct, frozen=True):
    code: str
    text: str
    until: str | None
    action: str | None


class ExplanationObject(msgspec.Struct, frozen=True):
    """Why a message is where it is. `eta`: when it will go, as far as can be foreseen."""

    queue_id: str
    status: str
    sentence: str
    blockers: list[BlockerObject]
    eta: str | None


def explanation_object(name: str, status: str, found: Explanation) -> ExplanationObject:
    blockers = [BlockerObject(b.code, b.text, _iso(b.until_us), b.action) for b in found.blockers]
    return ExplanationObject(name, status, found.sentence, blockers, _iso(found.eta_us))


def _payload(content: Content) -> dict[str, Any]:
    found: dict[str, Any] = {"message": content.body, "message_type": content.type.value}
    if content.media is not None:
        found["media"] = {
            "mimetype": content.media.mimetype,
            "filename": content.media.filename,
            "url": content.media.url,
        }
    if content.poll is not None:
        found["poll"] = {"pollName": content.poll.name, "pollOptions": list(content.poll.options)}
    if content.reply_to is not None:
        found["reply_to"] = content.reply_to
    return found


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _iso(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)
