"""The queue under the legacy paths, in BullMQ's words, as the published Node client calls it.

Jobs and scope are those of `jobs`. Source: contract 2.3 and 6.1–6.3.
"""

from typing import Any

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, RawResponse, route
from heliograph.api.queue.jobs import LIST_QUERY, JobFilter, PurgeBody, list_jobs, purge
from heliograph.domain.contract.jobs import LegacyJob, legacy_job
from heliograph.domain.contract.phones import LegacyHealth, legacy_health


@route(
    "GET", "/queue/jobs",
    summary="List queue jobs (legacy shape)", tag="Queue, legacy", phone=PhoneHeader.OPTIONAL, answer=list[LegacyJob],
    query=LIST_QUERY, description="Status is one of waiting, active, completed, failed, delayed. Times are epoch ms.",
)  # fmt: skip
async def jobs(call: ApiRequest) -> RawResponse | list[Any]:
    return await list_jobs(call, JobFilter(), legacy_job)


@route(
    "GET", "/queue",
    summary="How many jobs stand where (legacy shape)", tag="Queue, legacy", phone=PhoneHeader.OPTIONAL,
    answer=LegacyHealth,
)  # fmt: skip
async def status(call: ApiRequest) -> LegacyHealth:
    health = await call.deps.jobs.health(call.org_no, call.phone_no)
    phones = [call.phone] if call.phone is not None else await call.deps.phones.phones(call.org_no)
    return legacy_health(health, running=not phones or any(phone.paused_at_us is None for phone in phones))


@route(
    "DELETE", "/queue/purge",
    summary="Take out what has not started (legacy)", tag="Queue, legacy", phone=PhoneHeader.OPTIONAL,
    body=PurgeBody, status=204,
)  # fmt: skip
async def purge_jobs(call: ApiRequest) -> None:
    await purge(call)
