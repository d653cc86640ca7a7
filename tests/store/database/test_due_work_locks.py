"""PostgreSQL: what is due runs while callers queue messages, and while people put messages back."""

from collections.abc import AsyncIterator

import pytest

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import recipient
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.content import Content, Kind
from heliograph.domain.schedules.schedule import Schedule
from heliograph.store.broadcasts import enqueue_recipients
from heliograph.store.control_store import ControlStoreUnits
from heliograph.store.jobs.enqueue import enqueue
from heliograph.store.schedules import run_due
from tests.kit.store import REFUSED, Desk, another_phone
from tests.store.stepwise_unit import Stepwise, meeting_desk, waits


@pytest.fixture
async def desk(postgres_url: str) -> AsyncIterator[Desk]:
    async with meeting_desk(postgres_url) as opened:
        yield opened


async def test_a_broadcast_does_not_end_while_its_failed_message_is_put_back(desk: Desk) -> None:
    steering = ControlStoreUnits(desk.store.shell, desk.clock, desk.ids)
    new = NewBroadcast(desk.ids.make(), desk.org_no, desk.phone_no, Content(Kind.TEXT, "hello"), delay_s=0.0)
    made, _ = await steering.broadcast(new, [recipient("919537851844@c.us", {})])
    await steering.feed()
    (one,) = await desk.start()
    await desk.settle(one, REFUSED)
    desk.clock.turn(2)
    feeder = await Stepwise.begin(desk.where, enqueue_recipients.feed_one(desk.org_no, made, desk.clock.now_us()))
    await feeder.until("broadcast_settled")
    back = await waits(desk.where, steering.retry_broadcast(desk.org_no, made, "ada"))
    await feeder.end()
    assert await back == 1
    row = await steering.broadcast_row(desk.org_no, made)
    assert row is not None and row.state == "running"
    assert (await desk.get(one.job.job_id)).state is State.QUEUED


async def test_schedules_of_two_phones_and_a_batch_of_callers_wait_in_one_order(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    steering = ControlStoreUnits(desk.store.shell, desk.clock, desk.ids)
    now_us = desk.clock.now_us()
    content = Content(Kind.TEXT, "hi")
    late, early = [
        await steering.schedule(Schedule(desk.org_no, desk.ids.make(), phone_no, "a@c.us", content, now_us + n))
        for n, phone_no in ((1, desk.phone_no), (0, other.phone_no))
    ]
    desk.clock.turn(10)
    now_us = desk.clock.now_us()
    first = await Stepwise.begin(desk.where, run_due.run_one(desk.org_no, early.schedule_no, desk.ids.make, now_us))
    await first.until("queue_reserve_and_count")
    callers = [desk.job("b"), other.job("b")]
    batch = await waits(desk.where, desk.store.shell.write(lambda: enqueue(callers, now_us)))
    rest = await waits(desk.where, steering.run_schedules(), others=1)
    assert await first.end()
    assert [type(one) for one in await batch] == [Enqueued, Enqueued]
    phones, _ = await rest
    assert phones == {late.phone_no}
