"""Scheduled messages over HTTP: once, or again and again by the clock of a time zone. Source: contract 2.4."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from heliograph.api.acts import page, refused, steering_of
from heliograph.api.broadcasts import CLOCKS_DIFFER_S
from heliograph.api.call import Call
from heliograph.api.parse import MediaBody, PollBody, Priority, SendBody, SendOptions, TtlSeconds, content_of
from heliograph.api.route import PhoneUse, Query, route
from heliograph.api.send import prepared
from heliograph.api.terms import checked_ttl, lane_of
from heliograph.domain.broadcast import Refused
from heliograph.domain.chat import parse_chat_id
from heliograph.domain.content import MAX_TEXT, Content
from heliograph.domain.errors import NotFound, invalid
from heliograph.domain.ids import JobId, parse_job_id
from heliograph.domain.job import PhoneRow
from heliograph.domain.moment import parse_future
from heliograph.domain.recurrence import DAYS, Repeat, next_run, parse_repeat
from heliograph.domain.schedule import Missed, Schedule
from heliograph.domain.wire_broadcast import OccurrenceObject, ScheduleObject, occurrence_object, schedule_object

_MISSED = Annotated[
    str | None,
    Meta(
        description="What becomes of a run that was due while nothing ran: late (one is sent late) or skip",
        extra_json_schema={"enum": [*(m.value for m in Missed), None]},
    ),
]


class RepeatBody(msgspec.Struct, omit_defaults=True):
    repeat_interval: Annotated[str, Meta(extra_json_schema={"enum": ["day", "week", "month"]})]
    repeat_value: Annotated[int, Meta(extra_json_schema={"minimum": 1})] = 1
    timezone: Annotated[str | None, Meta(description="Such as Asia/Kolkata; UTC if it is left out")] = None
    repeat_days: Annotated[list[str] | None, Meta(extra_json_schema={"items": {"enum": list(DAYS)}})] = None
    repeat_ends: Annotated[str | None, Meta(description="No run later than this (ISO, UTC)")] = None


class ScheduleBody(msgspec.Struct):
    chat_id: str
    scheduled_at: Annotated[str, Meta(description="The first run (ISO, UTC)")]
    message: Annotated[str | None, Meta(extra_json_schema={"maxLength": MAX_TEXT})] = None
    media: MediaBody | None = None
    poll: PollBody | None = None
    reply_to: str | None = None
    options: SendOptions | None = None
    is_repeat: bool = False
    repeat_config: RepeatBody | None = None
    missed_policy: _MISSED = None
    priority: Priority = None
    ttl_seconds: TtlSeconds = None


class ScheduleChange(msgspec.Struct):
    """What is left out stays. A new `scheduled_at` is the next run; with a repetition, the others follow from it."""

    scheduled_at: str | UnsetType = UNSET
    message: Annotated[str | UnsetType, Meta(extra_json_schema={"maxLength": MAX_TEXT})] = UNSET
    media: MediaBody | UnsetType | None = UNSET
    poll: PollBody | UnsetType | None = UNSET
    is_repeat: bool | UnsetType = UNSET
    repeat_config: RepeatBody | UnsetType | None = UNSET
    skip_next: bool | UnsetType = UNSET
    paused: Annotated[bool | UnsetType, Meta(description="true pauses, false resumes")] = UNSET
    is_paused: Annotated[bool | UnsetType, Meta(description="The same as paused")] = UNSET
    missed_policy: _MISSED = None


class ScheduleList(msgspec.Struct, frozen=True):
    """`from` and `to` are counted from 1."""

    from_: int = msgspec.field(name="from")
    to: int
    count: int
    scheduled_messages: list[ScheduleObject]


class OccurrenceList(msgspec.Struct, frozen=True):
    from_: int = msgspec.field(name="from")
    to: int
    count: int
    occurrences: list[OccurrenceObject]


class Deleted(msgspec.Struct, frozen=True):
    success: bool
    message: str
    scheduled_id: str


@route(
    "POST", "/message/scheduled", summary="Send a message later, once or again and again", tag="Scheduled",
    phone=PhoneUse.REQUIRED, body=ScheduleBody, answer=ScheduleObject, errors=(404, 413, 415),
    description="Runs keep their time on the wall when the clocks change. A month without the day takes its last one.",
    example={
        "chat_id": "919537851844@c.us", "message": "Standup in 10 minutes", "scheduled_at": "2030-01-07T03:20:00Z",
        "is_repeat": True, "repeat_config": {
            "repeat_interval": "week", "timezone": "Asia/Kolkata",
            "repeat_days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        },
    },
)  # fmt: skip
async def create(call: Call) -> ScheduleObject:
    body, phone = call.decoded(ScheduleBody), call.the_phone
    chat_id = parse_chat_id(body.chat_id)
    first_us = parse_future(body.scheduled_at, "scheduled_at", call.deps.clock.now_us(), grace_s=CLOCKS_DIFFER_S)
    repeat = _repeat(body.is_repeat, body.repeat_config, first_us)
    missed, lane = _missed(body.missed_policy, Missed.LATE), lane_of(body.priority)
    lasts_s = None if body.ttl_seconds is None else checked_ttl(body.ttl_seconds)
    content = content_of(
        SendBody(
            chat_id=chat_id,
            message=body.message,
            media=body.media,
            poll=body.poll,
            reply_to=body.reply_to,
            options=body.options,
        )
    )
    content = await prepared(call.desk, phone, content, body.media, chat_id)
    made = await steering_of(call).schedule(
        Schedule(
            org_no=phone.org_no,
            schedule_no=call.deps.job_ids.make(),
            phone_no=phone.phone_no,
            chat_id=chat_id,
            content=content,
            first_at_us=first_us,
            repeat=repeat,
            lane=lane,
            missed=missed,
            lasts_s=lasts_s,
        )
    )
    return schedule_object(made, phone)


def _repeat(is_repeat: bool, config: RepeatBody | None, first_us: int) -> Repeat | None:
    if not is_repeat:
        if config is not None:
            raise invalid("is_repeat", "repeat_config needs is_repeat")
        return None
    if config is None:
        raise invalid("repeat_config", "repeat_config is missing")
    return parse_repeat(msgspec.to_builtins(config), first_us)


def _missed(text: str | None, usual: Missed) -> Missed:
    if text is None:
        return usual
    if text not in list(Missed):
        raise invalid("missed_policy", "missed_policy must be late or skip", text)
    return Missed(text)


_PAGE = (Query("limit", "How many", "integer", 1, 2000), Query("offset", "How many to leave out", "integer", 0))


@route(
    "GET", "/message/scheduled", summary="Scheduled messages, newest first", tag="Scheduled", phone=PhoneUse.OPTIONAL,
    answer=ScheduleList, query=_PAGE,
)  # fmt: skip
async def listed(call: Call) -> ScheduleList:
    limit, offset = page(call, 20, 2000)
    found = await steering_of(call).schedules(call.org_no, call.phone_no, limit=limit, offset=offset)
    phones = {phone.phone_no: phone for phone in await call.deps.accounts.phones(call.org_no)}
    shown = []
    for schedule in found:
        phone = phones.get(schedule.phone_no) or await call.deps.accounts.phone_row(call.org_no, schedule.phone_no)
        if phone is not None:
            shown.append(schedule_object(schedule, phone))
    return ScheduleList(offset + 1, offset + len(shown), len(shown), shown)


@route(
    "GET", "/message/scheduled/{scheduled_id:str}", summary="A scheduled message", tag="Scheduled",
    answer=ScheduleObject, errors=(404,),
)  # fmt: skip
async def one(call: Call) -> ScheduleObject:
    schedule = await _found(call)
    return schedule_object(schedule, await _phone(call, schedule))


@route(
    "PATCH", "/message/scheduled/{scheduled_id:str}", summary="Change, pause or skip a scheduled message",
    tag="Scheduled", body=ScheduleChange, answer=ScheduleObject, errors=(404, 409, 413, 415),
)  # fmt: skip
async def change(call: Call) -> ScheduleObject:
    body = call.decoded(ScheduleChange)
    schedule = await _found(call)
    phone = await _phone(call, schedule)
    if schedule.state != "scheduled":
        raise refused("scheduled message", Refused(schedule.state))
    how = await _change_of(call, body, schedule, phone)
    done = await steering_of(call).change_schedule(call.org_no, schedule.schedule_no, how)
    if done is None:
        raise unknown_schedule()
    if isinstance(done, Refused):
        raise refused("scheduled message", done)
    return schedule_object(done, phone)


async def _change_of(
    call: Call, body: ScheduleChange, schedule: Schedule, phone: PhoneRow
) -> Callable[[Schedule], Schedule]:
    now_us = call.deps.clock.now_us()
    content = await _new_content(call, body, schedule, phone)
    first_us = schedule.first_at_us
    if body.scheduled_at is not UNSET:
        first_us = parse_future(body.scheduled_at, "scheduled_at", now_us, grace_s=CLOCKS_DIFFER_S)
    repeat = schedule.repeat
    if body.is_repeat is False:
        repeat = None
    elif body.repeat_config is not UNSET and body.repeat_config is not None:
        repeat = parse_repeat(msgspec.to_builtins(body.repeat_config), first_us)
    elif body.is_repeat is True and repeat is None:
        raise invalid("repeat_config", "repeat_config is missing")
    missed = _missed(body.missed_policy, schedule.missed)
    moved = first_us != schedule.first_at_us or repeat != schedule.repeat
    next_us = next_run(first_us, repeat, None if first_us > now_us else now_us) if moved else None
    if moved and next_us is None:
        raise invalid("scheduled_at", "The schedule would never run again: give a scheduled_at that is to come")
    pause = body.paused if body.paused is not UNSET else body.is_paused

    def how(now: Schedule) -> Schedule:
        wanted = replace(now, content=content or now.content, first_at_us=first_us, repeat=repeat, missed=missed)
        if moved:
            wanted = replace(wanted, next_at_us=next_us)
        if body.skip_next is not UNSET:
            wanted = replace(wanted, skip_next=body.skip_next)
        if pause is True and now.paused_at_us is None:
            wanted = replace(wanted, paused_at_us=now_us, paused_by="api")
        if pause is False and now.paused_at_us is not None:
            wanted = _resumed(wanted, now_us)
        return wanted

    return how


def _resumed(schedule: Schedule, now_us: int) -> Schedule:
    """Runs that came due while it was paused are not made up for; a single one goes out now."""
    next_us = schedule.next_at_us
    if next_us is not None and next_us <= now_us:
        next_us = next_run(schedule.first_at_us, schedule.repeat, now_us) or next_us
    return replace(schedule, paused_at_us=None, paused_by=None, next_at_us=next_us)


async def _new_content(call: Call, body: ScheduleChange, schedule: Schedule, phone: PhoneRow) -> Content | None:
    if body.message is UNSET and body.media is UNSET and body.poll is UNSET:
        return None
    media = None if body.media is UNSET else body.media
    if media is None and body.poll is UNSET and schedule.content.media is not None and body.media is UNSET:
        text = schedule.content.body if body.message is UNSET else body.message
        return msgspec.structs.replace(schedule.content, body=text)
    sent = SendBody(
        chat_id=schedule.chat_id,
        message=schedule.content.body if body.message is UNSET else body.message,
        media=media,
        poll=None if body.poll is UNSET else body.poll,
    )
    return await prepared(call.desk, phone, content_of(sent), media, schedule.chat_id)


@route(
    "DELETE", "/message/scheduled/{scheduled_id:str}", summary="Delete a scheduled message; what it did stays",
    tag="Scheduled", answer=Deleted, errors=(404,),
)  # fmt: skip
async def delete(call: Call) -> Deleted:
    number = _number(call)
    if not await steering_of(call).delete_schedule(call.org_no, number):
        raise unknown_schedule()
    return Deleted(True, "Scheduled message deleted", call.path["scheduled_id"])


@route(
    "GET", "/message/scheduled/{scheduled_id:str}/occurrences", summary="What came of its runs, newest first",
    tag="Scheduled", answer=OccurrenceList, errors=(404,), query=_PAGE,
)  # fmt: skip
async def occurrences(call: Call) -> OccurrenceList:
    number = _number(call)
    limit, offset = page(call, 20, 2000)
    schedule = await steering_of(call).schedule_row(call.org_no, number)
    found = await steering_of(call).occurrences(call.org_no, number, limit=limit, offset=offset)
    if schedule is None and not found and not offset:
        raise unknown_schedule()
    shown = [occurrence_object(run, schedule) for run in found]
    return OccurrenceList(offset + 1, offset + len(shown), len(shown), shown)


def unknown_schedule() -> NotFound:
    return NotFound("There is no such scheduled message in this organisation")


def _number(call: Call) -> JobId:
    name = call.path["scheduled_id"]
    number = parse_job_id(name) if len(name) == 36 else None
    if number is None:
        raise unknown_schedule()
    return number


async def _found(call: Call) -> Schedule:
    schedule = await steering_of(call).schedule_row(call.org_no, _number(call))
    if schedule is None:
        raise unknown_schedule()
    return schedule


async def _phone(call: Call, schedule: Schedule) -> PhoneRow:
    phone = await call.deps.accounts.phone_row(call.org_no, schedule.phone_no)
    if phone is None:
        raise unknown_schedule()
    return phone


def routes() -> list[HTTPRouteHandler]:
    return [create, listed, one, change, delete, occurrences]
