"""Stores broadcasts: ports.stores.broadcast_store."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from heliograph.domain.broadcasts.broadcast import CHUNK, BroadcastRow, NewBroadcast, WrongState
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.ports.stores.broadcast_store import Forecast
from heliograph.store.accounts.audit import record_audit
from heliograph.store.accounts.org_events import emit_org_event
from heliograph.store.broadcasts import enqueue_recipients, lifecycle
from heliograph.store.broadcasts.cleanup import clean_up
from heliograph.store.broadcasts.create import LOAD, create_broadcast
from heliograph.store.broadcasts.jobs import cancel_enqueued, jobs_of
from heliograph.store.database import named
from heliograph.store.database.sql_store import SqlStore, read_by
from heliograph.store.database.unit import Unit, query
from heliograph.store.explain import load_facts
from heliograph.store.jobs import retry_and_resolve

_Changed = BroadcastRow | WrongState | None


class SqlBroadcastStore(SqlStore):
    """Keeps BroadcastStore."""

    broadcast = read_by(lifecycle.get)
    broadcasts = read_by(lifecycle.list_broadcasts)

    async def create_broadcast(self, new: NewBroadcast, recipients: Sequence[Recipient]) -> tuple[JobId, bool]:
        return await create_broadcast(self.database, self._clock, self._ids, new, recipients)

    async def pause_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> _Changed:
        change = partial(lifecycle.pause, org_no, broadcast_no, actor, self._clock.now_us())
        return await self._change(change, "pause", actor, WebhookEvent.QUEUE_PAUSED)

    async def resume_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> _Changed:
        change = partial(lifecycle.resume, org_no, broadcast_no, self._clock.now_us())
        return await self._change(change, "resume", actor, WebhookEvent.QUEUE_RESUMED)

    async def cancel_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> _Changed:
        change = partial(lifecycle.cancel, org_no, broadcast_no, actor, self._clock.now_us())
        done = await self._change(change, "cancel", actor)
        if not isinstance(done, BroadcastRow):
            return done
        await cancel_enqueued(self.database, self._clock, org_no, done.phone_no, broadcast_no, actor)
        return await self.broadcast(org_no, broadcast_no)

    async def _change(
        self, change: Callable[[], Unit[_Changed]], act: str, actor: str, event: WebhookEvent | None = None
    ) -> _Changed:
        """Makes a change, with an audit entry and an event if it changed anything."""
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[_Changed]:
            done = yield from change()
            if isinstance(done, BroadcastRow):
                target = f"broadcast:{done.broadcast_id}"
                yield from record_audit(done.org_no, done.phone_no, act, target, "", actor, act_no, now_us)
                if event is not None:
                    data = {"broadcast_id": done.broadcast_id, "by": actor}
                    yield from emit_org_event(done.org_no, done.phone_no, event, "", data, now_us)
            return done

        return await self.database.write(unit)

    async def retry_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> int | None:
        if await self.broadcast(org_no, broadcast_no) is None:
            return None
        moved = 0
        n: int | None = 0
        while n is not None:
            failed, n = await self.database.read(lifecycle.failed_from, org_no, broadcast_no, n, CHUNK)
            if failed:
                now_us = self._clock.now_us()
                moved += len(await self.database.write(retry_and_resolve.put_back, org_no, failed, actor, now_us))
        return moved

    def broadcast_jobs(self, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
        return jobs_of(self.database, self._clock, org_no, broadcast_id)

    async def forecast(
        self, org_no: int, phone_no: int, chats: Sequence[str], *, delay_s: float, in_flight: int
    ) -> Forecast:
        known = 0
        for first in range(0, len(chats), LOAD):
            rows = [(org_no, phone_no, chat) for chat in chats[first : first + LOAD]]
            known += len(await self.database.read(query, named.chats_known_among(rows)))
        new, now_us = len(chats) - known, self._clock.now_us()
        return await self.database.read(
            load_facts.forecast_of, org_no, phone_no, len(chats), new, delay_s, in_flight, now_us
        )

    async def enqueue_recipients(self) -> tuple[set[int], int | None]:
        return await enqueue_recipients.enqueue_due(self.database, self._ids.make, self._clock.now_us())

    async def clean_up_broadcasts(self, before_us: int) -> int:
        return await clean_up(self.database, self._clock, before_us)
