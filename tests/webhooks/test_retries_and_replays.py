"""Tests of failed deliveries: retried in order, dead-lettered, replayed, and removed with their attempts."""

from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from heliograph.ports.stores.delivery_store import BatchResult, ClaimResult
from heliograph.store.delivery_store import SqlDeliveryStore
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, Request, delivering, receiving


async def test_a_failed_attempt_is_repeated_with_the_same_id_and_bytes(gateway: Gateway) -> None:
    tries = iter([500, 503, 200])
    async with receiving(lambda got: next(tries)) as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()
        await until(lambda: len(receiver.got) == 3)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.raw for got in receiver.got}) == 1


async def test_order_holds_while_the_first_of_a_chat_is_retried(gateway: Gateway) -> None:
    failures = iter([500, 500])
    async with receiving(lambda got: next(failures, 200)) as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created", "message.sent")
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()
        await until(lambda: len(receiver.got) == 4)
    assert receiver.names() == ["message.created"] * 3 + ["message.sent"]


async def test_a_delivery_is_a_dead_letter_after_three_failed_attempts_and_its_stream_continues(
    gateway: Gateway,
) -> None:
    def answer(got: Request) -> int:
        return 500 if got.name == "message.created" else 200

    schedule = (0.05, 0.05, 0.3, 0.05)
    async with receiving(answer) as receiver, delivering(gateway, schedule=schedule) as worker:
        hook, _ = await gateway.hook(receiver.url, "message.created", "message.sent")
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()

        async def dead() -> bool:
            return [d.state for d in await gateway.hooks.deliveries(hook)] == ["dead"]

        await until(dead)
        names = receiver.names()
        assert names == ["message.created"] * 3 + ["message.sent"] + ["message.created"] * 2
        delivery = (await gateway.hooks.deliveries(hook))[0]
        found = await gateway.hooks.delivery(gateway.org.org_no, delivery.no)
        assert found is not None
        _, body, attempts = found
        assert body is not None and body.encode() == receiver.got[0].raw
        assert [(a.attempt, a.status, a.outcome, a.answer) for a in attempts] == [
            (n, 500, "server_error", "ok") for n in range(1, 6)
        ]

        receiver.answer = None
        assert await gateway.hooks.replay(gateway.org.org_no, delivery.no)
        worker.wake()
        await until(lambda: len(receiver.got) == 7)
        assert receiver.got[6].headers["webhook-id"] == receiver.got[0].headers["webhook-id"]
        assert receiver.got[6].raw == receiver.got[0].raw


async def test_all_failed_since_and_a_range_are_replayed(gateway: Gateway) -> None:
    async with receiving(lambda got: 400) as receiver, delivering(gateway, schedule=(0.05,)) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        for n in range(4):
            await gateway.enqueue(chat=f"91953785184{n}")
        worker.wake()

        async def dead() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="dead")) == 4

        await until(dead)
        receiver.answer = None
        assert await gateway.hooks.replay_many(hook, dead_only=True, since_us=0, until_us=2**62) == 4
        worker.wake()
        await until(lambda: len(receiver.got) == 12)

        async def told() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="delivered")) == 4

        await until(told)
        assert await gateway.hooks.replay_many(hook, dead_only=True, since_us=0, until_us=2**62) == 0
        assert await gateway.hooks.replay_many(hook, dead_only=False, since_us=0, until_us=2**62) == 4
        worker.wake()
        await until(lambda: len(receiver.got) == 16)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 4


async def test_old_deliveries_go_with_their_attempts(gateway: Gateway) -> None:
    async with receiving(lambda got: 500) as receiver, delivering(gateway, schedule=(0.05,)) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()

        async def dead() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="dead")) == 1

        await until(dead)
        (delivery,) = await gateway.hooks.deliveries(hook)
        assert await gateway.deliveries.prune_deliveries(1, 100) == (0, None)
        assert (await gateway.deliveries.prune_deliveries(2**62, 100))[0] == 1
        assert await gateway.hooks.delivery(gateway.org.org_no, delivery.no) is None
        assert await gateway.deliveries.prune_deliveries(2**62, 100) == (0, None)


async def test_a_response_of_undecodable_bytes_is_stored_as_text(gateway: Gateway) -> None:
    async with receiving(lambda got: 302) as receiver, delivering(gateway, schedule=(0.05,)) as worker:
        receiver.headers = "Location: /\xff\u20ac\udc80x\r\n"
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()

        async def dead() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="dead")) == 1

        await until(dead)
        (delivery,) = await gateway.hooks.deliveries(hook)
        found = await gateway.hooks.delivery(gateway.org.org_no, delivery.no)
        assert found is not None and found[2][0].detail.isascii() and found[2][0].status == 302


async def test_a_settlement_that_cannot_be_written_holds_up_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = SqlDeliveryStore.settle_and_claim

    async def failing(
        self: SqlDeliveryStore, worker: str, finished: Sequence[BatchResult], *args: Any, **more: Any
    ) -> ClaimResult:
        if any("9999" in each.batch.stream for each in finished):
            raise ValueError("a defect of this test's own")
        return await settle(self, worker, finished, *args, **more)

    monkeypatch.setattr(SqlDeliveryStore, "settle_and_claim", failing)
    # its tracebacks, drawn with all values, would hold up the event loop for seconds
    with structlog.testing.capture_logs():
        async with receiving() as receiver, delivering(gateway) as worker:
            (hook,) = await gateway.hook(receiver.url, "message.created")
            for n in range(9997, 10_006):
                await gateway.enqueue(chat=f"91953785{n}")
            worker.wake()

            async def all_others_delivered() -> bool:
                return len(await gateway.hooks.deliveries(hook, state="delivered")) == 8

            await until(all_others_delivered)
            assert len(await gateway.hooks.deliveries(hook, state="pending")) == 1
