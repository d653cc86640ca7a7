"""Tests of webhook retention: a delivery's content stays until it is delivered, and no delivery waits for ever."""

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.webhooks.webhook import WebhookRow
from heliograph.store.delivery_store import SqlDeliveryStore
from heliograph.webhooks.prune import prune_deliveries
from tests.kit.clocks import ShiftedClock
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, delivering, receiving

BEFORE_US = 3_000_000_000_000_000  # the retention is over


async def _states(gateway: Gateway, hook: WebhookRow) -> list[str]:
    return [each.state for each in await gateway.hooks.deliveries(hook)]


async def test_events_for_a_receiver_that_was_down_are_kept_until_delivered(gateway: Gateway) -> None:
    async with receiving() as receiver:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.hook(receiver.url, "org.phone.updated")
        job_id = await gateway.enqueue()
        await gateway.inbound("hello")
        await gateway.settle_all()
        phone = gateway.lease.phone
        await gateway.stores.phones.update_phone(phone.org_no, phone.phone_no, PhonePatch(name="Shop"))
        await gateway.deliveries.fan_out(100)
        assert (await gateway.stores.maintenance.prune_jobs(BEFORE_US, 100))[0] == 0
        await gateway.stores.maintenance.prune_rest(BEFORE_US, BEFORE_US)
        await gateway.deliveries.prune_org_events(BEFORE_US, 100)
        async with delivering(gateway) as worker:
            worker.wake()

            async def over() -> bool:
                return len(receiver.got) == 3 and "pending" not in await _states(gateway, hook)

            await until(over)
        assert sorted(receiver.names()) == sorted(["org.phone.updated", "message.created", "message.created"])
        assert (await gateway.stores.maintenance.prune_jobs(BEFORE_US, 100))[0] == 1
        assert await gateway.stores.jobs.job(gateway.org.org_no, unique_id(job_id)) is None


async def test_what_waits_for_an_endpoint_that_was_given_up_ends_after_its_time(gateway: Gateway) -> None:
    clock = ShiftedClock()
    async with receiving(lambda got: 410) as gone:
        (hook,) = await gateway.hook(gone.url, "message.created")
        for n in range(4):
            await gateway.enqueue(text=str(n))
        await gateway.enqueue(chat="919537851845")
        await gateway.settle_all()
        async with delivering(gateway, clock=clock) as worker:
            worker.wake()

            async def given_up() -> bool:
                row = await gateway.hooks.hook(gateway.org.org_no, hook.hook_id)
                return row is not None and not row.is_subscribed

            await until(given_up)
        outbox = SqlDeliveryStore(gateway.database, clock, gateway.ids)
        waiting = (await _states(gateway, hook)).count("pending")
        assert waiting >= 3
        clock.forward(days=4)
        await prune_deliveries(outbox, clock, days=0.01)
        assert (await _states(gateway, hook)).count("pending") == waiting
        clock.forward(days=2)
        await prune_deliveries(outbox, clock, days=0.01)
        assert await _states(gateway, hook) == []
        assert await outbox.give_up(BEFORE_US, 100) == 0
        assert (await gateway.stores.maintenance.prune_jobs(BEFORE_US, 100))[0] > 0


async def test_a_prune_reads_each_delivery_once_with_any_backlog(gateway: Gateway) -> None:
    async with receiving() as receiver:
        await gateway.hook(receiver.url, "message.created")
        for _ in range(5):
            await gateway.enqueue()
        await gateway.deliveries.fan_out(100)
        org_no = gateway.org.org_no
        assert await gateway.deliveries.prune_deliveries(BEFORE_US, 2) == (0, (org_no, 2))
        assert await gateway.deliveries.prune_deliveries(BEFORE_US, 2, (org_no, 2)) == (0, (org_no, 4))
        assert await gateway.deliveries.prune_deliveries(BEFORE_US, 2, (org_no, 4)) == (0, None)
        assert await gateway.deliveries.prune_deliveries(0, 2) == (0, None)  # all are young
