"""Jobs, health and purge of the queue under the current paths, /message/queues.

Scope: the phone of x-phone, otherwise the whole organisation. Source: contract 2.2, 3.2, 6.1, 6.10, 6.21; interface,
"Jobs on the wire".
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from heliograph.api.http.actor import By, performer
from heliograph.api.http.body import MAX_FIELD
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, QueryParameter, RawResponse, route
from heliograph.domain.contract.jobs import HealthCounts, QueueJob, health_counts, queue_job
from heliograph.domain.errors import invalid
from heliograph.domain.jobs.ids import JobId, parse_job_id, queue_id
from heliograph.domain.jobs.job import Job

MAX_LISTED = 2000
MAX_PURGED = 100_000
JOBS_PER_PIECE = 100  # of a streamed body

LIST_QUERY = (
    QueryParameter("queue_id", "Only this job: an array of one, or an empty one"),
    QueryParameter("broadcast_id", "All jobs of this broadcast, without a limit"),
    QueryParameter("limit", "How many, newest first", "integer", 1, MAX_LISTED),
    QueryParameter("offset", "How many of the newest to leave out", "integer", 0),
)


class JobFilter(msgspec.Struct):
    """Filter of a list. An empty one gives the newest 2,000 jobs."""

    queue_id: str | None = None
    broadcast_id: str | None = None
    limit: Annotated[int | None, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_LISTED})] = None
    offset: Annotated[int | None, Meta(extra_json_schema={"minimum": 0})] = None


class PurgeBody(msgspec.Struct, forbid_unknown_fields=True):
    """Filter of a purge. Without fields it purges all that waits. `queue_id` and `queue_ids` mean the same.

    A filter that is empty, null, misspelled or in the query is refused: it must never mean everything.
    """

    queue_ids: str | list[str] | UnsetType = UNSET
    queue_id: str | list[str] | UnsetType = UNSET
    broadcast_id: str | UnsetType = UNSET
    by: By = None


class Purged(msgspec.Struct, frozen=True):
    """`queue_ids`: the jobs that were taken out, without those that were being sent."""

    purged: bool
    mode: str
    queue_ids: list[str]


async def list_jobs(call: ApiRequest, filter_: JobFilter, render: Callable[..., Any]) -> RawResponse | list[Any]:
    """Lists the jobs of a filter in the shape of `render`. Query parameters fill in what the body leaves out."""
    stored = call.deps.jobs
    name = filter_.queue_id or call.text("queue_id")
    broadcast_id = filter_.broadcast_id or call.text("broadcast_id")
    limit = _within(filter_.limit if filter_.limit is not None else call.number("limit", int), "limit", MAX_LISTED)
    offset = _within(filter_.offset if filter_.offset is not None else call.number("offset", int), "offset", None)
    if name:
        job = await stored.job(call.org_no, name)
        if job is None:
            return []
        return await rendered(call, [job], render)
    if broadcast_id:
        return RawResponse(_streamed(call, call.deps.broadcasts.broadcast_jobs(call.org_no, broadcast_id), render))
    jobs = await stored.jobs(call.org_no, call.phone_no, limit=limit or MAX_LISTED, offset=offset or 0)
    return await rendered(call, jobs, render)


async def rendered(call: ApiRequest, jobs: list[Job], render: Callable[..., Any]) -> list[Any]:
    """Renders each job with the sentence of its explanation."""
    now_us = call.deps.clock.now_us()
    sentences = await call.deps.jobs.explain_many(jobs)
    return [render(job, now_us=now_us, said=sentence) for job, sentence in zip(jobs, sentences, strict=True)]


def _within(number: int | None, field: str, most: int | None) -> int | None:
    if number is None:
        return None
    least = 1 if field == "limit" else 0
    if number < least:
        raise invalid(field, f"{field} must be {least} or more", number)
    if most is not None and number > most:
        raise invalid(field, "Limit should be less than 2000", number)
    if number > 2**62:
        raise invalid(field, f"{field} is too large")
    return number


async def _streamed(
    call: ApiRequest, chunks: AsyncIterator[list[Job]], render: Callable[..., Any]
) -> AsyncIterator[bytes]:
    """Encodes a JSON array in pieces: any number of jobs in bounded memory."""
    before = b"["
    async for jobs in chunks:
        objects = await rendered(call, jobs, render)
        for first in range(0, len(objects), JOBS_PER_PIECE):
            yield before + msgspec.json.encode(objects[first : first + JOBS_PER_PIECE])[1:-1]
            before = b","
    yield b"[]" if before == b"[" else b"]"


def purge_filter(call: ApiRequest, body: PurgeBody) -> tuple[str, list[JobId] | None, str | None]:
    """Returns mode, jobs and broadcast_id from every spelling in the contract (6.10). Raises Invalid."""
    for name in call.query:
        raise invalid(name[:MAX_FIELD], "A purge takes its filter in the body, and nothing in the query")
    if call.head.phone is not None and not call.head.phone.strip():
        raise invalid("x-phone", "x-phone is empty: name a phone, or leave the header out for all of them")
    ids = [*_named("queue_ids", body.queue_ids), *_named("queue_id", body.queue_id)]
    broadcast_ids = _named("broadcast_id", body.broadcast_id)
    if len(ids) > MAX_PURGED:
        raise invalid("queue_ids", f"queue_ids may name at most {MAX_PURGED} jobs")
    if ids:
        parsed = (parse_job_id(name) for name in dict.fromkeys(ids))
        return "queue_ids", [job_id for job_id in parsed if job_id is not None], None
    if broadcast_ids:
        return "broadcast_id", None, broadcast_ids[0]
    return "all", None, None


def _named(field: str, given: str | list[str] | UnsetType) -> list[str]:
    """Returns the names of a filter, none only if it was left out. Raises Invalid."""
    if given is UNSET:
        return []
    names = [given] if isinstance(given, str) else list(given)
    if not names or not all(name.strip() for name in names):
        raise invalid(field, f"{field} is empty: name what to take out, or leave it out to purge all that waits")
    return names


async def purge(call: ApiRequest) -> Purged:
    body = call.decoded(PurgeBody)
    mode, job_ids, broadcast_id = purge_filter(call, body)
    purged = await call.deps.jobs.purge(
        call.org_no, call.phone_no, job_ids=job_ids, broadcast_id=broadcast_id, actor=performer(body.by)
    )
    return Purged(True, mode, [queue_id(job_id) for job_id in purged])


@route(
    "POST", "/message/queues",
    summary="List queue jobs", tag="Queue", phone=PhoneHeader.OPTIONAL, body=JobFilter, answer=list[QueueJob],
    query=LIST_QUERY,
    description="Status is one of queued, sending, sent, failed, scheduled; a delivered message stays sent.",
)  # fmt: skip
async def jobs(call: ApiRequest) -> RawResponse | list[Any]:
    return await list_jobs(call, call.decoded(JobFilter), queue_job)


@route(
    "GET", "/message/queues",
    summary="List queue jobs, by query", tag="Queue", phone=PhoneHeader.OPTIONAL, answer=list[QueueJob],
    query=LIST_QUERY,
)  # fmt: skip
async def jobs_by_query(call: ApiRequest) -> RawResponse | list[Any]:
    return await list_jobs(call, JobFilter(), queue_job)


@route(
    "GET", "/message/queues/health",
    summary="How many jobs stand where", tag="Queue", phone=PhoneHeader.OPTIONAL, answer=HealthCounts,
)  # fmt: skip
async def health(call: ApiRequest) -> HealthCounts:
    return health_counts(await call.deps.jobs.health(call.org_no, call.phone_no))


@route(
    "POST", "/message/queues/purge",
    summary="Take out what has not started", tag="Queue", phone=PhoneHeader.OPTIONAL, body=PurgeBody, answer=Purged,
    description="A purged job ends as failed, with message.failed; a job that is being sent is never purged.",
)  # fmt: skip
async def purge_jobs(call: ApiRequest) -> Purged:
    return await purge(call)
