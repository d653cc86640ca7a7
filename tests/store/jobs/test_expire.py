"""Tests of expiry: a waiting message ends with an event instead of going out late."""

from heliograph.domain.jobs.states import State
from heliograph.store.jobs.expire import expire_step, phones_expiring
from tests.kit.phone_queue import SENT, PhoneQueue, retry


async def _sweep(queue: PhoneQueue) -> int:
    now_us, ended = queue.clock.now_us(), 0
    for org_no, phone_no in await queue.stores.database.read(phones_expiring, now_us):
        while step := await queue.stores.database.write(expire_step, org_no, phone_no, now_us):
            ended += step
    return ended


async def test_a_message_past_its_time_is_not_started(queue: PhoneQueue) -> None:
    late = await queue.put("a", expires_at_us=queue.clock.now_us() + 1_000_000)
    behind = await queue.put("a")
    queue.clock.advance(1)
    assert await queue.start() == []  # the round that meets it ends it
    assert [one.job.job_id for one in await queue.start()] == [behind]
    assert ((await queue.get(late)).state, (await queue.get(late)).attempts) == (State.EXPIRED, 0)
    assert [event.kind for event in await queue.history(late)] == ["queued", "expired"]


async def test_a_message_in_time_is_sent(queue: PhoneQueue) -> None:
    job_id = await queue.put("a", expires_at_us=queue.clock.now_us() + 1_000_000)
    assert await queue.send_next(SENT) == job_id


async def test_a_sweep_ends_what_waits_anywhere_in_the_queue(queue: PhoneQueue) -> None:
    first = await queue.put("a")
    late = [await queue.put(chat, expires_at_us=queue.clock.now_us() + 1_000_000) for chat in "ab"]
    last = await queue.put("a")
    assert await _sweep(queue) == 0
    queue.clock.advance(1)
    assert await _sweep(queue) == 2
    assert {(await queue.get(job_id)).state for job_id in late} == {State.EXPIRED}
    assert [await queue.send_next(), await queue.send_next()] == [first, last]
    assert (await queue.stores.jobs.health(queue.org_no, None)).failed == 2


async def test_a_message_that_may_have_been_sent_does_not_expire(queue: PhoneQueue) -> None:
    job_id = await queue.put("a", expires_at_us=queue.clock.now_us() + 1_000_000)
    await queue.send_next(retry(2.0, maybe_sent=True))
    queue.clock.advance(5)
    assert await _sweep(queue) == 0
    (again,) = await queue.start()
    assert again.job.job_id == job_id


async def test_a_retry_past_its_time_expires(queue: PhoneQueue) -> None:
    job_id = await queue.put("a", expires_at_us=queue.clock.now_us() + 1_000_000)
    await queue.send_next(retry(2.0))
    queue.clock.advance(5)
    assert await _sweep(queue) == 1
    assert (await queue.get(job_id)).state is State.EXPIRED


async def test_a_long_queue_expires_in_steps(queue: PhoneQueue) -> None:
    for n in range(450):
        await queue.put(f"chat{n % 30}", expires_at_us=queue.clock.now_us() + 1_000_000)
    queue.clock.advance(2)
    assert await _sweep(queue) == 450
    assert await queue.rows("SELECT 1 FROM lanes") == []


async def test_messages_that_may_have_been_sent_are_not_checked_repeatedly(queue: PhoneQueue) -> None:
    await queue.put("a", expires_at_us=queue.clock.now_us() + 5_000_000)
    (one,) = await queue.start()
    await queue.settle(one, retry(2.0, maybe_sent=True))
    queue.clock.advance(10)
    now_us = queue.clock.now_us()
    assert await queue.stores.database.read(phones_expiring, now_us) == []
