"""Changes of a scheduled message: text, time, repetition, missed runs, pause."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from heliograph.api.broadcasts.create import CLOCKS_DIFFER_S
from heliograph.api.http.actor import By, performer
from heliograph.api.http.request import ApiRequest
from heliograph.api.messages.send import prepared
from heliograph.api.messages.send_body import MediaBody, PollBody, SendBody, content_of
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import invalid
from heliograph.domain.messages.content import MAX_TEXT, Content
from heliograph.domain.schedules.recurrence import DAYS, Repeat, next_run, parse_repeat
from heliograph.domain.schedules.schedule import Missed, Schedule
from heliograph.domain.timestamps import parse_future

MissedPolicy = Annotated[
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


class ScheduleChange(msgspec.Struct):
    """Fields to change; the others stay. A new `scheduled_at` is the next run, from which a repetition goes on."""

    scheduled_at: str | UnsetType = UNSET
    message: Annotated[str | UnsetType, Meta(extra_json_schema={"maxLength": MAX_TEXT})] = UNSET
    media: MediaBody | UnsetType | None = UNSET
    poll: PollBody | UnsetType | None = UNSET
    is_repeat: bool | UnsetType = UNSET
    repeat_config: RepeatBody | UnsetType | None = UNSET
    skip_next: bool | UnsetType = UNSET
    paused: Annotated[bool | UnsetType, Meta(description="true pauses, false resumes")] = UNSET
    is_paused: Annotated[bool | UnsetType, Meta(description="The same as paused")] = UNSET
    missed_policy: MissedPolicy = None
    by: By = None


def repeat_of(is_repeat: bool, config: RepeatBody | None, first_us: int) -> Repeat | None:
    if not is_repeat:
        if config is not None:
            raise invalid("is_repeat", "repeat_config needs is_repeat")
        return None
    if config is None:
        raise invalid("repeat_config", "repeat_config is missing")
    return parse_repeat(msgspec.to_builtins(config), first_us)


def missed_of(text: str | None, default: Missed) -> Missed:
    if text is None:
        return default
    if text not in list(Missed):
        raise invalid("missed_policy", "missed_policy must be late or skip", text)
    return Missed(text)


async def change_of(
    call: ApiRequest, body: ScheduleChange, schedule: Schedule, phone: PhoneRow
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
    missed = missed_of(body.missed_policy, schedule.missed)
    moved = first_us != schedule.first_at_us or repeat != schedule.repeat
    next_us = next_run(first_us, repeat, None if first_us > now_us else now_us) if moved else None
    if moved and next_us is None:
        raise invalid("scheduled_at", "The schedule would never run again: give a scheduled_at that is to come")
    by = performer(body.by)
    pause = body.paused if body.paused is not UNSET else body.is_paused

    def apply(now: Schedule) -> Schedule:
        changed = replace(now, content=content or now.content, first_at_us=first_us, repeat=repeat, missed=missed)
        if moved:
            changed = replace(changed, next_at_us=next_us)
        if body.skip_next is not UNSET:
            changed = replace(changed, skip_next=body.skip_next)
        if pause is True and now.paused_at_us is None:
            changed = replace(changed, paused_at_us=now_us, paused_by=by)
        if pause is False and now.paused_at_us is not None:
            changed = _resumed(changed, now_us)
        return changed

    return apply


def _resumed(schedule: Schedule, now_us: int) -> Schedule:
    """Resumes a schedule. Repeated runs that fell into the pause are left out; a single run goes out now."""
    next_us = schedule.next_at_us
    if next_us is not None and next_us <= now_us:
        next_us = next_run(schedule.first_at_us, schedule.repeat, now_us) or next_us
    return replace(schedule, paused_at_us=None, paused_by=None, next_at_us=next_us)


async def _new_content(call: ApiRequest, body: ScheduleChange, schedule: Schedule, phone: PhoneRow) -> Content | None:
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
    content = await prepared(call.deps, phone, content_of(sent), media, schedule.chat_id)
    before = schedule.content  # fields that a change cannot name
    return msgspec.structs.replace(content, reply_to=before.reply_to, hide_url_preview=before.hide_url_preview)
