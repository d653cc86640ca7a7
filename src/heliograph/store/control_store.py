"""Steering as the other rooms know it (ports/control_store.py): each verb runs one unit, a few run several in steps."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from heliograph.domain.broadcasts.broadcast import CHUNK, BroadcastRow, NewBroadcast, WrongState
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.explain.explanation import Explanation, explain
from heliograph.domain.jobs.ids import JobId, JobIds
from heliograph.domain.jobs.job import Idempotency, Job, KeyReused
from heliograph.domain.pacing.next_start import PaceRow
from heliograph.domain.schedules.schedule import Occurrence, Schedule
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.ports.clock import Clock
from heliograph.ports.control_store import AuditEntry, Forecast, HoldRow, Suppressed
from heliograph.store.accounts.audit import record_audit
from heliograph.store.accounts.org_events import emit_org_event
from heliograph.store.broadcasts import enqueue_recipients, lifecycle
from heliograph.store.broadcasts.cleanup import sweep
from heliograph.store.broadcasts.create import LOAD, take_in
from heliograph.store.broadcasts.jobs import cancel_fed, jobs_of
from heliograph.store.control import holds
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query, query_one
from heliograph.store.explain import load_facts
from heliograph.store.explain.explain_many import described
from heliograph.store.jobs import expire, retry_and_resolve
from heliograph.store.schedules import manage, run_due

T = TypeVar("T")


class ControlStoreUnits:
    """Implements ports.steering.Steering on whichever database it was given."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    # -- broadcasts

    async def broadcast(self, new: NewBroadcast, recipients: Sequence[Recipient]) -> tuple[JobId, bool]:
        return await take_in(self._database, self._clock, self._ids, new, recipients)

    async def broadcast_row(self, org_no: int, broadcast_no: JobId) -> BroadcastRow | None:
        return await self._database.read(lifecycle.get, org_no, broadcast_no)

    async def broadcasts(
        self, org_no: int, phone_no: int | None, *, limit: int = 100, offset: int = 0
    ) -> list[BroadcastRow]:
        return await self._database.read(lifecycle.list_broadcasts, org_no, phone_no, limit=limit, offset=offset)

    async def pause_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[BroadcastRow | WrongState | None]:
            done = yield from lifecycle.pause(org_no, broadcast_no, actor, now_us)
            yield from self._after_broadcast(done, "pause", WebhookEvent.QUEUE_PAUSED, actor, act_no, now_us)
            return done

        return await self._database.write(unit)

    async def resume_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[BroadcastRow | WrongState | None]:
            done = yield from lifecycle.resume(org_no, broadcast_no, now_us)
            yield from self._after_broadcast(done, "resume", WebhookEvent.QUEUE_RESUMED, actor, act_no, now_us)
            return done

        return await self._database.write(unit)

    async def cancel_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[BroadcastRow | WrongState | None]:
            done = yield from lifecycle.cancel(org_no, broadcast_no, actor, now_us)
            yield from self._after_broadcast(done, "cancel", None, actor, act_no, now_us)
            return done

        done = await self._database.write(unit)
        if isinstance(done, BroadcastRow):
            await cancel_fed(self._database, self._clock, org_no, done.phone_no, broadcast_no, actor)
            return await self.broadcast_row(org_no, broadcast_no)
        return done

    def _after_broadcast(
        self, done: BroadcastRow | WrongState | None, act: str, name: str | None, actor: str, act_no: JobId, now_us: int
    ) -> Unit[None]:
        if isinstance(done, BroadcastRow):
            what = f"broadcast:{done.broadcast_id}"
            data = {"broadcast_id": done.broadcast_id, "by": actor}
            yield from record_audit(done.org_no, done.phone_no, act, what, "", actor, act_no, now_us)
            if name is not None:
                yield from emit_org_event(done.org_no, done.phone_no, name, "", data, now_us)

    async def retry_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> int | None:
        row = await self.broadcast_row(org_no, broadcast_no)
        if row is None:
            return None
        moved, n = 0, 0
        while True:
            found, more = await self._database.read(lifecycle.failed_from, org_no, broadcast_no, n, CHUNK)
            moved += await self._put_back(org_no, found, actor)
            if more is None:
                return moved
            n = more

    async def _put_back(self, org_no: int, found: Sequence[JobId], actor: str) -> int:
        if not found:
            return 0
        now_us = self._clock.now_us()
        return len(await self._database.write(retry_and_resolve.put_back, org_no, found, actor, now_us))

    def broadcast_jobs(self, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
        return jobs_of(self._database, self._clock, org_no, broadcast_id)

    async def forecast(
        self, org_no: int, phone_no: int, chats: Sequence[str], *, delay_s: float, in_flight: int
    ) -> Forecast:
        now_us = self._clock.now_us()
        known = 0
        for first in range(0, len(chats), LOAD):
            rows = [(org_no, phone_no, chat) for chat in chats[first : first + LOAD]]
            known += len(await self._database.read(query, named.chats_known_among(rows)))
        new = len(chats) - known
        return await self._database.read(
            load_facts.forecast_of, org_no, phone_no, len(chats), new, delay_s, in_flight, now_us
        )

    async def feed(self) -> tuple[set[int], int | None]:
        return await enqueue_recipients.feed(self._database, self._ids.make, self._clock.now_us())

    async def sweep_broadcasts(self, before_us: int) -> int:
        return await sweep(self._database, self._clock, before_us)

    # -- schedules

    async def schedule(self, schedule: Schedule) -> Schedule:
        now_us = self._clock.now_us()
        return await self._database.write(manage.create, schedule, now_us)

    async def schedule_once(self, schedule: Schedule, key: Idempotency) -> tuple[Schedule, bool] | KeyReused:
        now_us = self._clock.now_us()
        return await self._database.write(manage.create_once, schedule, key, now_us)

    async def scheduled(self, org_no: int, key: Idempotency) -> Schedule | KeyReused | None:
        return await self._database.read(manage.made_with, org_no, key)

    async def schedule_row(self, org_no: int, schedule_no: JobId) -> Schedule | None:
        return await self._database.read(manage.get, org_no, schedule_no)

    async def schedules(self, org_no: int, phone_no: int | None, *, limit: int, offset: int) -> list[Schedule]:
        return await self._database.read(manage.list_schedules, org_no, phone_no, limit=limit, offset=offset)

    async def change_schedule(
        self, org_no: int, schedule_no: JobId, how: Callable[[Schedule], Schedule]
    ) -> Schedule | WrongState | None:
        now_us = self._clock.now_us()
        done = await self._database.write(manage.change, org_no, schedule_no, how, now_us)
        return WrongState(done) if isinstance(done, str) else done

    async def delete_schedule(self, org_no: int, schedule_no: JobId) -> bool:
        now_us = self._clock.now_us()
        return await self._database.write(manage.delete, org_no, schedule_no, now_us)

    async def occurrences(self, org_no: int, schedule_no: JobId, *, limit: int, offset: int) -> list[Occurrence]:
        return await self._database.read(manage.occurrences, org_no, schedule_no, limit=limit, offset=offset)

    async def run_schedules(self) -> tuple[set[int], int | None]:
        return await run_due.run_due(self._database, self._ids.make, self._clock.now_us())

    # -- holds and single messages

    async def pause_phone(self, org_no: int, phone_no: int, actor: str, reason: str = "") -> bool:
        return await self._phone(org_no, phone_no, actor, reason, "pause")

    async def resume_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        return await self._phone(org_no, phone_no, actor, "", "resume")

    async def _phone(self, org_no: int, phone_no: int, actor: str, reason: str, act: str) -> bool:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[bool]:
            if act == "pause":
                yield from holds.hold(org_no, phone_no, "phone", actor, reason, now_us)
                done = yield from query_one(
                    named.phone_pause(org_no=org_no, phone_no=phone_no, now=now_us, actor=actor)
                )
            else:
                yield from query(named.hold_delete(org_no=org_no, phone_no=phone_no, target="phone"))
                done = yield from query_one(named.phone_resume(org_no=org_no, phone_no=phone_no, now=now_us))
            if done is None:
                return False
            yield from record_audit(org_no, phone_no, act, "phone", reason, actor, act_no, now_us)
            name = WebhookEvent.QUEUE_PAUSED if act == "pause" else WebhookEvent.QUEUE_RESUMED
            yield from emit_org_event(org_no, phone_no, name, reason, {"by": actor}, now_us)
            return True

        return await self._database.write(unit)

    async def pause_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str, reason: str = "") -> bool:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[bool]:
            if not (yield from holds.hold(org_no, phone_no, f"chat:{chat_id}", actor, reason, now_us)):
                return False
            yield from record_audit(org_no, phone_no, "pause", f"chat:{chat_id}", reason, actor, act_no, now_us)
            yield from emit_org_event(
                org_no, phone_no, WebhookEvent.QUEUE_PAUSED, reason, {"chat_id": chat_id, "by": actor}, now_us
            )
            return True

        return await self._database.write(unit)

    async def resume_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str) -> bool:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[bool]:
            if not (yield from holds.release_chat(org_no, phone_no, chat_id)):
                return False
            yield from record_audit(org_no, phone_no, "resume", f"chat:{chat_id}", "", actor, act_no, now_us)
            yield from emit_org_event(
                org_no, phone_no, WebhookEvent.QUEUE_RESUMED, "", {"chat_id": chat_id, "by": actor}, now_us
            )
            return True

        return await self._database.write(unit)

    async def holds(self, org_no: int, phone_no: int) -> list[HoldRow]:
        rows = await self._database.read(query, named.holds_of_phone(org_no=org_no, phone_no=phone_no))
        return [HoldRow(row["target"], row["actor"], row["reason"], row["created_at"]) for row in rows]

    async def retry_now(self, org_no: int, job_ids: Sequence[JobId], actor: str) -> dict[JobId, str]:
        now_us = self._clock.now_us()
        return await self._database.write(retry_and_resolve.retry_now, org_no, job_ids, actor, now_us)

    async def retry_failed(self, org_no: int, phone_no: int, since_us: int, actor: str) -> int:
        after: int = JobIds(lambda: since_us).make() - 1
        moved = 0
        while True:
            rows = await self._database.read(
                query, named.jobs_failed_since(org_no=org_no, phone_no=phone_no, after=after, limit=CHUNK)
            )
            found = [JobId(row["job_id"]) for row in rows]
            moved += await self._put_back(org_no, found, actor)
            if len(found) < CHUNK:
                return moved
            after = found[-1]

    async def resolve(self, org_no: int, job_id: JobId, how: str, actor: str) -> str | None:
        now_us = self._clock.now_us()
        return await self._database.write(
            retry_and_resolve.resolve, org_no, job_id, retry_and_resolve.Resolution(how), actor, now_us
        )

    async def expire(self) -> int:
        now_us = self._clock.now_us()
        ended = 0
        for org_no, phone_no in await self._database.read(expire.phones_expiring, now_us):
            while step := await self._database.write(expire.expire_step, org_no, phone_no, now_us):
                ended += step
        return ended

    async def explain(self, job: Job, *, in_flight: int = 1) -> Explanation:
        now_us = self._clock.now_us()
        return explain(await self._database.read(load_facts.facts_of, job, now_us, in_flight))

    async def described(self, jobs: Sequence[Job]) -> list[str]:
        now_us = self._clock.now_us()
        return await self._database.read(described, jobs, now_us) if jobs else []

    async def audit_log(self, org_no: int, *, limit: int = 100) -> list[AuditEntry]:
        rows = await self._database.read(query, named.audit_log_of_org(org_no=org_no, below=2**63 - 1, limit=limit))
        return [
            AuditEntry(row["at"], row["actor"], row["act"], row["target"], row["detail"], row["phone_no"])
            for row in rows
        ]

    # -- safe numbers

    async def suppress(self, org_no: int, chat_id: str, reason: str, actor: str) -> bool:
        now_us = self._clock.now_us()
        found = await self._database.write(
            query_one, named.suppression_insert(org_no=org_no, chat_id=chat_id, reason=reason, actor=actor, now=now_us)
        )
        return found is not None

    async def unsuppress(self, org_no: int, chat_id: str, actor: str) -> bool:
        now_us, act_no = self._clock.now_us(), self._ids.make()

        def unit() -> Unit[bool]:
            if (yield from query_one(named.suppression_delete(org_no=org_no, chat_id=chat_id))) is None:
                return False
            yield from record_audit(org_no, None, "unsuppress", f"chat:{chat_id}", "", actor, act_no, now_us)
            return True

        return await self._database.write(unit)

    async def suppressions(self, org_no: int, *, after: str = "", limit: int = 1000) -> list[Suppressed]:
        rows = await self._database.read(query, named.suppressions_of_org(org_no=org_no, after=after, limit=limit))
        return [Suppressed(row["chat_id"], row["reason"], row["actor"], row["created_at"]) for row in rows]

    async def record_policy_change(self, org_no: int, phone_no: int, after_us: int) -> list[PaceRow]:
        rows = await self._database.read(query, named.pace_log_recent(org_no=org_no, phone_no=phone_no, after=after_us))
        return [PaceRow(row["at"], row["chat_id"], row["new_chat"] == 1) for row in rows]
