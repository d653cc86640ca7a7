"""Schedules as people create, change and list them."""

from collections.abc import Callable
from typing import Any

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Idempotency, KeyReused
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import Content, decode_content, encode_content
from heliograph.domain.schedules.recurrence import Every, Repeat, next_run
from heliograph.domain.schedules.schedule import Missed, Occurrence, Schedule
from heliograph.store.accounts import idempotency
from heliograph.store.database import named
from heliograph.store.database.rows import readable
from heliograph.store.database.unit import Unit, query, query_one


def create(schedule: Schedule, now_us: int) -> Unit[Schedule]:
    first_us = next_run(schedule.first_at_us, schedule.repeat)
    yield from query(
        named.schedule_insert(
            org_no=schedule.org_no,
            schedule_no=schedule.schedule_no,
            phone_no=schedule.phone_no,
            next_at=first_us,
            performed_by=schedule.performed_by,
            now=now_us,
            **_changing(schedule),
        )
    )
    found = yield from get(schedule.org_no, schedule.schedule_no)
    assert found is not None
    return found


def create_once(schedule: Schedule, key: Idempotency, now_us: int) -> Unit[tuple[Schedule, bool] | KeyReused]:
    """Gives it as stored, and whether an earlier request with this key created it."""
    if (yield from idempotency.claim_key(schedule.org_no, key, now_us)) is not None:
        earlier = yield from made_with(schedule.org_no, key)
        return (earlier, True) if isinstance(earlier, Schedule) else KeyReused()
    yield from idempotency.save_response(schedule.org_no, key, str(schedule.schedule_no))
    return (yield from create(schedule, now_us)), False


def made_with(org_no: int, key: Idempotency) -> Unit[Schedule | KeyReused | None]:
    """Gives the schedule of an earlier request with this key, deleted or not; None: the key is free."""
    earlier = yield from idempotency.find(org_no, key)
    if earlier is None:
        return None
    row = None
    if earlier.same and earlier.response is not None:
        row = yield from query_one(named.schedule_by_no(org_no=org_no, schedule_no=int(earlier.response)))
    return KeyReused() if row is None else schedule_of(row, readable)


def get(org_no: int, schedule_no: JobId) -> Unit[Schedule | None]:
    row = yield from query_one(named.schedule_by_no(org_no=org_no, schedule_no=schedule_no))
    return None if row is None or row["state"] == "deleted" else schedule_of(row, readable)


def list_schedules(org_no: int, phone_no: int | None, *, limit: int, offset: int) -> Unit[list[Schedule]]:
    rows = yield from query(named.schedules_of_org(org_no=org_no, phone_no=phone_no or 0, limit=limit, offset=offset))
    return [schedule_of(row, readable) for row in rows]


def change(
    org_no: int, schedule_no: JobId, how: Callable[[Schedule], Schedule], now_us: int
) -> Unit[Schedule | str | None]:
    """Changes a schedule by `how`. None: there is none; a text: the state that forbids a change."""
    row = yield from query_one(named.schedule_lock(org_no=org_no, schedule_no=schedule_no))
    if row is None or row["state"] == "deleted":
        return None
    if row["state"] != "scheduled":
        return row["state"]
    wanted = how(schedule_of(row))
    yield from query(
        named.schedule_update(
            org_no=org_no,
            schedule_no=schedule_no,
            next_at=wanted.next_at_us,
            skip_next=int(wanted.skip_next),
            paused_at=wanted.paused_at_us,
            paused_by=wanted.paused_by,
            now=now_us,
            **_changing(wanted),
        )
    )
    return (yield from get(org_no, schedule_no))


def delete(org_no: int, schedule_no: JobId, now_us: int) -> Unit[bool]:
    found = yield from query_one(named.schedule_delete(org_no=org_no, schedule_no=schedule_no, now=now_us))
    return found is not None


def occurrences(org_no: int, schedule_no: JobId, *, limit: int, offset: int) -> Unit[list[Occurrence]]:
    rows = yield from query(named.schedule_runs_of(org_no=org_no, schedule_no=schedule_no, limit=limit, offset=offset))
    return [
        Occurrence(
            schedule_no,
            row["at"],
            row["outcome"],
            row["job_id"],
            row["remarks"],
            row["created_at"],
            row["chat_id"],
            row["state"],
            row["detail"],
            row["delivered_at"],
            row["provider_message_id"],
            row["author"],
        )
        for row in rows
    ]


def _changing(schedule: Schedule) -> dict[str, Any]:
    """Gives the columns that a person may change."""
    repeat = schedule.repeat
    return {
        "chat_id": schedule.chat_id,
        "content": encode_content(schedule.content),
        "priority": int(schedule.priority),
        "first_at": schedule.first_at_us,
        "every": None if repeat is None else repeat.every.value,
        "step": None if repeat is None else repeat.value,
        "days": "" if repeat is None else ",".join(map(str, repeat.days)),
        "ends_at": None if repeat is None else repeat.ends_us,
        "zone": "UTC" if repeat is None else repeat.zone,
        "missed": schedule.missed.value,
        "ttl_us": None if schedule.lasts_s is None else round(schedule.lasts_s * 1_000_000),
    }


def schedule_of(row: "named.ScheduleColumns", decode: Callable[[str], Content] = decode_content) -> Schedule:
    """Raises DecodeError for one that cannot be decoded, unless `decode` does not."""
    repeat = None
    if row["every"] is not None:
        days = tuple(int(day) for day in row["days"].split(",")) if row["days"] else ()
        repeat = Repeat(Every(row["every"]), row["step"] or 1, days, row["ends_at"], row["zone"])
    return Schedule(
        org_no=row["org_no"],
        schedule_no=row["schedule_no"],
        phone_no=row["phone_no"],
        chat_id=row["chat_id"],
        content=decode(row["content"]),
        first_at_us=row["first_at"],
        repeat=repeat,
        priority=Priority(row["priority"]),
        state=row["state"],
        next_at_us=row["next_at"],
        skip_next=row["skip_next"] == 1,
        paused_at_us=row["paused_at"],
        paused_by=row["paused_by"],
        missed=Missed(row["missed"]),
        lasts_s=None if row["ttl_us"] is None else row["ttl_us"] / 1_000_000,
        runs=row["runs"],
        performed_by=row["performed_by"],
        created_at_us=row["created_at"],
        updated_at_us=row["updated_at"],
    )
