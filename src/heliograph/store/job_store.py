"""The store as the rooms know it: each verb runs one unit, and a few run several in steps.

Promise: see `ports/job_store.py` and `ports/sender_store.py`; this file only joins verbs to units.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from functools import partial
from typing import TypeVar

from heliograph.domain.contract.jobs import bare_id, serialized_id
from heliograph.domain.jobs.ids import JobId, JobIds, bare_message_id, may_name, message_id, parse_job_id
from heliograph.domain.jobs.job import (
    Enqueued,
    EnqueueResult,
    Event,
    Idempotency,
    Job,
    KeyReused,
    NewJob,
    QueueCounts,
)
from heliograph.domain.pacing.next_start import PaceRow
from heliograph.ports.clock import Clock
from heliograph.ports.provider import Inbound
from heliograph.ports.sender_store import (
    PRUNE_FROM,
    Fleet,
    Lease,
    LeaseRow,
    PhoneReceipts,
    PrunePlace,
    ReceiptsApplied,
    SettleAndStartResult,
    Settlement,
    StartRequest,
)
from heliograph.store.account_store import AccountStore
from heliograph.store.accounts import idempotency, leases
from heliograph.store.accounts import phones as phone_rows
from heliograph.store.broadcasts import jobs as broadcast_jobs
from heliograph.store.broadcasts import lifecycle
from heliograph.store.control import suppressions
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query
from heliograph.store.jobs import cancel, prune, reads, receipts
from heliograph.store.jobs.group_commit import GroupCommit
from heliograph.store.jobs.settle_and_start import settle_and_start

T = TypeVar("T")
BACKPRESSURE_WAITERS = 8  # callers


class Store(AccountStore):
    """Implements Intake, Accounts and Engine."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        super().__init__(database, clock)
        self._gather = GroupCommit(database, clock, ids)

    # -- intake

    def enqueue(self, job: NewJob) -> Awaitable[EnqueueResult]:
        return self._if_wanted(job) if suppressions.may_be_unwanted(job) else self._gather.enqueue(job)

    async def _if_wanted(self, job: NewJob) -> EnqueueResult:
        refusal = await self.database.read(suppressions.refusal, job)
        if refusal is not None:
            raise refusal
        return await self._gather.enqueue(job)

    def has_backpressure(self) -> bool:
        """Whether callers wait for a transaction to take their message."""
        return self._gather.waiting >= BACKPRESSURE_WAITERS

    async def replay(self, org_no: int, key: Idempotency) -> Enqueued | KeyReused | None:
        return await self.database.read(idempotency.find_enqueued, org_no, key)

    async def job(self, org_no: int, handle: str) -> Job | None:
        job_id = parse_job_id(handle)
        found = await self.database.read(reads.job, org_no, job_id, bare_message_id(handle))
        if found is None and job_id is not None:
            now_us = self._clock.now_us()
            found = await self.database.read(lifecycle.unfed, org_no, job_id, now_us)
        return found if found is not None and may_name(handle, found.chat_id, found.author) else None

    async def jobs(self, org_no: int, phone_no: int | None, *, limit: int = 2000, offset: int = 0) -> list[Job]:
        return await self.database.read(reads.jobs, org_no, phone_no, limit=limit, offset=offset)

    def broadcast_jobs(self, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
        return broadcast_jobs.jobs_of(self.database, self._clock, org_no, broadcast_id)

    async def history(self, org_no: int, job_id: JobId) -> list[Event]:
        return await self.database.read(reads.history, org_no, job_id)

    async def ahead(self, job: Job) -> int:
        return await self.database.read(reads.ahead, job)

    async def health(self, org_no: int, phone_no: int | None) -> QueueCounts:
        return await self.database.read(reads.health, org_no, phone_no)

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

    async def health_of_phones(self, org_no: int) -> dict[int, QueueCounts]:
        return await self.database.read(reads.health_of_phones, org_no)

    async def purge(
        self,
        org_no: int,
        phone_no: int | None,
        *,
        job_ids: Sequence[JobId] | None = None,
        broadcast_id: str | None = None,
        actor: str = "api",
    ) -> list[JobId]:
        now_us = self._clock.now_us()
        if job_ids is not None:
            return await self.database.write(cancel.purge_named, org_no, phone_no, job_ids, actor, now_us)
        if broadcast_id is not None:
            return await broadcast_jobs.purge(self.database, self._clock, org_no, phone_no, broadcast_id, actor)
        phones = [phone.phone_no for phone in await self.phones(org_no)] if phone_no is None else [phone_no]
        ended: list[JobId] = []
        for each in phones:
            ended += await self._purge_phone(org_no, each, actor, "purged")
        return ended

    async def _purge_phone(self, org_no: int, phone_no: int, actor: str, why: str) -> list[JobId]:
        ended: list[JobId] = []
        place: cancel.Place | None = cancel.FIRST
        while place is not None:
            unit = partial(cancel.purge_step, org_no, phone_no, place, actor, why, self._clock.now_us())
            step, place = await self.database.write(unit)
            ended += step
        return ended

    async def delete_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        now_us = self._clock.now_us()

        def unit() -> Unit[bool]:
            deleted = yield from phone_rows.delete_phone(org_no, phone_no, now_us)
            if deleted:
                yield from cancel.orphan_attempts(org_no, phone_no, actor, now_us)
            return deleted

        if not await self.database.write(unit):
            return False
        await self._empty(org_no, phone_no, actor)
        return True

    async def _empty(self, org_no: int, phone_no: int, actor: str) -> None:
        """Ends what waits for a deleted phone, and forgets its lanes, holds and pace."""
        await self._purge_phone(org_no, phone_no, actor, "phone_deleted")
        now_us = self._clock.now_us()
        for step in (
            partial(cancel.orphan_retries_step, org_no, phone_no, actor, now_us),
            partial(prune.lanes_of_phone, org_no, phone_no),
            partial(prune.pace_of_phone, org_no, phone_no, now_us),
        ):
            while await self.database.write(step):
                pass

    # -- engine

    async def heartbeat(self, owner: str, *, first: bool = False) -> Fleet:
        now_us = self._clock.now_us()
        return await self.database.write(leases.heartbeat, owner, first, now_us)

    async def claim_leases(self, owner: str, phones: Sequence[LeaseRow]) -> list[Lease]:
        return await self.database.write(leases.claim_leases, owner, phones)

    async def release(self, owner: str, phones: Sequence[LeaseRow]) -> None:
        await self.database.write(leases.release, owner, phones)

    async def forget(self, owner: str) -> None:
        await self.database.write(query, named.sender_delete(owner=owner))

    async def network_id(self, org_no: int, job_id: JobId) -> str | None:
        found = await self.database.read(reads.job, org_no, job_id, "")
        return None if found is None else found.provider_message_id

    async def phone_versions(self, phones: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        return await self.database.read(phone_rows.phone_versions, phones)

    async def interrupted_jobs(self, org_no: int, phone_no: int, token: int) -> list[tuple[Job, int]]:
        return await self.database.write(reads.interrupted_jobs, org_no, phone_no, token)

    async def recent_starts(self, org_no: int, phone_no: int, after_us: int) -> list[PaceRow]:
        return await self.database.read(reads.recent_starts, org_no, phone_no, after_us)

    async def settle_and_start(
        self, settlements: Sequence[Settlement], wishes: Sequence[StartRequest]
    ) -> SettleAndStartResult:
        # the clock is read when the transaction begins: what it finds was stamped before
        return await self.database.write(lambda: settle_and_start(settlements, wishes, self._clock.now_us()))

    async def next_start_times(self, phones: Sequence[tuple[int, int]]) -> dict[int, int | None]:
        return await self.database.read(reads.next_start_times, phones)

    async def receipts(self, received: Sequence[PhoneReceipts]) -> ReceiptsApplied:
        now_us = self._clock.now_us()
        return await self.database.write(receipts.apply_receipts, received, now_us)

    async def inbound(self, phone_no: int, org_no: int, messages: Sequence[Inbound]) -> int:
        now_us = self._clock.now_us()
        return await self.database.write(receipts.keep_inbound, org_no, phone_no, messages, now_us)

    async def phone_state(self, org_no: int, phone_no: int, token: int, *, state: str, detail: str) -> bool:
        now_us = self._clock.now_us()
        return await self.database.write(
            phone_rows.phone_state, org_no, phone_no, token, state=state, detail=detail, now_us=now_us
        )

    async def hold_phone(
        self, org_no: int, phone_no: int, token: int, *, until_us: int | None, new_chats_only: bool, reason: str
    ) -> bool:
        now_us = self._clock.now_us()
        return await self.database.write(
            phone_rows.hold_phone,
            org_no,
            phone_no,
            token,
            until_us=until_us,
            new_chats_only=new_chats_only,
            reason=reason,
            now_us=now_us,
        )

    async def prune(self, before_us: int, limit: int, place: PrunePlace = PRUNE_FROM) -> tuple[int, PrunePlace | None]:
        return await prune.step(self.database, before_us, limit, place)

    async def prune_rest(self, before_us: int, day_ago_us: int) -> None:
        """Keys, receipts that nobody claimed, inbound messages, and what a crash left of deleted phones."""
        await prune.rest(self.database, before_us, day_ago_us)
        for row in await self.database.read(query, named.phones_deleted_with_rest()):
            await self._empty(row["org_no"], row["phone_no"], "gateway")
