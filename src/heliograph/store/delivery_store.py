"""The delivery worker's side of the store: ports.hooks.Outbox on whichever database it was given."""

from collections.abc import Sequence

from heliograph.ports.clock import Clock
from heliograph.ports.webhook_store import PRUNE_FROM, BatchResult, ClaimRequest, ClaimResult, PrunePlace
from heliograph.store.database.database import Database
from heliograph.store.webhooks import fan_out as fan_out_units
from heliograph.store.webhooks import prune, settle_and_claim


class OutboxStore:
    """`_claim` rises with each transaction, so that a claim that was taken over is known by its number."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._claim = clock.now_us()

    async def fan_out(self, limit: int) -> list[tuple[int, int]]:
        fed: set[tuple[int, int]] = set()
        for org_no in await self._database.read(fan_out_units.fan_out_due):
            more = True
            while more:
                now_us = self._clock.now_us()
                step = await self._database.write(fan_out_units.fan_out_org, org_no, limit, now_us)
                endpoints, more = step
                fed.update(endpoints)
        return sorted(fed)

    async def due(self) -> list[tuple[int, int]]:
        now_us = self._clock.now_us()
        if over := await self._database.read(settle_and_claim.waits_over, now_us):
            await self._database.write(settle_and_claim.promote, over, now_us)
        return await self._database.read(settle_and_claim.due, now_us)

    async def move(
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
        return await self._database.write(
            settle_and_claim.move, worker, finished, wants, at_once=at_once, claim=claim, probe_s=probe_s, now_us=now_us
        )

    async def join(self, worker: str, *, alive_s: float, alone: bool) -> None:
        now_us = self._clock.now_us()
        until_us = now_us + round(alive_s * 1_000_000)
        # alone: whoever else is written down is a process that ended, however fresh its beat
        seen_us = until_us + 1 if alone else now_us
        for dead in await self._database.write(settle_and_claim.beat, worker, until_us, seen_us):
            await self._free(dead)

    async def leave(self, worker: str) -> None:
        await self._free(worker)

    async def _free(self, worker: str) -> None:
        while await self._database.write(settle_and_claim.free_step, worker):
            pass

    async def prune_deliveries(
        self, before_us: int, limit: int, place: PrunePlace = PRUNE_FROM
    ) -> tuple[int, PrunePlace | None]:
        return await prune.step(self._database, before_us, limit, place)

    async def give_up(self, disabled_before_us: int, limit: int) -> int:
        return await prune.give_up(self._database, disabled_before_us, self._clock.now_us(), limit)

    async def prune_org_events(self, before_us: int, limit: int) -> None:
        await prune.org_events(self._database, before_us, limit)
