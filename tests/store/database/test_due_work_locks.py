"""Tests on PostgreSQL of due work beside callers and operators: they wait in one order."""

from collections.abc import AsyncIterator

import pytest

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import recipient
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.content import Content, Kind
from heliograph.domain.schedules.schedule import Schedule
from heliograph.store.broadcasts import enqueue_recipients
from heliograph.store.jobs.enqueue import enqueue
from heliograph.store.schedules import run_due
from tests.kit.phone_queue import REFUSED, PhoneQueue
from tests.store.stepwise_unit import StepwiseUnit, interleaved_queue, waits


@pytest.fixture
async def queue(postgres_url: str) -> AsyncIterator[PhoneQueue]:
    async with interleaved_queue(postgres_url) as opened:
        yield opened


async def test_a_broadcast_does_not_end_while_its_failed_message_is_retried(queue: PhoneQueue) -> None:
    new = NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, Content(Kind.TEXT, "hello"), delay_s=0.0)
    made, _ = await queue.stores.broadcasts.create_broadcast(new, [recipient("919537851844@c.us", {})])
    await queue.stores.broadcasts.enqueue_recipients()
    (one,) = await queue.start()
    await queue.settle(one, REFUSED)
    queue.clock.advance(2)
    feeder = await StepwiseUnit.begin(
        queue.location, enqueue_recipients.feed_one(queue.org_no, made, queue.clock.now_us())
    )
    await feeder.until("broadcast_settled")
    back = await waits(queue.location, queue.stores.broadcasts.retry_broadcast(queue.org_no, made, "ada"))
    await feeder.end()
    assert await back == 1
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made)
    assert row is not None and row.state == "running"
    assert (await queue.get(one.job.job_id)).state is State.QUEUED


async def test_schedules_of_two_phones_and_a_batch_of_callers_wait_in_one_order(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    now_us = queue.clock.now_us()
    content = Content(Kind.TEXT, "hi")
    late, early = [
        await queue.stores.schedules.create_schedule(
            Schedule(queue.org_no, queue.ids.make(), phone_no, "a@c.us", content, now_us + n)
        )
        for n, phone_no in ((1, queue.phone_no), (0, other.phone_no))
    ]
    queue.clock.advance(10)
    now_us = queue.clock.now_us()
    first = await StepwiseUnit.begin(
        queue.location, run_due.run_one(queue.org_no, early.schedule_no, queue.ids.make, now_us)
    )
    await first.until("queue_reserve_and_count")
    callers = [queue.new_job("b"), other.new_job("b")]
    batch = await waits(queue.location, queue.stores.database.write(enqueue, callers, now_us))
    rest = await waits(queue.location, queue.stores.schedules.run_schedules(), others=1)
    assert await first.end()
    assert [type(one) for one in await batch] == [Enqueued, Enqueued]
    phones, _ = await rest
    assert phones == {late.phone_no}
