"""Runs due schedules: each run becomes a message in the transaction that moves the schedule to its next run.

Promise: a run is enqueued exactly once, whatever crashes and however many senders look. Runs that were missed while
nothing ran are sent late once or skipped, as the schedule says, and reported by an event. A schedule that cannot be
decoded is stopped and blocks no other.
"""

from collections.abc import Callable

import msgspec

from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.job import Enqueued, NewJob
from heliograph.domain.schedules.recurrence import next_run
from heliograph.domain.schedules.schedule import LATE_S, Missed, Schedule
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.store.accounts.org_events import emit_org_event
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.due_work import UndecodableRow, process_due_items
from heliograph.store.database.unit import Unit, query, query_one
from heliograph.store.jobs.enqueue import enqueue
from heliograph.store.schedules.manage import schedule_of

MAX_SCHEDULES_A_STEP = 100


async def run_due(database: Database, make_id: Callable[[], JobId], now_us: int) -> tuple[set[int], int | None]:
    """Gives the phones that got work, and when the next run is due (None: none is)."""
    return await process_due_items(
        database,
        now_us,
        soonest=named.schedules_next_due(),
        due=named.schedules_due(now=now_us, limit=MAX_SCHEDULES_A_STEP),
        do=lambda row: run_one(row["org_no"], row["schedule_no"], make_id, now_us),
        stop=lambda row, why: _stop(row, why, now_us),
    )


def _stop(row: "named.SchedulesDueColumns", why: str, now_us: int) -> Unit[str]:
    org_no, schedule_no = row["org_no"], row["schedule_no"]
    yield from query(named.schedule_stop(org_no=org_no, schedule_no=schedule_no, now=now_us))
    yield from query(
        named.schedule_run_insert(
            org_no=org_no, schedule_no=schedule_no, at=row["next_at"], outcome="refused", job_id=None, remarks=why,
            now=now_us,
        )
    )  # fmt: skip
    scheduled_id = queue_id(schedule_no)
    data = {"scheduled_id": scheduled_id, "due_at": iso(row["next_at"]), "outcome": "refused"}
    yield from emit_org_event(org_no, row["phone_no"], WebhookEvent.SCHEDULE_MISSED, why, data, now_us)
    return f"Schedule {scheduled_id}"


def run_one(org_no: int, schedule_no: JobId, make_id: Callable[[], JobId], now_us: int) -> Unit[bool]:
    """Tells whether the phone got work."""
    row = yield from query_one(named.schedule_due(org_no=org_no, schedule_no=schedule_no, now=now_us))
    if row is None:
        return False
    try:
        schedule = schedule_of(row)
        due_us = row["next_at"]
        assert due_us is not None  # the query says so
        # of the runs that are due, the last one counts; those before it were missed
        last_us, next_us = due_us, next_run(schedule.first_at_us, schedule.repeat, due_us)
        while next_us is not None and next_us <= now_us:
            last_us, next_us = next_us, next_run(schedule.first_at_us, schedule.repeat, next_us)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:  # KeyError: a time zone that nobody here knows
        raise UndecodableRow(str(error)) from error
    late = now_us - last_us > LATE_S * 1_000_000
    job_id: JobId | None = None
    outcome, remarks = "queued", ""
    if schedule.skip_next:
        outcome, remarks = "skipped", "Skipped, as was asked."
    elif late and schedule.missed is Missed.SKIP:
        outcome, remarks = "missed", f"Was due at {iso(last_us)}, while nothing ran."
    else:
        suppressed = yield from query_one(named.suppression_by_chat(org_no=schedule.org_no, chat_id=schedule.chat_id))
        if suppressed is not None:
            outcome, remarks = "refused", "The chat is on the suppression list."
        else:
            job_id = make_id()
            outcome = "late" if late else "queued"
            remarks = f"Was due at {iso(last_us)}." if late else ""
    moved = yield from query_one(
        named.schedule_advance(
            org_no=schedule.org_no,
            schedule_no=schedule.schedule_no,
            next_at=next_us,
            was=due_us,
            ran=int(job_id is not None),
        )
    )
    if moved is None:
        return False
    if job_id is not None:
        (result,) = yield from enqueue([_job(schedule, job_id, now_us)], now_us)
        if not isinstance(result, Enqueued):
            job_id, outcome, remarks = None, "refused", "The phone was deleted."
            yield from query(named.schedule_stop(org_no=schedule.org_no, schedule_no=schedule.schedule_no, now=now_us))
    yield from query(
        named.schedule_run_insert(
            org_no=schedule.org_no,
            schedule_no=schedule.schedule_no,
            at=last_us,
            outcome=outcome,
            job_id=job_id,
            remarks=remarks,
            now=now_us,
        )
    )
    if outcome in ("missed", "late") or last_us != due_us:
        data = {"scheduled_id": schedule.scheduled_id, "due_at": iso(due_us), "outcome": outcome}
        detail = remarks or f"Runs since {iso(due_us)} were missed; the last of them was sent."
        yield from emit_org_event(
            schedule.org_no, schedule.phone_no, WebhookEvent.SCHEDULE_MISSED, detail, data, now_us
        )
    return job_id is not None


def _job(schedule: Schedule, job_id: JobId, now_us: int) -> NewJob:
    return NewJob(
        job_id=job_id,
        org_no=schedule.org_no,
        phone_no=schedule.phone_no,
        chat_id=schedule.chat_id,
        content=schedule.content,
        priority=schedule.priority,
        performed_by=schedule.performed_by,
        expires_at_us=None if schedule.lasts_s is None else now_us + round(schedule.lasts_s * 1_000_000),
        schedule_no=schedule.schedule_no,
    )
