"""Stores jobs: ports.stores.job_store."""

from collections.abc import Awaitable, Sequence

from heliograph.domain.contract.jobs import bare_id, serialized_id
from heliograph.domain.explain.explanation import Explanation, explain
from heliograph.domain.jobs.ids import JobId, JobIds, bare_message_id, may_name, message_id, parse_job_id
from heliograph.domain.jobs.job import EnqueueResult, Job, NewJob
from heliograph.ports.clock import Clock
from heliograph.store.accounts import idempotency, phones
from heliograph.store.broadcasts import jobs as broadcast_jobs
from heliograph.store.broadcasts import lifecycle
from heliograph.store.control import suppressions
from heliograph.store.database.database import Database
from heliograph.store.database.sql_store import SqlStore, read_by
from heliograph.store.explain import explain_many, load_facts
from heliograph.store.jobs import cancel, reads
from heliograph.store.jobs.group_commit import GroupCommit
from heliograph.store.jobs.purge import purge_phone

BACKPRESSURE_WAITERS = 8  # callers


class SqlJobStore(SqlStore):
    """Keeps JobStore."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        super().__init__(database, clock, ids)
        self._group_commit = GroupCommit(database, clock, ids)

    replay = read_by(idempotency.find_enqueued)
    jobs = read_by(reads.jobs)
    history = read_by(reads.history)
    health = read_by(reads.health)
    health_of_phones = read_by(reads.health_of_phones)

    def enqueue(self, job: NewJob) -> Awaitable[EnqueueResult]:
        if suppressions.may_be_unwanted(job):
            return self._enqueue_if_wanted(job)
        return self._group_commit.enqueue(job)

    async def _enqueue_if_wanted(self, job: NewJob) -> EnqueueResult:
        refusal = await self.database.read(suppressions.refusal, job)
        if refusal is not None:
            raise refusal
        return await self._group_commit.enqueue(job)

    def has_backpressure(self) -> bool:
        """Tells whether callers wait for a transaction to take their message."""
        return self._group_commit.waiting >= BACKPRESSURE_WAITERS

    async def job(self, org_no: int, handle: str) -> Job | None:
        job_id = parse_job_id(handle)
        found = await self.database.read(reads.job, org_no, job_id, bare_message_id(handle))
        if found is None and job_id is not None:
            found = await self.database.read(lifecycle.unfed, org_no, job_id, self._clock.now_us())
        return found if found is not None and may_name(handle, found.chat_id, found.author) else None

    async def quotable(self, org_no: int, phone_no: int, handle: str) -> str | None:
        job = await self.job(org_no, handle)
        if job is not None and job.phone_no == phone_no:
            return serialized_id(job)
        # of another phone, perhaps written to this one
        key = bare_message_id(handle) if job is None else bare_id(job)
        row = await self.database.read(reads.heard, org_no, phone_no, key)
        if row is None or (job is None and not may_name(handle, row["chat_id"], row["author"], from_me=False)):
            return None
        return message_id(row["chat_id"], key, row["author"], from_me=False)

    async def explain(self, job: Job, *, in_flight: int = 1) -> Explanation:
        return explain(await self.database.read(load_facts.facts_of, job, self._clock.now_us(), in_flight))

    async def explain_many(self, jobs: Sequence[Job]) -> list[str]:
        return await self.database.read(explain_many.explain_many, jobs, self._clock.now_us()) if jobs else []

    async def purge(
        self,
        org_no: int,
        phone_no: int | None,
        *,
        job_ids: Sequence[JobId] | None = None,
        broadcast_id: str | None = None,
        actor: str = "api",
    ) -> list[JobId]:
        if job_ids is not None:
            now_us = self._clock.now_us()
            return await self.database.write(cancel.purge_named, org_no, phone_no, job_ids, actor, now_us)
        if broadcast_id is not None:
            return await broadcast_jobs.purge(self.database, self._clock, org_no, phone_no, broadcast_id, actor)
        rows = await self.database.read(phones.phones, org_no) if phone_no is None else []
        ended: list[JobId] = []
        for number in [row.phone_no for row in rows] if phone_no is None else [phone_no]:
            ended += await purge_phone(self.database, self._clock, org_no, number, actor, "purged")
        return ended
