"""Stores what the sender does: ports.stores.sender_store."""

from collections.abc import Sequence

from heliograph.domain.jobs.ids import JobId
from heliograph.ports.provider import Inbound
from heliograph.ports.stores.sender_store import (
    PhoneReceipts,
    ReceiptsApplied,
    SettleAndStartResult,
    Settlement,
    StartRequest,
)
from heliograph.store.accounts import phones
from heliograph.store.database.sql_store import SqlStore, read_by, write_by
from heliograph.store.jobs import reads, receipts
from heliograph.store.jobs.settle_and_start import settle_and_start


class SqlSenderStore(SqlStore):
    """Keeps SenderStore."""

    phone_row = read_by(phones.phone_row)
    phone_versions = read_by(phones.phone_versions)
    interrupted_jobs = write_by(reads.interrupted_jobs)  # it waits for locks
    recent_starts = read_by(reads.recent_starts)
    next_start_times = read_by(reads.next_start_times)

    async def network_id(self, org_no: int, job_id: JobId) -> str | None:
        found = await self.database.read(reads.job, org_no, job_id, "")
        return None if found is None else found.provider_message_id

    async def settle_and_start(
        self, settlements: Sequence[Settlement], wishes: Sequence[StartRequest]
    ) -> SettleAndStartResult:
        # the clock is read when the transaction begins: what it finds was stamped before
        return await self.database.write(lambda: settle_and_start(settlements, wishes, self._clock.now_us()))

    async def apply_receipts(self, received: Sequence[PhoneReceipts]) -> ReceiptsApplied:
        return await self.database.write(receipts.apply_receipts, received, self._clock.now_us())

    async def keep_inbound(self, phone_no: int, org_no: int, messages: Sequence[Inbound]) -> int:
        return await self.database.write(receipts.keep_inbound, org_no, phone_no, messages, self._clock.now_us())

    async def set_phone_state(self, org_no: int, phone_no: int, token: int, *, state: str, detail: str) -> bool:
        now_us = self._clock.now_us()
        return await self.database.write(
            phones.set_phone_state, org_no, phone_no, token, state=state, detail=detail, now_us=now_us
        )

    async def throttle_phone(
        self, org_no: int, phone_no: int, token: int, *, until_us: int | None, new_chats_only: bool, reason: str
    ) -> bool:
        return await self.database.write(
            phones.throttle_phone,
            org_no,
            phone_no,
            token,
            until_us=until_us,
            new_chats_only=new_chats_only,
            reason=reason,
            now_us=self._clock.now_us(),
        )
