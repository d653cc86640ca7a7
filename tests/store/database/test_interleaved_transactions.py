"""Tests on PostgreSQL of two interleaved transactions, of which one does not see the other's changes."""

from collections.abc import AsyncIterator

import pytest

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import recipient
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound
from heliograph.store.control import holds
from heliograph.store.jobs import prune, receipts, retry_and_resolve
from heliograph.store.jobs.settle_and_start import settle_and_start
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue
from tests.store.stepwise_unit import StepwiseUnit, interleaved_queue, waits

DAY_US = 86_400_000_000


@pytest.fixture
async def queue(postgres_url: str) -> AsyncIterator[PhoneQueue]:
    async with interleaved_queue(postgres_url) as opened:
        yield opened


async def test_a_chat_that_is_resumed_while_its_lane_is_being_held_continues(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    now_us = queue.clock.now_us()
    await queue.stores.database.write(holds.hold, queue.org_no, queue.phone_no, "chat:a@c.us", "ada", "", now_us)
    owner = await (
        await StepwiseUnit.begin(queue.location, settle_and_start([], [queue.start_request()], now_us))
    ).until("lanes_hold")
    resumed = await waits(
        queue.location, queue.stores.database.write(holds.release_chat, queue.org_no, queue.phone_no, "a@c.us")
    )
    assert (await owner.end()).started == []
    assert await resumed
    assert [one.job.job_id for one in await queue.start()] == [job_id]


async def test_a_broadcast_that_is_resumed_while_its_lane_is_being_held_continues(queue: PhoneQueue) -> None:
    content = Content(Kind.TEXT, "hello")
    new = NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, content, delay_s=0.0)
    made, _ = await queue.stores.broadcasts.create_broadcast(new, [recipient("919537851844@c.us", {})])
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "ada")
    now_us = queue.clock.now_us()
    owner = await (
        await StepwiseUnit.begin(queue.location, settle_and_start([], [queue.start_request()], now_us))
    ).until("lanes_hold")
    resumed = await waits(queue.location, queue.stores.broadcasts.resume_broadcast(queue.org_no, made, "bob"))
    assert (await owner.end()).started == []
    await resumed
    assert len(await queue.start()) == 1


async def test_a_key_that_is_used_anew_while_two_processes_prune_stays(queue: PhoneQueue) -> None:
    await queue.put(key="k", body="x")
    queue.clock.advance(86_401)
    before_us = queue.clock.now_us() - DAY_US
    slow = await StepwiseUnit.begin(queue.location, prune.keys(before_us, 100))
    await slow.until("idempotency_old")
    await queue.stores.database.write(prune.keys, before_us, 100)
    made = await queue.stores.jobs.enqueue(queue.new_job(key="k", body="x"))
    await slow.end()
    again = await queue.stores.jobs.enqueue(queue.new_job(key="k", body="x"))
    assert isinstance(made, Enqueued) and not made.replayed
    assert isinstance(again, Enqueued) and again.replayed and again.job_id == made.job_id


async def test_a_retry_of_a_message_that_is_being_pruned_finds_none(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    await queue.send_next(REFUSED)
    asked = retry_and_resolve.retry_now(queue.org_no, [job_id], "ada", queue.clock.now_us())
    late = await (await StepwiseUnit.begin(queue.location, asked)).until("jobs_for_operator")
    queue.clock.advance(1)
    assert (await queue.stores.maintenance.prune_jobs(queue.clock.now_us(), 10))[0] == 1
    assert await late.end() == {job_id: "unknown"}
    assert await queue.rows("SELECT 1 FROM lanes") == []
    last = await queue.put("a")
    assert await queue.send_next() == last
    assert (await queue.get(last)).state is State.SENT


async def test_what_comes_while_the_first_message_of_its_chat_is_settled_is_to_a_known_chat(queue: PhoneQueue) -> None:
    await queue.put("a")
    (a,) = await queue.start()
    ended = settle_and_start([queue.settlement(a, SENT)], [], queue.clock.now_us())
    settle = await (await StepwiseUnit.begin(queue.location, ended)).until("lanes_delete")
    second = await waits(queue.location, queue.put("a"))
    await settle.end()
    assert [one.job.job_id for one in await queue.start(new_limit=0)] == [await second]


async def test_a_person_who_writes_while_the_first_message_to_them_is_settled_waits_for_it(queue: PhoneQueue) -> None:
    await queue.put("a")
    (a,) = await queue.start()
    ended = settle_and_start([queue.settlement(a, SENT)], [], queue.clock.now_us())
    settle = await (await StepwiseUnit.begin(queue.location, ended)).until("jobs_sent")
    at_us = queue.clock.now_us()
    said = Inbound("M1", "a@c.us", "a@c.us", at_us, "chat", "hello")
    inbound = await StepwiseUnit.begin(
        queue.location, receipts.keep_inbound(queue.org_no, queue.phone_no, [said], at_us)
    )
    await inbound.until("lanes_known")
    ending = await waits(queue.location, settle.end())
    assert await inbound.end() == 1
    await ending
