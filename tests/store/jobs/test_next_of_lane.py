"""Tests of the transaction that settles a message and starts the next one of its lane, unless others come first."""

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.jobs.states import Priority, State
from heliograph.ports.stores.sender_store import SettleAndStartResult, Settlement, Started
from heliograph.store.control import holds
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry


async def go_on(
    queue: PhoneQueue, *ended: Settlement, limit: int = 5, version: int | None = None
) -> SettleAndStartResult:
    request = queue.start_request(limit, version=version)
    return await queue.stores.sender.settle_and_start(list(ended), [request])


async def begun(queue: PhoneQueue) -> Started:
    (one,) = await queue.start()
    return one


def bodies(done: SettleAndStartResult) -> list[str]:
    return [one.job.content.body for one in done.started]


async def test_a_lane_starts_message_after_message_to_its_end(queue: PhoneQueue) -> None:
    for n in range(4):
        await queue.put("a", body=f"m{n}")
    one = await begun(queue)
    seen = [one.job.content.body]
    while True:
        done = await go_on(queue, queue.settlement(one, SENT))
        await queue.audit()
        if not done.started:
            break
        (one,) = done.started
        assert not one.new_chat
        seen.append(one.job.content.body)
    assert seen == ["m0", "m1", "m2", "m3"]
    assert done.idle == {queue.phone_no: None}
    assert await queue.rows("SELECT 1 FROM lanes") == []


async def test_an_urgent_message_of_the_same_chat_goes_before_the_next_normal_one(queue: PhoneQueue) -> None:
    await queue.put("a", body="first")
    await queue.put("a", body="second")
    one = await begun(queue)
    await queue.put("a", body="urgent", priority=Priority.URGENT)
    done = await go_on(queue, queue.settlement(one, SENT))
    assert bodies(done) == ["urgent"]
    await queue.audit()
    done = await go_on(queue, queue.settlement(done.started[0], SENT))
    assert bodies(done) == ["second"]
    await queue.audit()


async def test_an_older_message_of_another_chat_goes_before_the_next_of_this_one(queue: PhoneQueue) -> None:
    await queue.put("a", body="a1")
    await queue.put("b", body="b1")
    await queue.put("a", body="a2")
    one = await begun(queue)
    done = await go_on(queue, queue.settlement(one, SENT), limit=1)
    assert bodies(done) == ["b1"]
    done = await go_on(queue, queue.settlement(done.started[0], SENT), limit=1)
    assert bodies(done) == ["a2"]
    await queue.audit()


async def test_lanes_of_many_phones_continue_in_one_transaction(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    for each in (queue, other):
        await each.put("a", body="one")
        await each.put("a", body="two")
    first, second = await begun(queue), await begun(other)
    requests = [each.start_request(3) for each in (queue, other)]
    done = await queue.stores.sender.settle_and_start(
        [queue.settlement(first, SENT), other.settlement(second, REFUSED)], requests
    )
    assert bodies(done) == ["two", "two"]
    await queue.audit()


async def test_a_chat_that_was_paused_in_between_starts_no_next_message(queue: PhoneQueue) -> None:
    await queue.put("a")
    second = await queue.put("a")
    one = await begun(queue)
    now_us = queue.clock.now_us()
    await queue.stores.database.write(holds.hold, queue.org_no, queue.phone_no, "chat:a@c.us", "ada", "", now_us)
    done = await go_on(queue, queue.settlement(one, SENT))
    assert done.started == []
    assert (await queue.get(second)).state is State.QUEUED
    await queue.audit()
    await queue.stores.database.write(holds.release_chat, queue.org_no, queue.phone_no, "a@c.us")
    assert [started.job.job_id for started in await queue.start()] == [second]
    await queue.audit()


async def test_a_message_that_expired_in_between_is_skipped(queue: PhoneQueue) -> None:
    await queue.put("a")
    late = await queue.put("a", expires_at_us=queue.clock.now_us() + 1_000_000)
    third = await queue.put("a")
    one = await begun(queue)
    queue.clock.advance(2)
    done = await go_on(queue, queue.settlement(one, SENT))
    await queue.audit()
    assert (await queue.get(late)).state is State.EXPIRED
    started = done.started or await queue.start()
    assert [one.job.job_id for one in started] == [third]
    await queue.audit()


async def test_a_message_that_waits_for_its_retry_blocks_its_chat_until_that_time(queue: PhoneQueue) -> None:
    await queue.put("a")
    await queue.put("a")
    one = await begun(queue)
    done = await go_on(queue, queue.settlement(one, retry(3.0)))
    assert done.started == []
    assert done.idle == {queue.phone_no: queue.clock.now_us() + 3_000_000}
    await queue.audit()


async def test_nothing_starts_under_a_pace_that_was_changed_in_between(queue: PhoneQueue) -> None:
    await queue.put("a")
    known = await queue.stores.phones.phone_row(queue.org_no, queue.phone_no)
    assert known is not None
    changed = await queue.stores.phones.update_phone(queue.org_no, queue.phone_no, PhonePatch(pacing="linked-new"))
    assert changed is not None
    done = await go_on(queue, version=known.updated_at_us)
    assert (done.started, done.changed) == ([], frozenset({queue.phone_no}))
    done = await go_on(queue, version=changed.updated_at_us)
    assert len(done.started) == 1
    assert done.changed == frozenset()


async def test_an_ended_attempt_is_settled_although_its_phone_was_changed_in_between(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    one = await begun(queue)
    known = await queue.stores.phones.phone_row(queue.org_no, queue.phone_no)
    assert known is not None
    await queue.stores.phones.update_phone(queue.org_no, queue.phone_no, PhonePatch(pacing="linked-new"))
    done = await go_on(queue, queue.settlement(one, SENT), version=known.updated_at_us)
    assert done.settled == [True]
    assert (await queue.get(job_id)).state is State.SENT
    await queue.audit()


async def _run_on(queue: PhoneQueue, messages: int) -> Started:
    """Sends so many messages of one chat, each in the transaction of the one before; returns the next, in flight."""
    for n in range(messages + 2):
        await queue.put("a", body=f"m{n}")
    one = await begun(queue)
    for _ in range(messages):
        (one,) = (await go_on(queue, queue.settlement(one, SENT))).started
    return one


async def test_the_next_owner_finds_the_message_in_flight_of_a_long_lane(queue: PhoneQueue) -> None:
    one = await _run_on(queue, 40)
    await queue.audit()
    await queue.take_over()
    ((job, token),) = await queue.stores.sender.interrupted_jobs(queue.org_no, queue.phone_no, queue.token)
    assert (job.job_id, token) == (one.job.job_id, one.token)


async def test_a_long_lane_retries_its_last_message(queue: PhoneQueue) -> None:
    one = await _run_on(queue, 40)
    await queue.settle(one, retry(2.0))
    await queue.audit()
    queue.clock.advance(3)
    assert [started.job.job_id for started in await queue.start(5)] == [one.job.job_id]


async def test_a_message_that_is_accepted_as_its_lane_ends_is_started(queue: PhoneQueue) -> None:
    one = await _run_on(queue, 1)
    done = await go_on(queue, queue.settlement(one, SENT))
    last = done.started[0] if done.started else one
    late = await queue.put("a", body="late")
    done = await go_on(queue, queue.settlement(last, SENT))
    while done.started and done.started[0].job.job_id != late:
        done = await go_on(queue, queue.settlement(done.started[0], SENT))
    assert bodies(done) == ["late"]
    await queue.audit()
