"""Scheduled messages over HTTP: sent once, or repeated by the local time of a time zone. Source: contract 2.4."""

from typing import Annotated

import msgspec
from msgspec import Meta

from heliograph.api.broadcasts.create import CLOCKS_DIFFER_S
from heliograph.api.http.actor import By, conflict_for_state, performer
from heliograph.api.http.idempotency import headers_if, idempotency, reused
from heliograph.api.http.pagination import page_of
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, QueryParameter, RawResponse, route
from heliograph.api.messages.send import prepared
from heliograph.api.messages.send_body import (
    MediaBody,
    PollBody,
    PriorityName,
    SendOptions,
    TtlSeconds,
    content_of,
)
from heliograph.api.messages.send_options import checked_ttl, parse_priority
from heliograph.api.schedules.update import MissedPolicy, RepeatBody, ScheduleChange, change_of, missed_of, repeat_of
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.contract.broadcasts import OccurrenceObject, ScheduleObject, occurrence_object, schedule_object
from heliograph.domain.errors import NotFound
from heliograph.domain.jobs.ids import JobId, parse_job_id
from heliograph.domain.jobs.job import KeyReused
from heliograph.domain.messages.chat import parse_chat_id
from heliograph.domain.messages.content import MAX_TEXT
from heliograph.domain.schedules.schedule import Missed, Schedule
from heliograph.domain.timestamps import parse_future

PATH = "/v1/message/scheduled"


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
    missed_policy: MissedPolicy = None
    priority: PriorityName = None
    ttl_seconds: TtlSeconds = None
    by: By = None


class ScheduleList(msgspec.Struct, frozen=True):
    """A page of schedules. `from` and `to` are counted from 1."""

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
    phone=PhoneHeader.OF_CHAT, body=ScheduleBody, answer=ScheduleObject, errors=(404, 415), idempotent=True,
    description="Runs keep their time on the wall when the clocks change. A month without the day takes its last one.",
    example={
        "chat_id": "919537851844@c.us", "message": "Standup in 10 minutes", "scheduled_at": "2030-01-07T03:20:00Z",
        "is_repeat": True, "repeat_config": {
            "repeat_interval": "week", "timezone": "Asia/Kolkata",
            "repeat_days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        },
    },
)  # fmt: skip
async def create(call: ApiRequest) -> RawResponse:
    body = call.decoded(ScheduleBody)
    chat_id = parse_chat_id(body.chat_id)
    phone = call.phone = await call.state.phones.required(call.org_no, call.head.phone, chat_id)
    keyed = idempotency(call.head.idempotency_key, path=PATH, phone_id=phone.phone_id, body=call.body)
    if keyed is not None and (earlier := await call.deps.schedules.schedule_of_key(call.org_no, keyed)) is not None:
        # first, as its time may be over today, and a file would be stored
        if isinstance(earlier, KeyReused):
            raise reused()
        return _response(earlier, phone, replayed=True)
    first_us = parse_future(body.scheduled_at, "scheduled_at", call.deps.clock.now_us(), grace_s=CLOCKS_DIFFER_S)
    repeat = repeat_of(body.is_repeat, body.repeat_config, first_us)
    missed, priority = missed_of(body.missed_policy, Missed.LATE), parse_priority(body.priority)
    lasts_s = None if body.ttl_seconds is None else checked_ttl(body.ttl_seconds)
    by = performer(body.by)
    content = await prepared(call.deps, phone, content_of(body), body.media, chat_id)
    schedule = Schedule(
        org_no=phone.org_no,
        schedule_no=call.deps.job_ids.make(),
        phone_no=phone.phone_no,
        chat_id=chat_id,
        content=content,
        first_at_us=first_us,
        repeat=repeat,
        priority=priority,
        missed=missed,
        lasts_s=lasts_s,
        performed_by=by,
    )
    if keyed is None:
        return _response(await call.deps.schedules.create_schedule(schedule), phone, replayed=False)
    created = await call.deps.schedules.create_schedule_once(schedule, keyed)
    if isinstance(created, KeyReused):
        raise reused()
    return _response(created[0], phone, replayed=created[1])


def _response(schedule: Schedule, phone: PhoneRow, *, replayed: bool) -> RawResponse:
    return RawResponse(msgspec.json.encode(schedule_object(schedule, phone)), headers=headers_if(replayed))


_PAGE = (
    QueryParameter("limit", "How many", "integer", 1, 2000),
    QueryParameter("offset", "How many to leave out", "integer", 0),
)


@route(
    "GET", "/message/scheduled", summary="Scheduled messages, newest first", tag="Scheduled",
    phone=PhoneHeader.OPTIONAL,
    answer=ScheduleList, query=_PAGE,
)  # fmt: skip
async def list_schedules(call: ApiRequest) -> ScheduleList:
    limit, offset = page_of(call, 20, 2000)
    schedules = await call.deps.schedules.schedules(call.org_no, call.phone_no, limit=limit, offset=offset)
    phones = {phone.phone_no: phone for phone in await call.deps.phones.phones(call.org_no)}
    objects = []
    for schedule in schedules:
        phone = phones.get(schedule.phone_no) or await call.deps.phones.phone_row(call.org_no, schedule.phone_no)
        if phone is not None:
            objects.append(schedule_object(schedule, phone))
    return ScheduleList(offset + 1, offset + len(objects), len(objects), objects)


@route(
    "GET", "/message/scheduled/{scheduled_id:str}", summary="A scheduled message", tag="Scheduled",
    answer=ScheduleObject, errors=(404,),
)  # fmt: skip
async def get_schedule(call: ApiRequest) -> ScheduleObject:
    schedule = await _schedule(call)
    return schedule_object(schedule, await _phone(call, schedule))


@route(
    "PATCH", "/message/scheduled/{scheduled_id:str}", summary="Change, pause or skip a scheduled message",
    tag="Scheduled", body=ScheduleChange, answer=ScheduleObject, errors=(404, 409, 415),
)  # fmt: skip
async def change(call: ApiRequest) -> ScheduleObject:
    body = call.decoded(ScheduleChange)
    schedule = await _schedule(call)
    phone = await _phone(call, schedule)
    if schedule.state != "scheduled":
        raise conflict_for_state("scheduled message", WrongState(schedule.state))
    apply = await change_of(call, body, schedule, phone)
    changed = await call.deps.schedules.change_schedule(call.org_no, schedule.schedule_no, apply)
    if changed is None:
        raise unknown_schedule()
    if isinstance(changed, WrongState):
        raise conflict_for_state("scheduled message", changed)
    return schedule_object(changed, phone)


@route(
    "DELETE", "/message/scheduled/{scheduled_id:str}", summary="Delete a scheduled message; what it did stays",
    tag="Scheduled", answer=Deleted, errors=(404,),
)  # fmt: skip
async def delete(call: ApiRequest) -> Deleted:
    number = _number(call)
    if not await call.deps.schedules.delete_schedule(call.org_no, number):
        raise unknown_schedule()
    return Deleted(True, "Scheduled message deleted", call.path["scheduled_id"])


@route(
    "GET", "/message/scheduled/{scheduled_id:str}/occurrences", summary="What came of its runs, newest first",
    tag="Scheduled", answer=OccurrenceList, errors=(404,), query=_PAGE,
)  # fmt: skip
async def occurrences(call: ApiRequest) -> OccurrenceList:
    number = _number(call)
    limit, offset = page_of(call, 20, 2000)
    schedule = await call.deps.schedules.schedule(call.org_no, number)
    runs = await call.deps.schedules.occurrences(call.org_no, number, limit=limit, offset=offset)
    if schedule is None and not runs and not offset:
        raise unknown_schedule()
    objects = [occurrence_object(run, schedule) for run in runs]
    return OccurrenceList(offset + 1, offset + len(objects), len(objects), objects)


def unknown_schedule() -> NotFound:
    return NotFound("There is no such scheduled message in this organisation")


def _number(call: ApiRequest) -> JobId:
    name = call.path["scheduled_id"]
    number = parse_job_id(name) if len(name) == 36 else None
    if number is None:
        raise unknown_schedule()
    return number


async def _schedule(call: ApiRequest) -> Schedule:
    schedule = await call.deps.schedules.schedule(call.org_no, _number(call))
    if schedule is None:
        raise unknown_schedule()
    return schedule


async def _phone(call: ApiRequest, schedule: Schedule) -> PhoneRow:
    phone = await call.deps.phones.phone_row(call.org_no, schedule.phone_no)
    if phone is None:
        raise unknown_schedule()
    return phone
