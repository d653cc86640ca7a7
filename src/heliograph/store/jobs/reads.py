"""Looking: reads that change nothing."""

from collections.abc import Sequence

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Event, Job, QueueCounts
from heliograph.domain.pacing.next_start import PaceRow
from heliograph.store.database.rows import event_of, job_of
from heliograph.store.database.unit import ResultRow, Unit, query, query_batch, query_one
from heliograph.store.jobs.lanes import on_the_way_of

_TOP = 2**63 - 1
MAX_SCHEDULED = 10_000  # are counted for the health of a queue


def job(org_no: int, job_id: JobId | None, alias: str) -> Unit[Job | None]:
    if job_id is None:
        found = yield from query_one("job_of_provider_id", org_no=org_no, alias=alias)
        if found is None:
            return None
        job_id = JobId(found["job_id"])
    row = yield from query_one("job_by_id", org_no=org_no, job_id=job_id)
    return None if row is None else job_of(row)


def jobs(org_no: int, phone_no: int | None, *, limit: int, offset: int) -> Unit[list[Job]]:
    if phone_no is None:
        rows = yield from query("jobs_of_org", org_no=org_no, below=_TOP, limit=limit, offset=offset)
    else:
        rows = yield from query(
            "jobs_of_phone", org_no=org_no, phone_no=phone_no, below=_TOP, limit=limit, offset=offset
        )
    return [job_of(row) for row in rows]


def history(org_no: int, job_id: JobId) -> Unit[list[Event]]:
    return [event_of(row) for row in (yield from query("history_of_job", org_no=org_no, job_id=job_id))]


def ahead(of: Job) -> Unit[int]:
    row = yield from query_one("waiting_now", org_no=of.org_no, phone_no=of.phone_no, priority=int(of.priority))
    return int(row["waiting"])


def health(org_no: int, phone_no: int | None) -> Unit[QueueCounts]:
    if phone_no is None:
        row = yield from query_one("counts_of_org", org_no=org_no, most=MAX_SCHEDULED)
    else:
        row = yield from query_one("counts_of_phone", org_no=org_no, phone_no=phone_no, most=MAX_SCHEDULED)
    return QueueCounts(*(count or 0 for count in row))


def heard(org_no: int, phone_no: int, message_id: str) -> Unit[ResultRow | None]:
    found: ResultRow | None = yield from query_one(
        "inbound_by_id", org_no=org_no, phone_no=phone_no, message_id=message_id
    )
    return found


def phones_of_chat(org_no: int, phone_nos: Sequence[int], chat_id: str) -> Unit[set[int]]:
    rows = yield from query_batch("phones_of_chat", [(org_no, phone_no, chat_id) for phone_no in phone_nos])
    return {row["phone_no"] for row in rows}


def health_of_phones(org_no: int) -> Unit[dict[int, QueueCounts]]:
    rows = yield from query("counts_of_phones", org_no=org_no, most=MAX_SCHEDULED)
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
    yield from query_batch("fence", [(org_no, phone_no, token)])
    jobs = yield from on_the_way_of(org_no, phone_no)
    rows = yield from query_batch("interrupted", [(org_no, job_id) for job_id in jobs], token=token)
    return [(job_of(row), row["token"]) for row in rows]


def recent_starts(org_no: int, phone_no: int, after_us: int) -> Unit[list[PaceRow]]:
    rows = yield from query("pace_rows", org_no=org_no, phone_no=phone_no, after=after_us)
    return [PaceRow(row["at"], row["chat_id"], row["new_chat"] == 1) for row in rows]


def next_start_times(phones: Sequence[tuple[int, int]]) -> Unit[dict[int, int | None]]:
    rows = yield from query_batch("phones_next_start", sorted(phones))
    return {phone_no: 0 if ready else due_us for _, phone_no, ready, due_us in rows}
