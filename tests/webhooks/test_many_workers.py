"""Tests of many workers on one PostgreSQL: each event is delivered once, in order, also when a worker dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from heliograph.clock import SystemClock
from heliograph.ports.stores.delivery_store import BatchResult, ClaimRequest, DeliveryResult
from heliograph.store.delivery_store import SqlDeliveryStore
from tests.kit.database import open_database
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, Request, delivering, open_gateway, receiving


@pytest.fixture
async def gateway(postgres_url: str) -> AsyncIterator[Gateway]:
    async with open_database(postgres_url, SystemClock()) as database, open_gateway(database) as made:
        yield made


async def test_three_workers_deliver_each_event_once_and_in_order(gateway: Gateway, postgres_url: str) -> None:
    async with receiving() as one, receiving() as two, AsyncExitStack() as stack:
        for receiver in (one, two):
            await gateway.hook(receiver.url)
        for n in range(3):
            database = await stack.enter_async_context(open_database(postgres_url, SystemClock()))
            await stack.enter_async_context(delivering(gateway, name=f"worker-{n}", alone=False, database=database))
        ids = []
        for n in range(60):
            ids.append(await gateway.enqueue(chat=f"91953785{n % 20:04d}", text=str(n)))
            if n % 10 == 9:
                await gateway.whole_way(*ids[-10:])
        await until(lambda: min(len(one.got), len(two.got)) >= 480, limit_s=60)
        await asyncio.sleep(0.3)
    for receiver in (one, two):
        assert len(receiver.got) == len({got.headers["webhook-id"] for got in receiver.got}) == 480
        chats: dict[str, list[int]] = {}
        messages: dict[str, list[int]] = {}
        for got in receiver.got:
            body = got.body
            messages.setdefault(body["queue_id"], []).append(body["sequence"])
            chats.setdefault(body["data"]["chat_id"], []).append(int(body["id"].rpartition("_")[2]))
        assert all(sequences == sorted(sequences) for sequences in messages.values())
        assert all(numbers == sorted(numbers) for numbers in chats.values())


async def test_claims_of_a_dead_worker_are_delivered_by_another(gateway: Gateway, postgres_url: str) -> None:
    hanging = asyncio.Event()

    async def hang(got: Request) -> int:
        await hanging.wait()
        return 200

    async with receiving(hang) as receiver, AsyncExitStack() as stack:
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        database = await stack.enter_async_context(open_database(postgres_url, SystemClock()))
        outbox = SqlDeliveryStore(database, SystemClock(), gateway.ids)
        await outbox.join("dead", alive_s=0.3, alone=False)
        fed = await outbox.fan_out(100)
        moved = await outbox.settle_and_claim("dead", [], [ClaimRequest(*fed[0], 5)], at_once=1, probe_s=5)
        assert len(moved.runs) == 1
        hanging.set()
        async with delivering(gateway, name="living", alone=False, alive_s=0.4):
            await until(lambda: len(receiver.got) == 1)
            # the dead one comes back and has nothing to say any more
            run = moved.runs[0]
            late = BatchResult(run, (DeliveryResult(run.items[0].delivery, "dead", None),), 0, 1)
            again = await outbox.settle_and_claim("dead", [late], [], at_once=1, probe_s=5)
            assert again.lost == 1
            hook = (await gateway.hooks.hooks(gateway.org.org_no))[0]

            async def told() -> bool:
                return [each.state for each in await gateway.hooks.deliveries(hook)] == ["delivered"]

            await until(told)
