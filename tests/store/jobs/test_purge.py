"""What has not started can be cancelled; what may have been sent stays; a deleted phone leaves nothing waiting."""

import asyncio

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import Priority, State
from heliograph.store.accounts import phones
from heliograph.store.control_store import ControlStoreUnits
from heliograph.store.database.unit import Unit
from heliograph.store.jobs import cancel
from tests.kit.store import SENT, Desk, another_phone, retry, uncertain


async def test_a_purge_cancels_what_waits_and_leaves_what_started(desk: Desk) -> None:
    on_its_way = await desk.put("a")
    lost = await desk.put("b")
    (one, two) = await desk.start(2)
    await desk.settle(two, retry(2.0, maybe_sent=True))
    plain = await desk.put("c")
    await desk.send(retry(60.0))
    waiting = [await desk.put(chat) for chat in "abcd"]
    ended = await desk.store.purge(desk.org_no, desk.phone_no, actor="ada")
    assert sorted(ended) == sorted([plain, *waiting])
    for job_id in ended:
        job = await desk.get(job_id)
        assert (job.state, job.reason, job.detail) == (State.CANCELLED, "purged", "Purged before it was sent.")
        event = (await desk.history(job_id))[-1]
        assert (event.kind, event.actor, event.after) == ("cancelled", "ada", "cancelled")
    assert (await desk.get(on_its_way)).state is State.SENDING
    assert (await desk.get(lost)).state is State.QUEUED
    await desk.settle(one, SENT)
    desk.clock.turn(3)
    assert [started.job.job_id for started in await desk.start(10)] == [lost]


async def test_a_purge_of_named_messages_takes_only_those_that_wait(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    sent = await desk.put("a")
    await desk.send()
    first, second, third = [await desk.put("a") for _ in range(3)]
    theirs = await other.put("a")
    ended = await desk.store.purge(desk.org_no, desk.phone_no, job_ids=[sent, third, first, theirs])
    assert sorted(ended) == sorted([first, third])
    assert [one.job.job_id for one in await desk.start(10)] == [second]
    assert (await other.get(theirs)).state is State.QUEUED


async def test_another_organisations_messages_are_not_purged(desk: Desk) -> None:
    org = await desk.store.create_org("another")
    other = await another_phone(desk, "918888888888", org_no=org.org_no)
    theirs = await other.put("a")
    await desk.put("a")
    assert await desk.store.purge(desk.org_no, None, job_ids=[theirs]) == []
    assert len(await desk.store.purge(desk.org_no, None)) == 1
    assert (await other.get(theirs)).state is State.QUEUED


async def test_a_purge_of_an_organisation_covers_its_phones(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    jobs = [await desk.put("a"), await other.put("a"), await other.put("b", lane=Priority.BULK)]
    assert sorted(await desk.store.purge(desk.org_no, None)) == jobs
    assert await desk.look("SELECT 1 FROM lanes") == []


async def test_a_chat_that_waits_for_an_uncertain_message_goes_on_waiting_after_a_purge(desk: Desk) -> None:
    await desk.put("a")
    await desk.send(uncertain(20.0))
    await desk.put("a")
    await desk.store.purge(desk.org_no, None)
    later = await desk.put("a")
    assert await desk.start(10) == []
    desk.clock.turn(20)
    assert [one.job.job_id for one in await desk.start(10)] == [later]


async def test_a_long_queue_is_purged_in_steps(desk: Desk) -> None:
    jobs = await asyncio.gather(*(desk.store.enqueue(desk.job(f"chat{n % 40}")) for n in range(1200)))
    ended = await desk.store.purge(desk.org_no, None)
    assert sorted(ended) == sorted(one.job_id for one in jobs if isinstance(one, Enqueued))
    assert (await desk.store.health(desk.org_no, None)).failed == 1200


async def test_purges_and_starts_at_once_share_out_the_messages(desk: Desk) -> None:
    for n in range(60):
        await desk.put(f"chat{n % 20}")
    started: list[JobId] = []
    ended: list[JobId] = []

    async def start() -> None:
        started.extend([one.job.job_id for one in await desk.start(5)])

    async def purge() -> None:
        ended.extend(await desk.store.purge(desk.org_no, None))

    await asyncio.gather(*(start() for _ in range(6)), *(purge() for _ in range(3)))
    assert len(started) + len(ended) == len({*started, *ended}) == 60


async def test_deleting_a_phone_ends_what_waits_and_leaves_the_rest_uncertain_with_its_history(desk: Desk) -> None:
    on_its_way = await desk.put("a")
    maybe = await desk.put("b")
    waiting = [await desk.put("a"), await desk.put("b"), await desk.put("c")]
    started = await desk.start(2)
    await desk.settle(started[1], retry(2.0, maybe_sent=True))
    assert await desk.store.delete_phone(desk.org_no, desk.phone_no, "ada")
    for job_id in waiting:
        assert ((await desk.get(job_id)).state, (await desk.get(job_id)).reason) == (State.CANCELLED, "phone_deleted")
    for job_id in (on_its_way, maybe):
        job = await desk.get(job_id)
        assert (job.state, job.reason, job.maybe_sent) == (State.UNCERTAIN, "phone_deleted", True)
        event = (await desk.history(job_id))[-1]
        assert (event.kind, event.after, event.actor) == ("uncertain", "uncertain", "ada")
    assert await desk.look("SELECT 1 FROM lanes") == []
    done = await desk.settle(started[0], SENT)  # its owner comes too late
    assert done.lost == frozenset({(desk.phone_no, desk.token)})
    assert not await desk.store.delete_phone(desk.org_no, desk.phone_no, "ada")


async def test_what_a_crash_left_of_a_deleted_phone_is_cleared_away(desk: Desk) -> None:
    await desk.put("a")
    await desk.send(retry(2.0, maybe_sent=True))
    await desk.put("a")

    def cut_off() -> Unit[None]:
        yield from phones.delete_phone(desk.org_no, desk.phone_no, desk.clock.now_us())
        yield from cancel.orphan_attempts(desk.org_no, desk.phone_no, "ada", desk.clock.now_us())

    await desk.store.shell.write(cut_off)
    await desk.store.prune_rest(0, 0)
    states = await desk.look("SELECT state FROM jobs ORDER BY job_id")
    assert [row["state"] for row in states] == ["uncertain", "cancelled"]
    assert await desk.look("SELECT 1 FROM lanes") == []


async def test_a_purge_in_many_steps_ends_all_that_waits_behind_a_message_on_its_way(desk: Desk) -> None:
    await desk.put("a")
    (on_its_way,) = await desk.start(1)
    waiting = [await desk.put(chat) for _ in range(cancel.STEP) for chat in "ab"]
    assert sorted(await desk.store.purge(desk.org_no, desk.phone_no)) == sorted(waiting)
    await desk.settle(on_its_way, SENT)
    later = await desk.put("a")
    assert [started.job.job_id for started in await desk.start(10)] == [later]


async def test_a_deleted_phone_leaves_no_lane_no_hold_and_no_pace(desk: Desk) -> None:
    await desk.put("a")
    await desk.send(uncertain(20.0))
    steering = ControlStoreUnits(desk.store.shell, desk.clock, desk.ids)
    await steering.pause_chat(desk.org_no, desk.phone_no, "b@c.us", "ada")
    await desk.change(f"INSERT INTO pace_log VALUES ({desk.org_no}, {desk.phone_no}, 1, 'a', 1)")
    left = "SELECT 1 FROM lanes UNION ALL SELECT 2 FROM holds UNION ALL SELECT 3 FROM pace_log"
    assert len(await desk.look(left)) == 3
    await desk.store.delete_phone(desk.org_no, desk.phone_no, "ada")
    assert await desk.look(left) == []


async def test_what_a_crash_left_of_a_deleted_phone_is_forgotten_later(desk: Desk) -> None:
    await desk.change(f"INSERT INTO pace_log VALUES ({desk.org_no}, {desk.phone_no}, 1, 'a', 1)")
    now_us = desk.clock.now_us()
    await desk.store.shell.write(lambda: phones.delete_phone(desk.org_no, desk.phone_no, now_us))
    await desk.store.prune_rest(0, 0)
    assert await desk.look("SELECT 1 FROM pace_log") == []
