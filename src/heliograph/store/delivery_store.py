"""Stores the work of the webhook worker: ports.stores.delivery_store.

Promise: a claim whose answer was lost is released again. A commit may still happen after its connection broke, so a
lost claim is looked up for a while.
"""

from collections.abc import Sequence

from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.clock import Clock
from heliograph.ports.stores.delivery_store import BatchResult, ClaimRequest, ClaimResult
from heliograph.ports.stores.maintenance_store import PRUNE_FROM, PrunePlace
from heliograph.store.database.database import Database
from heliograph.store.database.sql_store import SqlStore
from heliograph.store.webhooks import fan_out as fan_out_units
from heliograph.store.webhooks import prune, settle_and_claim

LOST_CLAIM_S = 120.0  # a server that is back ends a commit that was under way within this time
FOREVER_US = 2**62


class SqlDeliveryStore(SqlStore):
    """Keeps DeliveryStore. The number of a claim rises with each transaction, so a claim taken over has another one."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        super().__init__(database, clock, ids)
        self._claim = clock.now_us()
        self._lost: dict[int, float] = {}  # claim whose answer was lost → until when it is looked up

    async def fan_out(self, limit: int) -> list[tuple[int, int]]:
        fed: set[tuple[int, int]] = set()
        for org_no in await self.database.read(fan_out_units.fan_out_due):
            more = True
            while more:
                now_us = self._clock.now_us()
                step = await self.database.write(fan_out_units.fan_out_org, org_no, limit, now_us)
                endpoints, more = step
                fed.update(endpoints)
        return sorted(fed)

    async def due(self) -> list[tuple[int, int]]:
        now_us = self._clock.now_us()
        if over := await self.database.read(settle_and_claim.waits_over, now_us):
            await self.database.write(settle_and_claim.promote, over, now_us)
        return await self.database.read(settle_and_claim.due, now_us)

    async def settle_and_claim(
        self,
        worker: str,
        finished: Sequence[BatchResult],
        wants: Sequence[ClaimRequest],
        *,
        at_once: int,
        probe_s: float,
    ) -> ClaimResult:
        now_us = self._clock.now_us()
        self._claim += 1
        claim = self._claim
        await self._release_lost(worker)
        try:
            return await self.database.write(
                settle_and_claim.settle_and_claim,
                worker,
                finished,
                wants,
                at_once=at_once,
                claim=claim,
                probe_s=probe_s,
                now_us=now_us,
            )
        except Unavailable:
            if wants:
                self._lost[claim] = self._clock.monotonic() + LOST_CLAIM_S
            raise

    async def _release_lost(self, worker: str) -> None:
        if self._lost:
            claims = list(self._lost)
            await self.database.write(settle_and_claim.release_claims, worker, claims)
            now = self._clock.monotonic()
            self._lost = {claim: until for claim, until in self._lost.items() if until > now}

    async def join(self, worker: str, *, alive_s: float, alone: bool) -> None:
        now_us = self._clock.now_us()
        until_us = now_us + round(alive_s * 1_000_000)
        # alone: every other worker in the store is a process that ended, whatever clock wrote its heartbeat
        seen_us = FOREVER_US if alone else now_us
        for dead in await self.database.write(settle_and_claim.beat, worker, until_us, seen_us):
            await self._free(dead)
        await self._release_lost(worker)

    async def leave(self, worker: str) -> None:
        await self._free(worker)

    async def _free(self, worker: str) -> None:
        while await self.database.write(settle_and_claim.free_step, worker):
            pass

    async def prune_deliveries(
        self, before_us: int, limit: int, place: PrunePlace = PRUNE_FROM
    ) -> tuple[int, PrunePlace | None]:
        return await prune.step(self.database, before_us, limit, place)

    async def give_up(self, disabled_before_us: int, limit: int) -> int:
        return await prune.give_up(self.database, disabled_before_us, self._clock.now_us(), limit)

    async def prune_org_events(self, before_us: int, limit: int) -> None:
        await prune.org_events(self.database, before_us, limit)
