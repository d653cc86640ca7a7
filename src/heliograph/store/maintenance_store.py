"""Expiry and retention of jobs: ports.stores.maintenance_store."""

from heliograph.ports.stores.maintenance_store import PRUNE_FROM, PrunePlace
from heliograph.store.database import named
from heliograph.store.database.sql_store import SqlStore
from heliograph.store.database.unit import query
from heliograph.store.jobs import expire, prune
from heliograph.store.jobs.purge import remove_phone_rest


class SqlMaintenanceStore(SqlStore):
    """Keeps MaintenanceStore."""

    async def expire_jobs(self) -> int:
        now_us = self._clock.now_us()
        ended = 0
        for org_no, phone_no in await self.database.read(expire.phones_expiring, now_us):
            while step := await self.database.write(expire.expire_step, org_no, phone_no, now_us):
                ended += step
        return ended

    async def prune_jobs(
        self, before_us: int, limit: int, place: PrunePlace = PRUNE_FROM
    ) -> tuple[int, PrunePlace | None]:
        return await prune.step(self.database, before_us, limit, place)

    async def prune_rest(self, before_us: int, day_ago_us: int) -> None:
        await prune.rest(self.database, before_us, day_ago_us)
        for row in await self.database.read(query, named.phones_deleted_with_rest()):
            await remove_phone_rest(self.database, self._clock, row["org_no"], row["phone_no"], "gateway")
