"""Stores operator actions: ports.stores.control_store."""

from collections.abc import Callable, Sequence
from functools import partial

from heliograph.domain.broadcasts.broadcast import CHUNK
from heliograph.domain.jobs.ids import JobId, JobIds
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.ports.stores.control_store import AuditEntry, HoldRow, Suppressed
from heliograph.store.accounts.audit import record_audit
from heliograph.store.accounts.org_events import emit_org_event
from heliograph.store.control import holds, suppressions
from heliograph.store.database import named
from heliograph.store.database.sql_store import SqlStore
from heliograph.store.database.unit import Unit, query, query_one
from heliograph.store.jobs import retry_and_resolve


class SqlControlStore(SqlStore):
    """Keeps ControlStore."""

    async def pause_phone(self, org_no: int, phone_no: int, actor: str, reason: str = "") -> bool:
        change = partial(holds.pause_phone, org_no, phone_no, actor, reason, self._clock.now_us())
        return await self._change(change, org_no, phone_no, "pause", "phone", actor, reason)

    async def resume_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        change = partial(holds.resume_phone, org_no, phone_no, self._clock.now_us())
        return await self._change(change, org_no, phone_no, "resume", "phone", actor)

    async def pause_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str, reason: str = "") -> bool:
        target = f"chat:{chat_id}"
        change = partial(holds.hold, org_no, phone_no, target, actor, reason, self._clock.now_us())
        return await self._change(change, org_no, phone_no, "pause", target, actor, reason, chat_id=chat_id)

    async def resume_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str) -> bool:
        change = partial(holds.release_chat, org_no, phone_no, chat_id)
        return await self._change(change, org_no, phone_no, "resume", f"chat:{chat_id}", actor, chat_id=chat_id)

    async def _change(
        self,
        change: Callable[[], Unit[bool]],
        org_no: int,
        phone_no: int,
        act: str,
        target: str,
        actor: str,
        reason: str = "",
        **data: str,
    ) -> bool:
        """Makes a change, with an audit entry and an event if it changed anything."""
        now_us, act_no = self._clock.now_us(), self._ids.make()
        event = WebhookEvent.QUEUE_PAUSED if act == "pause" else WebhookEvent.QUEUE_RESUMED

        def unit() -> Unit[bool]:
            if not (yield from change()):
                return False
            yield from record_audit(org_no, phone_no, act, target, reason, actor, act_no, now_us)
            yield from emit_org_event(org_no, phone_no, event, reason, {**data, "by": actor}, now_us)
            return True

        return await self.database.write(unit)

    async def holds(self, org_no: int, phone_no: int) -> list[HoldRow]:
        rows = await self.database.read(query, named.holds_of_phone(org_no=org_no, phone_no=phone_no))
        return [HoldRow(row["target"], row["actor"], row["reason"], row["created_at"]) for row in rows]

    async def retry_now(self, org_no: int, job_ids: Sequence[JobId], actor: str) -> dict[JobId, str]:
        return await self.database.write(retry_and_resolve.retry_now, org_no, job_ids, actor, self._clock.now_us())

    async def retry_failed(self, org_no: int, phone_no: int, since_us: int, actor: str) -> int:
        after: int = JobIds(lambda: since_us).make() - 1
        moved = 0
        while True:
            page = named.jobs_failed_since(org_no=org_no, phone_no=phone_no, after=after, limit=CHUNK)
            failed = [JobId(row["job_id"]) for row in await self.database.read(query, page)]
            if failed:
                now_us = self._clock.now_us()
                moved += len(await self.database.write(retry_and_resolve.put_back, org_no, failed, actor, now_us))
            if len(failed) < CHUNK:
                return moved
            after = failed[-1]

    async def resolve(self, org_no: int, job_id: JobId, how: str, actor: str) -> str | None:
        resolution = retry_and_resolve.Resolution(how)
        return await self.database.write(
            retry_and_resolve.resolve, org_no, job_id, resolution, actor, self._clock.now_us()
        )

    async def suppress(self, org_no: int, chat_id: str, reason: str, actor: str) -> bool:
        now_us = self._clock.now_us()
        inserted = await self.database.write(
            query_one, named.suppression_insert(org_no=org_no, chat_id=chat_id, reason=reason, actor=actor, now=now_us)
        )
        return inserted is not None

    async def unsuppress(self, org_no: int, chat_id: str, actor: str) -> bool:
        act_no, now_us = self._ids.make(), self._clock.now_us()
        return await self.database.write(suppressions.unsuppress, org_no, chat_id, actor, act_no, now_us)

    async def suppressions(self, org_no: int, *, after: str = "", limit: int = 1000) -> list[Suppressed]:
        rows = await self.database.read(query, named.suppressions_of_org(org_no=org_no, after=after, limit=limit))
        return [Suppressed(row["chat_id"], row["reason"], row["actor"], row["created_at"]) for row in rows]

    async def audit_log(self, org_no: int, *, limit: int = 100) -> list[AuditEntry]:
        rows = await self.database.read(query, named.audit_log_of_org(org_no=org_no, below=2**63 - 1, limit=limit))
        return [
            AuditEntry(row["at"], row["actor"], row["act"], row["target"], row["detail"], row["phone_no"])
            for row in rows
        ]
