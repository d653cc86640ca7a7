"""Tests of endpoints that ask to wait or fail for days, on the real store with a shifted clock."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from heliograph.domain.webhooks.retry_policy import MAX_RETRY_AFTER_S
from heliograph.domain.webhooks.webhook import WebhookRow
from tests.kit.clocks import ShiftedClock
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, Request, delivering, receiving

SCHEDULE = (1.0, 2.0, *[4 * 3600.0] * 40)  # long enough that none is a dead letter before the endpoint is given up


async def _shown(gateway: Gateway, hook: WebhookRow) -> WebhookRow:
    row = await gateway.hooks.hook(gateway.org.org_no, hook.hook_id)
    assert row is not None
    return row


async def _tried_again(
    gateway: Gateway, hook: WebhookRow, clock: ShiftedClock, seen: list[Request], *, days: float
) -> None:
    """Moves the clock on in steps of six hours, with one attempt in each."""

    async def written() -> bool:
        tries = [each.tries for each in await gateway.hooks.deliveries(hook)]
        return sum(tries) >= len(seen) or not (await _shown(gateway, hook)).is_subscribed

    await until(written, limit_s=30)  # or the try before would be written down with the time to come
    for _ in range(round(days * 4)):
        before = len(seen)
        clock.forward(days=0.25)
        await until(lambda: len(seen) > before, limit_s=30)  # noqa: B023
        await until(written, limit_s=30)


async def test_five_days_of_nothing_but_failures_disable_an_endpoint_and_others_hear_of_it(gateway: Gateway) -> None:
    clock = ShiftedClock()
    async with (
        receiving(lambda got: 500) as failing,
        receiving() as other,
        delivering(gateway, schedule=SCHEDULE, clock=clock) as worker,
    ):
        (hook,) = await gateway.hook(failing.url, "message.created")
        await gateway.hook(other.url, "webhook.disabled")
        await gateway.enqueue()
        worker.wake()
        await until(lambda: len(failing.got) == 1)
        await _tried_again(gateway, hook, clock, failing.got, days=4.75)
        assert (await _shown(gateway, hook)).is_subscribed and other.got == []
        await _tried_again(gateway, hook, clock, failing.got, days=0.25)
        await until(lambda: other.names() == ["webhook.disabled"])
        row = await _shown(gateway, hook)
        assert not row.is_subscribed and row.disabled_reason == "Nothing but failures for five days."
        assert row.disabled_at_us is not None
        told = other.got[0].body["data"]
        assert (told["hook_url"], told["reason"]) == (failing.url, "Nothing but failures for five days.")
        assert [each["id"] for each in told["webhooks"]] == [hook.hook_id]
        seen = len(failing.got)
        clock.forward(days=2)
        await gateway.enqueue(chat="919537851845")
        worker.wake()
        await gateway.hook(other.url, "message.created")
        await gateway.enqueue(chat="919537851846")
        worker.wake()
        await until(lambda: "message.created" in other.names())
        assert len(failing.got) == seen  # nothing more is tried


async def test_one_delivery_within_the_five_days_begins_them_anew(gateway: Gateway) -> None:
    clock = ShiftedClock()
    async with (
        receiving(lambda got: 500) as receiver,
        delivering(gateway, schedule=SCHEDULE, clock=clock) as worker,
    ):
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
        await _tried_again(gateway, hook, clock, receiver.got, days=4)
        receiver.answer = None
        await _tried_again(gateway, hook, clock, receiver.got, days=0.25)
        receiver.answer = lambda got: 500
        before = len(receiver.got)
        await gateway.enqueue(chat="919537851845")
        worker.wake()
        await until(lambda: len(receiver.got) > before)
        await _tried_again(gateway, hook, clock, receiver.got, days=3)
        row = await _shown(gateway, hook)
        assert row.is_subscribed and row.failures > 0


async def test_a_gateway_that_was_down_for_a_week_disables_no_endpoint(gateway: Gateway) -> None:
    clock = ShiftedClock()
    async with receiving(lambda got: 500) as receiver:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        async with delivering(gateway, schedule=SCHEDULE, clock=clock, name="before") as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 1)
        clock.forward(days=7)
        async with delivering(gateway, schedule=SCHEDULE, clock=clock, name="after"):
            await until(lambda: len(receiver.got) == 2)

            async def written() -> bool:
                return [each.tries for each in await gateway.hooks.deliveries(hook)] == [2]

            await until(written)
        assert (await _shown(gateway, hook)).is_subscribed


@pytest.mark.parametrize(
    ("asked_s", "waits_s"),
    [(90.0, 90.0), (86_400.0 * 365, MAX_RETRY_AFTER_S), (-60.0, 0.0)],
    ids=["is kept to", "is bounded", "in the past counts for nothing"],
)
async def test_a_retry_after_that_is_a_date(gateway: Gateway, asked_s: float, waits_s: float) -> None:
    clock = ShiftedClock()
    async with (
        receiving(lambda got: 503) as receiver,
        delivering(gateway, schedule=(0.1, 0.1, 0.1), clock=clock) as worker,
    ):
        (hook,) = await gateway.hook(receiver.url, "message.created")
        at = datetime.fromtimestamp(clock.now_us() // 1_000_000, UTC)
        date, until_ = format_datetime(at, usegmt=True), format_datetime(at + timedelta(seconds=asked_s), usegmt=True)
        receiver.headers = f"Date: {date}\r\nRetry-After: {until_}\r\n"
        began_us = clock.now_us()
        await gateway.enqueue()
        worker.wake()

        async def tried() -> bool:
            return [each.tries for each in await gateway.hooks.deliveries(hook)] >= [1]

        await until(tried)
        (delivery,) = await gateway.hooks.deliveries(hook)
        if waits_s:
            assert delivery.not_before_us is not None
            assert waits_s - 1 <= (delivery.not_before_us - began_us) / 1e6 <= waits_s + 10
            assert len(receiver.got) == 1
            clock.forward(seconds=waits_s + 1)
        await until(lambda: len(receiver.got) >= 2)
