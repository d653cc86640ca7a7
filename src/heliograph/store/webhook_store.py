"""What people do with deliveries: look at them, send them again, send a test.

Promise: a replay keeps the delivery's id and bytes, and goes beside its stream: it holds nothing up.
"""

from functools import partial

from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt, WebhookRow
from heliograph.store.database.unit import Unit, query, query_batch, query_one
from heliograph.store.webhooks.hooks import HookStore
from heliograph.store.webhooks.sources import delivery_of

STEP = 500
_TOP = 2**63 - 1


def list_deliveries(hook: WebhookRow, state: str | None, below: int | None, limit: int) -> Unit[list[Delivery]]:
    rows = yield from query(
        "deliveries_listed",
        org_no=hook.org_no,
        hook_no=hook.hook_no,
        state=state,
        below=_TOP if below is None else below,
        limit=limit,
    )
    return [delivery_of(row, row["org_id"]) for row in rows]


def delivery(org_no: int, no: int) -> Unit[tuple[Delivery, str | None, list[DeliveryAttempt]] | None]:
    row = yield from query_one("delivery_by_no", org_no=org_no, no=no)
    if row is None:
        return None
    attempts = yield from query("attempts_of", org_no=org_no, no=no)
    return delivery_of(row, row["org_id"]), row["body"], [DeliveryAttempt(*each) for each in attempts]


def replay(org_no: int, no: int) -> Unit[bool]:
    row = yield from query_one("delivery_by_no", org_no=org_no, no=no)
    if row is None:
        return False
    if row["state"] == "pending":
        hastened = yield from query_one("stream_hasten", org_no=org_no, endpoint_no=row["endpoint_no"], stream=f"#{no}")
        return hastened is not None
    return (yield from _again([(org_no, no, row["endpoint_no"])])) == 1


def replay_step(
    hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int, above: int
) -> Unit[tuple[int, int | None]]:
    """How many are to be tried again, and where to go on; None: that was all."""
    name = "replay_dead" if dead_only else "replay_range"
    rows = yield from query(
        name, org_no=hook.org_no, hook_no=hook.hook_no, since=since_us, until=until_us, above=above, limit=STEP
    )
    again = yield from _again([(row["org_no"], row["no"], row["endpoint_no"]) for row in rows])
    return again, rows[-1]["no"] if len(rows) == STEP else None


def _again(deliveries: list[tuple[int, int, int]]) -> Unit[int]:
    rows = [(org_no, no, f"#{no}", endpoint_no) for org_no, no, endpoint_no in deliveries]
    changed = yield from query_batch("deliveries_replay", rows)
    org_no = deliveries[0][0] if deliveries else 0
    yield from query_batch("streams_feed", sorted((org_no, row[1], f"#{row[0]}", row[0]) for row in changed))
    return len(changed)


def add_test(hook: WebhookRow, body: str, now_us: int) -> Unit[Delivery]:
    lock = yield from query("fanout_number", org_no=hook.org_no)
    no = lock[0]["no"]
    row = (hook.org_no, no, hook.hook_no, hook.endpoint_no, f"#{no}", hook.event, "test", None, 0, None, None, 0, 0, 0)
    yield from query_batch("deliveries_insert", [row], now=now_us)
    found = yield from query_one("delivery_by_no", org_no=hook.org_no, no=no)
    made = delivery_of(found, hook.org_id)
    yield from query_batch("bodies_insert", [(hook.org_no, no, body.replace("{delivery_id}", made.delivery_id))])
    yield from query_batch("streams_feed", [(hook.org_no, hook.endpoint_no, f"#{no}", no)])
    return made


class WebhookStore(HookStore):
    """ports.hooks.Hooks."""

    async def deliveries(
        self, hook: WebhookRow, *, state: str | None = None, below: int | None = None, limit: int = 100
    ) -> list[Delivery]:
        return await self._shell.read(lambda: list_deliveries(hook, state, below, limit))

    async def delivery(self, org_no: int, no: int) -> tuple[Delivery, str | None, list[DeliveryAttempt]] | None:
        return await self._shell.read(lambda: delivery(org_no, no))

    async def replay(self, org_no: int, no: int) -> bool:
        return await self._shell.write(lambda: replay(org_no, no))

    async def replay_many(self, hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int) -> int:
        again, above = 0, 0
        while True:
            step = partial(replay_step, hook, dead_only=dead_only, since_us=since_us, until_us=until_us, above=above)
            count, on = await self._shell.write(step)
            again += count
            if on is None:
                return again
            above = on

    async def add_test(self, hook: WebhookRow, body: str) -> Delivery:
        now_us = self._clock.now_us()
        return await self._shell.write(lambda: add_test(hook, body, now_us))
