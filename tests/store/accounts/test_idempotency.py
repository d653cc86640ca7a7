"""The same key is the same message; another body is refused."""

import asyncio

from heliograph.domain.jobs.ids import new_phone_id
from heliograph.domain.jobs.job import Enqueued, KeyReused, NewPhone
from tests.kit.store import Desk


async def test_a_repeat_is_the_same_message_at_the_same_place(desk: Desk) -> None:
    await desk.put("a")
    first = await desk.put_job(desk.job("a", key="k", body="hello"))
    await desk.send()
    again = await desk.put_job(desk.job("a", key="k", body="hello"))
    assert isinstance(first, Enqueued)
    assert again == Enqueued(first.job_id, first.position, replayed=True)
    assert len(await desk.look("SELECT 1 FROM jobs")) == 2


async def test_a_key_with_another_body_is_refused(desk: Desk) -> None:
    await desk.put("a", key="k", body="hello")
    assert isinstance(await desk.put_job(desk.job("a", key="k", body="bye")), KeyReused)
    assert len(await desk.look("SELECT 1 FROM jobs")) == 1


async def test_repeats_that_arrive_together_are_one_message(desk: Desk) -> None:
    jobs = [desk.job("a", key="k", body="hello") for _ in range(8)]
    others = [desk.job("b") for _ in range(4)]
    made = await asyncio.gather(*(desk.store.enqueue(job) for job in [*jobs, *others]))
    same = made[:8]
    assert all(isinstance(one, Enqueued) for one in made)
    assert len({one.job_id for one in same if isinstance(one, Enqueued)}) == 1
    assert sorted(one.replayed for one in same if isinstance(one, Enqueued)) == [False] + [True] * 7
    assert len(await desk.look("SELECT 1 FROM jobs")) == 5


async def test_two_bodies_under_one_key_that_arrive_together_are_one_message(desk: Desk) -> None:
    made = await asyncio.gather(
        *(desk.store.enqueue(desk.job("a", key="k", body=body)) for body in ("hello", "bye", "hello"))
    )
    assert sorted(type(one).__name__ for one in made) == ["Enqueued", "Enqueued", "KeyReused"]
    assert len(await desk.look("SELECT 1 FROM jobs")) == 1


async def test_a_key_is_its_organisations_own(desk: Desk) -> None:
    org = await desk.store.create_org("another")
    phone, _ = await desk.store.create_phone(NewPhone(org.org_no, new_phone_id(), "918888888888", "simulator"))
    await desk.put("a", key="k", body="hello")
    made = await desk.put_job(desk.job("a", key="k", body="bye", org_no=org.org_no, phone_no=phone.phone_no))
    assert isinstance(made, Enqueued)
    assert not made.replayed


async def test_a_key_lives_for_a_day(desk: Desk) -> None:
    first = await desk.put("a", key="k", body="hello")
    desk.clock.turn(23 * 3600)
    await desk.store.prune_rest(desk.clock.now_us() - 30 * 86_400_000_000, desk.clock.now_us() - 86_400_000_000)
    again = await desk.put_job(desk.job("a", key="k", body="hello"))
    assert isinstance(again, Enqueued)
    assert (again.job_id, again.replayed) == (first, True)
    desk.clock.turn(2 * 3600)
    await desk.store.prune_rest(desk.clock.now_us() - 30 * 86_400_000_000, desk.clock.now_us() - 86_400_000_000)
    fresh = await desk.put_job(desk.job("a", key="k", body="bye"))
    assert isinstance(fresh, Enqueued)
    assert not fresh.replayed
