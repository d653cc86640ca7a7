"""Stores schedules: ports.stores.schedule_store."""

from collections.abc import Callable

from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Idempotency, KeyReused
from heliograph.domain.schedules.schedule import Schedule
from heliograph.store.database.sql_store import SqlStore, read_by
from heliograph.store.schedules import manage, run_due


class SqlScheduleStore(SqlStore):
    """Keeps ScheduleStore."""

    schedule_of_key = read_by(manage.made_with)
    schedule = read_by(manage.get)
    schedules = read_by(manage.list_schedules)
    occurrences = read_by(manage.occurrences)

    async def create_schedule(self, schedule: Schedule) -> Schedule:
        return await self.database.write(manage.create, schedule, self._clock.now_us())

    async def create_schedule_once(self, schedule: Schedule, key: Idempotency) -> tuple[Schedule, bool] | KeyReused:
        return await self.database.write(manage.create_once, schedule, key, self._clock.now_us())

    async def change_schedule(
        self, org_no: int, schedule_no: JobId, how: Callable[[Schedule], Schedule]
    ) -> Schedule | WrongState | None:
        done = await self.database.write(manage.change, org_no, schedule_no, how, self._clock.now_us())
        return WrongState(done) if isinstance(done, str) else done

    async def delete_schedule(self, org_no: int, schedule_no: JobId) -> bool:
        return await self.database.write(manage.delete, org_no, schedule_no, self._clock.now_us())

    async def run_schedules(self) -> tuple[set[int], int | None]:
        return await run_due.run_due(self.database, self._ids.make, self._clock.now_us())
