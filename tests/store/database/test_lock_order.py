"""Tests on PostgreSQL of the lock order: there is no deadlock."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from heliograph.ports.stores.sender_store import Settlement
from heliograph.store.accounts import phones
from heliograph.store.jobs import retry_and_resolve
from heliograph.store.jobs.enqueue import enqueue
from heliograph.store.jobs.settle_and_start import settle_and_start
from tests.kit.database import make_database
from tests.kit.phone_queue import SENT, PhoneQueue, retry
from tests.store.stepwise_unit import StepwiseUnit, interleaved_queue, locked, waits

ROUNDS = 150


@pytest.fixture
async def queue(postgres_url: str) -> AsyncIterator[PhoneQueue]:
    async with interleaved_queue(postgres_url) as opened:
        yield opened


async def test_a_retry_that_falls_due_and_a_batch_of_callers_wait_in_one_order(queue: PhoneQueue) -> None:
    await queue.put("z")
    (z,) = await queue.start()
    await queue.settle(z, retry(2.0))
    await queue.put("m")
    await queue.start()
    await queue.put("a")
    (a,) = await queue.start()
    queue.clock.advance(3)  # z is due
    third = await locked(queue.location, "m@c.us")
    callers = [queue.new_job("a"), queue.new_job("m"), queue.new_job("z")]
    now_us = queue.clock.now_us()
    batch = await waits(queue.location, queue.stores.database.write(enqueue, callers, now_us))  # has a, waits for m
    owner = await waits(
        queue.location,
        queue.stores.sender.settle_and_start([queue.settlement(a, SENT)], [queue.start_request(5)]),
        others=1,
    )
    await third.close()
    await asyncio.gather(batch, owner)


async def test_next_starts_of_lanes_and_a_batch_of_callers_wait_in_one_order(queue: PhoneQueue) -> None:
    """Two chats start their next messages, and become known; a third, before them, ends."""
    for chat in "azz":
        await queue.put(chat)
    a, z = await queue.start(2)
    await queue.put("m")
    await queue.start()
    third = await locked(queue.location, "m@c.us")
    callers = [queue.new_job("a"), queue.new_job("m"), queue.new_job("z")]
    now_us = queue.clock.now_us()
    batch = await waits(queue.location, queue.stores.database.write(enqueue, callers, now_us))
    ended = [queue.settlement(a, SENT), queue.settlement(z, SENT)]
    owner = await waits(queue.location, queue.stores.sender.settle_and_start(ended, [queue.start_request(5)]), others=1)
    await third.close()
    await asyncio.gather(batch, owner)


async def test_an_owner_with_many_retries_and_callers_of_the_same_chats_never_deadlock(queue: PhoneQueue) -> None:
    dice = random.Random(1)
    others = make_database(queue.location, queue.clock)
    await others.open()
    chats = [f"c{n}" for n in range(60)]
    left = 2

    async def call() -> None:
        nonlocal left
        for _ in range(ROUNDS):
            jobs = [queue.new_job(dice.choice(chats)) for _ in range(40)]
            await others.write(enqueue, jobs, queue.clock.now_us())
            await asyncio.sleep(0)
        left -= 1

    async def own() -> None:
        settlements: list[Settlement] = []
        while left or settlements:
            done = await queue.stores.sender.settle_and_start(settlements, [queue.start_request(20)] if left else [])
            settlements = [queue.settlement(one, dice.choice([SENT, SENT, SENT, retry(0.05)])) for one in done.started]
            queue.clock.advance(0.02)

    await asyncio.gather(call(), call(), own())
    await others.close()


async def test_deleting_a_phone_and_its_owners_write_wait_in_one_order(queue: PhoneQueue) -> None:
    said = phones.set_phone_state(
        queue.org_no, queue.phone_no, queue.token, state="connected", detail="", now_us=queue.clock.now_us()
    )
    say = await (await StepwiseUnit.begin(queue.location, said)).until("fence")
    gone = await waits(queue.location, queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "ada"))
    assert await say.end()
    assert await gone


async def test_a_hurried_message_and_its_own_end_wait_in_one_order(queue: PhoneQueue) -> None:
    """An operator asks for an attempt now; meanwhile it became due, was started, and ends."""
    await queue.put("a")
    (a,) = await queue.start()
    await queue.settle(a, retry(2.0))
    now_us = queue.clock.now_us()
    asked = retry_and_resolve.retry_now(queue.org_no, [a.job.job_id], "ada", now_us)
    hurry = await (await StepwiseUnit.begin(queue.location, asked)).until("jobs_for_operator")
    queue.clock.advance(3)
    (again,) = await queue.start()
    settle = await StepwiseUnit.begin(
        queue.location, settle_and_start([queue.settlement(again, SENT)], [], queue.clock.now_us())
    )
    await settle.until("jobs_sent")
    late = await waits(queue.location, hurry.end())
    assert (await settle.end()).settled == [True]
    assert await late == {a.job.job_id: "sent"}
