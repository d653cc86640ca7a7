"""Tests of endpoints that are gone, dead or slow, and of the claims of their workers."""

import asyncio

from heliograph.ports.stores.delivery_store import BatchResult, ClaimRequest, DeliveryResult
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, Request, delivering, receiving


async def test_410_disables_the_endpoint_and_other_webhooks_get_an_event(gateway: Gateway) -> None:
    async with receiving(lambda got: 410) as gone, receiving() as other, delivering(gateway) as worker:
        (hook,) = await gateway.hook(gone.url, "message.created")
        await gateway.hook(other.url, "webhook.disabled")
        await gateway.enqueue()
        await gateway.enqueue(chat="919537851845")
        worker.wake()
        await until(lambda: other.names() == ["webhook.disabled"])
        assert other.got[0].body["data"]["hook_url"] == gone.url
        row = await gateway.hooks.hook(gateway.org.org_no, hook.hook_id)
        assert row is not None and not row.is_subscribed and row.disabled_reason == "The receiver answered 410."
        seen = len(gone.got)
        await gateway.enqueue(chat="919537851846")
        await asyncio.sleep(0.2)
        assert len(gone.got) == seen <= 2


async def test_a_dead_endpoint_gets_one_probe_and_every_delivery_when_it_is_back(gateway: Gateway) -> None:
    async with (
        receiving(lambda got: 500) as receiver,
        delivering(gateway, schedule=(0.3, 0.3, 0.3, 5, 5, 5)) as worker,
    ):
        await gateway.hook(receiver.url, "message.created")
        for n in range(60):
            await gateway.enqueue(chat=f"9195378518{n:02d}")
        worker.wake()
        await until(lambda: len(receiver.got) >= 8)
        await asyncio.sleep(0.25)
        assert len(receiver.got) <= 16  # not 60: the circuit is open
        before = len(receiver.got)
        receiver.answer = None
        await until(lambda: len({g.headers["webhook-id"] for g in receiver.got[before:]}) == 60)


async def test_a_worker_that_ends_gives_its_claims_to_the_next(gateway: Gateway) -> None:
    hanging = asyncio.Event()

    async def hang(got: Request) -> int:
        await hanging.wait()
        return 200

    async with receiving(hang) as receiver:
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        async with delivering(gateway, name="first") as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 1)
        hanging.set()
        async with delivering(gateway, name="second"):
            await until(lambda: len(receiver.got) == 2)
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]


async def test_an_endpoint_that_hangs_holds_only_its_own_slots(gateway: Gateway) -> None:
    released = asyncio.Event()

    async def hang(_: Request) -> int:
        await released.wait()
        return 200

    async with receiving(hang) as hanging, receiving() as other, delivering(gateway) as worker:
        await gateway.hook(hanging.url, "message.created")
        await gateway.hook(other.url, "message.created")
        for n in range(100):
            await gateway.enqueue(chat=f"91953785{n:04d}")
        worker.wake()
        await until(lambda: len(other.got) == 100)
        assert len(hanging.got) == 8
        released.set()
        await until(lambda: len(hanging.got) == 100)


async def test_deliveries_of_a_deleted_webhook_do_not_hold_up_others_of_a_dead_endpoint(gateway: Gateway) -> None:
    first_id = ""

    def dead_for_the_first(got: Request) -> int:
        return 500 if got.body["hook_id"] == first_id else 200

    async with (
        receiving(dead_for_the_first) as receiver,
        delivering(gateway, schedule=(0.2, 0.2, 0.2, 5, 5)) as worker,
    ):
        (first,) = await gateway.hook(receiver.url, "message.created")
        first_id = first.hook_id
        for n in range(40):
            await gateway.enqueue(chat=f"91953785{n:04d}")
        worker.wake()
        await until(lambda: len(receiver.got) >= 8)
        (second,) = await gateway.hook(receiver.url, "message.created")
        await gateway.hooks.delete_hook(gateway.org.org_no, first_id)
        await gateway.enqueue(chat="919537859999")
        worker.wake()
        await until(lambda: second.hook_id in {got.body["hook_id"] for got in receiver.got}, limit_s=15)
        states = {each.state for each in await gateway.hooks.deliveries(first, limit=100)}
        assert states <= {"cancelled", "pending"}


async def test_a_claim_to_probe_without_a_delivery_is_released(gateway: Gateway) -> None:
    (hook,) = await gateway.hook("http://127.0.0.1:9/", "message.created")
    org_no = gateway.org.org_no
    for n in range(6):
        await gateway.enqueue(chat=f"91953785{n:04d}")
    await gateway.deliveries.fan_out(100)
    wants = [ClaimRequest(org_no, hook.endpoint_no, 10)]
    first = await gateway.deliveries.settle_and_claim("w", [], wants, at_once=1, probe_s=0.0)
    failed = [
        BatchResult(run, (DeliveryResult(run.items[0].delivery, "pending", None, wait_s=60),), 0, 1)
        for run in first.runs
    ]
    # all wait, the circuit is open, a probe would be due: it finds nothing
    assert (await gateway.deliveries.settle_and_claim("w", failed, wants, at_once=1, probe_s=0.0)).runs == []
    assert (await gateway.deliveries.settle_and_claim("w", [], wants, at_once=1, probe_s=0.0)).runs == []
    await gateway.enqueue(chat="919537859999")
    await gateway.deliveries.fan_out(100)
    probe = await gateway.deliveries.settle_and_claim("w", [], wants, at_once=1, probe_s=0.0)
    assert [run.probing for run in probe.runs] == [True]


async def test_webhooks_made_and_deleted_concurrently_leave_a_true_count(gateway: Gateway) -> None:
    (kept,) = await gateway.hook("http://127.0.0.1:9/", "message.created")
    for _ in range(10):
        made, _ = await asyncio.gather(
            gateway.hook("http://127.0.0.1:9/", "message.created"),
            gateway.hooks.delete_hook(gateway.org.org_no, kept.hook_id),
        )
        (kept,) = made
        await gateway.enqueue()
        assert await gateway.deliveries.fan_out(100) != []
