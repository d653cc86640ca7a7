"""Stores hooks, signing keys and deliveries: ports.stores.webhook_store."""

from collections.abc import Sequence

from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.webhooks.webhook import Delivery, HookPatch, NewHook, SigningKeyRow, WebhookRow
from heliograph.store.database.sql_store import SqlStore, read_by, write_by
from heliograph.store.webhooks import deliveries as delivery_units
from heliograph.store.webhooks import hooks as hook_units


class SqlWebhookStore(SqlStore):
    """Keeps WebhookStore."""

    hooks = read_by(hook_units.hooks_of)
    hook = read_by(hook_units.hook_by_id)
    deliveries = read_by(delivery_units.list_deliveries)
    delivery = read_by(delivery_units.delivery)
    replay = write_by(delivery_units.replay)

    async def create_hooks(
        self, org_no: int, hooks: Sequence[NewHook], first_key: str, idempotency: Idempotency | None = None
    ) -> tuple[list[WebhookRow], bool] | None:
        now_us = self._clock.now_us()
        return await self.database.write(hook_units.create_hooks, org_no, hooks, first_key, idempotency, now_us)

    async def update_hook(self, org_no: int, hook_id: str, patch: HookPatch) -> WebhookRow | None:
        return await self.database.write(hook_units.update_hook, org_no, hook_id, patch, self._clock.now_us())

    async def delete_hook(self, org_no: int, hook_id: str) -> bool:
        return await self.database.write(hook_units.delete_hook, org_no, hook_id, self._clock.now_us())

    async def signing_keys(self, org_no: int, first_key: str) -> SigningKeyRow:
        return await self.database.write(hook_units.signing_keys, org_no, first_key, self._clock.now_us())

    async def rotate_key(self, org_no: int, new_key: str, *, first_key: str, overlap_us: int) -> SigningKeyRow:
        return await self.database.write(
            hook_units.rotate_key, org_no, new_key, first_key, overlap_us, self._clock.now_us()
        )

    async def replay_many(self, hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int) -> int:
        replayed = 0
        above: int | None = 0
        while above is not None:
            count, above = await self.database.write(
                delivery_units.replay_step, hook, dead_only=dead_only, since_us=since_us, until_us=until_us, above=above
            )
            replayed += count
        return replayed

    async def add_test(self, hook: WebhookRow, body: str) -> Delivery:
        return await self.database.write(delivery_units.add_test, hook, body, self._clock.now_us())
