"""The webhook half of the store: hooks, signing keys and deliveries, one transaction for each method."""

from functools import partial

from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt, WebhookRow
from heliograph.store.webhooks import deliveries
from heliograph.store.webhooks.hooks import HookStore


class WebhookStore(HookStore):
    """ports.hooks.Hooks."""

    async def deliveries(
        self, hook: WebhookRow, *, state: str | None = None, below: int | None = None, limit: int = 100
    ) -> list[Delivery]:
        return await self._database.read(deliveries.list_deliveries, hook, state, below, limit)

    async def delivery(self, org_no: int, no: int) -> tuple[Delivery, str | None, list[DeliveryAttempt]] | None:
        return await self._database.read(deliveries.delivery, org_no, no)

    async def replay(self, org_no: int, no: int) -> bool:
        return await self._database.write(deliveries.replay, org_no, no)

    async def replay_many(self, hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int) -> int:
        again, above = 0, 0
        while True:
            step = partial(
                deliveries.replay_step, hook, dead_only=dead_only, since_us=since_us, until_us=until_us, above=above
            )
            count, on = await self._database.write(step)
            again += count
            if on is None:
                return again
            above = on

    async def add_test(self, hook: WebhookRow, body: str) -> Delivery:
        now_us = self._clock.now_us()
        return await self._database.write(deliveries.add_test, hook, body, now_us)
