"""Tests of purging: messages that have not started are cancelled, and those that may have been sent stay."""

import asyncio

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import Priority, State
from heliograph.store.accounts import phones
from heliograph.store.database.unit import Unit
from heliograph.store.jobs import cancel
from tests.kit.phone_queue import SENT, PhoneQueue, retry, uncertain


async def test_a_purge_cancels_what_waits_and_leaves_what_started(queue: PhoneQueue) -> None:
    on_its_way = await queue.put("a")
    lost = await queue.put("b")
    (one, two) = await queue.start(2)
    await queue.settle(two, retry(2.0, maybe_sent=True))
    plain = await queue.put("c")
    await queue.send_next(retry(60.0))
    waiting = [await queue.put(chat) for chat in "abcd"]
    ended = await queue.stores.jobs.purge(queue.org_no, queue.phone_no, actor="ada")
    assert sorted(ended) == sorted([plain, *waiting])
    for job_id in ended:
        job = await queue.get(job_id)
        assert (job.state, job.reason, job.detail) == (State.CANCELLED, "purged", "Purged before it was sent.")
        event = (await queue.history(job_id))[-1]
        assert (event.kind, event.actor, event.after) == ("cancelled", "ada", "cancelled")
    assert (await queue.get(on_its_way)).state is State.SENDING
    assert (await queue.get(lost)).state is State.QUEUED
    await queue.settle(one, SENT)
    queue.clock.advance(3)
    assert [started.job.job_id for started in await queue.start(10)] == [lost]


async def test_a_purge_of_named_messages_takes_only_those_that_wait(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    sent = await queue.put("a")
    await queue.send_next()
    first, second, third = [await queue.put("a") for _ in range(3)]
    theirs = await other.put("a")
    ended = await queue.stores.jobs.purge(queue.org_no, queue.phone_no, job_ids=[sent, third, first, theirs])
    assert sorted(ended) == sorted([first, third])
    assert [one.job.job_id for one in await queue.start(10)] == [second]
    assert (await other.get(theirs)).state is State.QUEUED


async def test_another_organisations_messages_are_not_purged(queue: PhoneQueue) -> None:
    org = await queue.stores.accounts.create_org("another")
    other = await queue.add_phone("918888888888", org_no=org.org_no)
    theirs = await other.put("a")
    await queue.put("a")
    assert await queue.stores.jobs.purge(queue.org_no, None, job_ids=[theirs]) == []
    assert len(await queue.stores.jobs.purge(queue.org_no, None)) == 1
    assert (await other.get(theirs)).state is State.QUEUED


async def test_a_purge_of_an_organisation_covers_its_phones(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    jobs = [await queue.put("a"), await other.put("a"), await other.put("b", priority=Priority.BULK)]
    assert sorted(await queue.stores.jobs.purge(queue.org_no, None)) == jobs
    assert await queue.rows("SELECT 1 FROM lanes") == []


async def test_a_chat_that_waits_for_an_uncertain_message_still_waits_after_a_purge(queue: PhoneQueue) -> None:
    await queue.put("a")
    await queue.send_next(uncertain(20.0))
    await queue.put("a")
    await queue.stores.jobs.purge(queue.org_no, None)
    later = await queue.put("a")
    assert await queue.start(10) == []
    queue.clock.advance(20)
    assert [one.job.job_id for one in await queue.start(10)] == [later]


async def test_a_long_queue_is_purged_in_steps(queue: PhoneQueue) -> None:
    jobs = await asyncio.gather(*(queue.stores.jobs.enqueue(queue.new_job(f"chat{n % 40}")) for n in range(1200)))
    ended = await queue.stores.jobs.purge(queue.org_no, None)
    assert sorted(ended) == sorted(one.job_id for one in jobs if isinstance(one, Enqueued))
    assert (await queue.stores.jobs.health(queue.org_no, None)).failed == 1200


async def test_concurrent_purges_and_starts_never_take_the_same_message(queue: PhoneQueue) -> None:
    for n in range(60):
        await queue.put(f"chat{n % 20}")
    started: list[JobId] = []
    ended: list[JobId] = []

    async def start() -> None:
        started.extend([one.job.job_id for one in await queue.start(5)])

    async def purge() -> None:
        ended.extend(await queue.stores.jobs.purge(queue.org_no, None))

    await asyncio.gather(*(start() for _ in range(6)), *(purge() for _ in range(3)))
    assert len(started) + len(ended) == len({*started, *ended}) == 60


async def test_deleting_a_phone_ends_what_waits_and_leaves_the_rest_uncertain(
    queue: PhoneQueue,
) -> None:
    on_its_way = await queue.put("a")
    maybe = await queue.put("b")
    waiting = [await queue.put("a"), await queue.put("b"), await queue.put("c")]
    started = await queue.start(2)
    await queue.settle(started[1], retry(2.0, maybe_sent=True))
    assert await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "ada")
    for job_id in waiting:
        assert ((await queue.get(job_id)).state, (await queue.get(job_id)).reason) == (State.CANCELLED, "phone_deleted")
    for job_id in (on_its_way, maybe):
        job = await queue.get(job_id)
        assert (job.state, job.reason, job.maybe_sent) == (State.UNCERTAIN, "phone_deleted", True)
        event = (await queue.history(job_id))[-1]
        assert (event.kind, event.after, event.actor) == ("uncertain", "uncertain", "ada")
    assert await queue.rows("SELECT 1 FROM lanes") == []
    done = await queue.try_settle(started[0], SENT)  # its owner comes too late
    assert done.lost == frozenset({(queue.phone_no, queue.token)})
    assert not await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "ada")


async def test_rows_of_a_deleted_phone_are_removed_after_a_crash(queue: PhoneQueue) -> None:
    await queue.put("a")
    await queue.send_next(retry(2.0, maybe_sent=True))
    await queue.put("a")

    def cut_off() -> Unit[None]:
        yield from phones.delete_phone(queue.org_no, queue.phone_no, queue.clock.now_us())
        yield from cancel.orphan_attempts(queue.org_no, queue.phone_no, "ada", queue.clock.now_us())

    await queue.stores.database.write(cut_off)
    await queue.stores.maintenance.prune_rest(0, 0)
    states = await queue.rows("SELECT state FROM jobs ORDER BY job_id")
    assert [row["state"] for row in states] == ["uncertain", "cancelled"]
    assert await queue.rows("SELECT 1 FROM lanes") == []


async def test_a_purge_in_many_steps_ends_all_that_waits_behind_a_message_in_flight(queue: PhoneQueue) -> None:
    await queue.put("a")
    (on_its_way,) = await queue.start(1)
    waiting = [await queue.put(chat) for _ in range(cancel.STEP) for chat in "ab"]
    assert sorted(await queue.stores.jobs.purge(queue.org_no, queue.phone_no)) == sorted(waiting)
    await queue.settle(on_its_way, SENT)
    later = await queue.put("a")
    assert [started.job.job_id for started in await queue.start(10)] == [later]


async def test_a_deleted_phone_leaves_no_lane_no_hold_and_no_pace(queue: PhoneQueue) -> None:
    await queue.put("a")
    await queue.send_next(uncertain(20.0))
    await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, "b@c.us", "ada")
    await queue.execute(f"INSERT INTO pace_log VALUES ({queue.org_no}, {queue.phone_no}, 1, 'a', 1)")
    left = "SELECT 1 FROM lanes UNION ALL SELECT 2 FROM holds UNION ALL SELECT 3 FROM pace_log"
    assert len(await queue.rows(left)) == 3
    await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "ada")
    assert await queue.rows(left) == []


async def test_rows_of_a_deleted_phone_are_pruned_after_a_crash(queue: PhoneQueue) -> None:
    await queue.execute(f"INSERT INTO pace_log VALUES ({queue.org_no}, {queue.phone_no}, 1, 'a', 1)")
    now_us = queue.clock.now_us()
    await queue.stores.database.write(phones.delete_phone, queue.org_no, queue.phone_no, now_us)
    await queue.stores.maintenance.prune_rest(0, 0)
    assert await queue.rows("SELECT 1 FROM pace_log") == []
