"""Tests of idempotency keys: the same key gives the same message; another body is refused."""

import asyncio

from heliograph.domain.jobs.job import Enqueued, KeyReused
from tests.kit.factories import create_phone
from tests.kit.phone_queue import PhoneQueue


async def test_a_repeat_is_the_same_message_at_the_same_place(queue: PhoneQueue) -> None:
    await queue.put("a")
    first = await queue.stores.jobs.enqueue(queue.new_job("a", key="k", body="hello"))
    await queue.send_next()
    again = await queue.stores.jobs.enqueue(queue.new_job("a", key="k", body="hello"))
    assert isinstance(first, Enqueued)
    assert again == Enqueued(first.job_id, first.position, replayed=True)
    assert len(await queue.rows("SELECT 1 FROM jobs")) == 2


async def test_a_key_with_another_body_is_refused(queue: PhoneQueue) -> None:
    await queue.put("a", key="k", body="hello")
    assert isinstance(await queue.stores.jobs.enqueue(queue.new_job("a", key="k", body="bye")), KeyReused)
    assert len(await queue.rows("SELECT 1 FROM jobs")) == 1


async def test_repeats_that_arrive_together_are_one_message(queue: PhoneQueue) -> None:
    jobs = [queue.new_job("a", key="k", body="hello") for _ in range(8)]
    others = [queue.new_job("b") for _ in range(4)]
    made = await asyncio.gather(*(queue.stores.jobs.enqueue(job) for job in [*jobs, *others]))
    same = made[:8]
    assert all(isinstance(one, Enqueued) for one in made)
    assert len({one.job_id for one in same if isinstance(one, Enqueued)}) == 1
    assert sorted(one.replayed for one in same if isinstance(one, Enqueued)) == [False] + [True] * 7
    assert len(await queue.rows("SELECT 1 FROM jobs")) == 5


async def test_two_bodies_under_one_key_that_arrive_together_are_one_message(queue: PhoneQueue) -> None:
    made = await asyncio.gather(
        *(queue.stores.jobs.enqueue(queue.new_job("a", key="k", body=body)) for body in ("hello", "bye", "hello"))
    )
    assert sorted(type(one).__name__ for one in made) == ["Enqueued", "Enqueued", "KeyReused"]
    assert len(await queue.rows("SELECT 1 FROM jobs")) == 1


async def test_a_key_is_its_organisations_own(queue: PhoneQueue) -> None:
    org = await queue.stores.accounts.create_org("another")
    phone = await create_phone(queue.stores, org.org_no, "918888888888")
    await queue.put("a", key="k", body="hello")
    made = await queue.stores.jobs.enqueue(
        queue.new_job("a", key="k", body="bye", org_no=org.org_no, phone_no=phone.phone_no)
    )
    assert isinstance(made, Enqueued)
    assert not made.replayed


async def test_a_key_lives_for_a_day(queue: PhoneQueue) -> None:
    first = await queue.put("a", key="k", body="hello")
    queue.clock.advance(23 * 3600)
    await queue.stores.maintenance.prune_rest(
        queue.clock.now_us() - 30 * 86_400_000_000, queue.clock.now_us() - 86_400_000_000
    )
    again = await queue.stores.jobs.enqueue(queue.new_job("a", key="k", body="hello"))
    assert isinstance(again, Enqueued)
    assert (again.job_id, again.replayed) == (first, True)
    queue.clock.advance(2 * 3600)
    await queue.stores.maintenance.prune_rest(
        queue.clock.now_us() - 30 * 86_400_000_000, queue.clock.now_us() - 86_400_000_000
    )
    fresh = await queue.stores.jobs.enqueue(queue.new_job("a", key="k", body="bye"))
    assert isinstance(fresh, Enqueued)
    assert not fresh.replayed
