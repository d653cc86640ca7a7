"""Read-only queries on jobs, counters and chats."""

from collections.abc import Sequence

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event, Job, QueueCounts
from heliograph.domain.pacing.next_start import PaceRow
from heliograph.store.database import named
from heliograph.store.database.rows import event_of, job_of
from heliograph.store.database.unit import Unit, query, query_one, query_row, query_values
from heliograph.store.jobs.lanes import on_the_way_of

_TOP = 2**63 - 1
MAX_SCHEDULED = 10_000  # are counted for the health of a queue


def job(org_no: int, job_id: JobId | None, alias: str) -> Unit[Job | None]:
    if job_id is None:
        found = yield from query_one(named.job_of_provider_id(org_no=org_no, alias=alias))
        if found is None:
            return None
        job_id = found["job_id"]
    rows = yield from query_values(named.job_by_id(org_no=org_no, job_id=job_id))
    return job_of(rows[0]) if rows else None


def jobs(org_no: int, phone_no: int | None, *, limit: int = 2000, offset: int = 0) -> Unit[list[Job]]:
    if phone_no is None:
        rows = yield from query_values(named.jobs_of_org(org_no=org_no, below=_TOP, limit=limit, offset=offset))
    else:
        rows = yield from query_values(
            named.jobs_of_phone(org_no=org_no, phone_no=phone_no, below=_TOP, limit=limit, offset=offset)
        )
    return [job_of(row) for row in rows]


def history(org_no: int, job_id: JobId) -> Unit[list[Event]]:
    return [event_of(row) for row in (yield from query_values(named.history_of_job(org_no=org_no, job_id=job_id)))]


def ahead(job: Job) -> Unit[int]:
    row = yield from query_row(
        named.queue_counters_open(org_no=job.org_no, phone_no=job.phone_no, priority=int(job.priority))
    )
    return row["waiting"]


def health(org_no: int, phone_no: int | None) -> Unit[QueueCounts]:
    if phone_no is None:
        (row,) = yield from query_values(named.counts_of_org(org_no=org_no, most=MAX_SCHEDULED))
    else:
        (row,) = yield from query_values(named.counts_of_phone(org_no=org_no, phone_no=phone_no, most=MAX_SCHEDULED))
    return QueueCounts(*(count or 0 for count in row))


def heard(org_no: int, phone_no: int, message_id: str) -> Unit["named.InboundByIdColumns | None"]:
    return (yield from query_one(named.inbound_by_id(org_no=org_no, phone_no=phone_no, message_id=message_id)))


def phones_of_chat(org_no: int, phone_nos: Sequence[int], chat_id: str) -> Unit[set[int]]:
    rows = yield from query(named.phones_of_chat([(org_no, phone_no, chat_id) for phone_no in phone_nos]))
    return {row["phone_no"] for row in rows}


def health_of_phones(org_no: int) -> Unit[dict[int, QueueCounts]]:
    rows = yield from query(named.counts_of_phones(org_no=org_no, most=MAX_SCHEDULED))
    return {
        row["phone_no"]: QueueCounts(
            waiting=row["waiting"],
            active=row["active"],
            completed=row["completed"],
            failed=row["failed"],
            delayed=row["delayed"],
            uncertain=max(row["active"] - row["sending"], 0),
        )
        for row in rows
    }


def interrupted_jobs(org_no: int, phone_no: int, token: int) -> Unit[list[tuple[Job, int]]]:
    # the fence waits for a transaction whose answer was lost: what it did is seen, or will never be
    yield from query(named.fence([(org_no, phone_no, token)]))
    jobs = yield from on_the_way_of(org_no, phone_no)
    rows = yield from query_values(named.jobs_interrupted([(org_no, job_id) for job_id in jobs], token=token))
    return [(job_of(row[:-1]), row[-1]) for row in rows]


def recent_starts(org_no: int, phone_no: int, after_us: int) -> Unit[list[PaceRow]]:
    rows = yield from query(named.pace_log_recent(org_no=org_no, phone_no=phone_no, after=after_us))
    return [PaceRow(row["at"], row["chat_id"], row["new_chat"] == 1) for row in rows]


def next_start_times(phones: Sequence[tuple[int, int]]) -> Unit[dict[int, int | None]]:
    rows = yield from query_values(named.phones_next_start(sorted(phones)))
    return {phone_no: 0 if ready else due_us for _, phone_no, ready, due_us in rows}
