"""Broadcasts: every recipient exactly once, whatever happens on the way."""

from itertools import pairwise

import pytest

from heliograph.domain.broadcasts.broadcast import (
    MAX_ENQUEUED_AHEAD,
    BroadcastRow,
    NewBroadcast,
    WrongState,
    shown_state,
)
from heliograph.domain.broadcasts.csv_recipients import recipient
from heliograph.domain.contract.jobs import serialized_id
from heliograph.domain.errors import Conflict, Invalid
from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.sender_store import StartRequest
from tests.store.control_setup import FAILED, S, World, open_world, recipients

TEXT = Content(Kind.TEXT, "Hello {{name}}")


def new(world: World, **given: object) -> NewBroadcast:
    base: dict[str, object] = {"delay_s": 0.0}
    return NewBroadcast(world.ids.make(), world.org_no, world.phone_no, TEXT, **(base | given))  # type: ignore[arg-type]


async def row_of(world: World, broadcast_no: JobId) -> BroadcastRow:
    row = await world.steering.broadcast_row(world.org_no, broadcast_no)
    assert row is not None
    return row


async def test_every_recipient_gets_its_own_words_once_and_in_order(world: World) -> None:
    made, replayed = await world.steering.broadcast(new(world), recipients(950))
    assert not replayed
    await world.drain()
    assert [job.chat_id for job in world.log] == [r.chat_id for r in recipients(950)]
    assert [job.content.body for job in world.log[:2]] == ["Hello N0", "Hello N1"]
    row = await row_of(world, made)
    assert (row.state, row.total, row.enqueued, row.sent, row.failed, row.pending) == ("completed", 950, 950, 950, 0, 0)


async def test_no_more_than_a_few_hundred_are_jobs_at_a_time(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(2_000))
    for _ in range(8):
        await world.steering.feed()
        world.clock.advance(0.2)
    row = await row_of(world, made)
    assert row.enqueued == MAX_ENQUEUED_AHEAD
    health = await world.store.health(world.org_no, world.phone_no)
    assert health.waiting == MAX_ENQUEUED_AHEAD


async def test_a_single_message_passes_a_running_broadcast(world: World) -> None:
    await world.steering.broadcast(new(world), recipients(500))
    await world.steering.feed()
    await world.step(3)
    single = await world.send("911111111111@c.us", "now")
    (job,) = await world.step(1)
    assert job.job_id == single.job_id


async def test_counts_follow_what_became_of_the_messages(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(5))
    await world.steering.feed()
    await world.step(2)
    await world.step(1, FAILED)
    row = await row_of(world, made)
    assert (row.sent, row.failed, row.pending) == (2, 1, 2)
    assert shown_state(row, world.clock.us) == "running"


async def test_a_recipient_that_is_a_group_has_the_same_message_id_before_and_after_it_is_fed(world: World) -> None:
    group = "120363297269676566@g.us"
    made, _ = await world.steering.broadcast(new(world), [*recipients(1), recipient(group, {"name": "all"})])

    async def ids() -> list[str]:
        return [
            serialized_id(job)
            async for chunk in world.steering.broadcast_jobs(world.org_no, queue_id(made)) for job in chunk
        ]  # fmt: skip

    person, before = await ids()
    assert person.startswith("true_9") and person.count("_") == 2
    assert before.startswith(f"true_{group}_3EB0") and before.endswith("_919876543210@c.us")
    found = await world.store.job(world.org_no, before)
    assert found is not None and serialized_id(found) == before
    await world.drain()
    assert await ids() == [person, before]


async def test_nothing_of_a_paused_broadcast_starts_and_resume_goes_on_where_it_stood(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(900))
    await world.steering.feed()
    await world.step(10)
    paused = await world.steering.pause_broadcast(world.org_no, made, "Asha")
    assert isinstance(paused, BroadcastRow) and paused.paused_by == "Asha"
    for _ in range(20):
        await world.steering.feed()
        assert await world.step(50) == []
        world.clock.advance(1)
    single = await world.send("911111111111@c.us")
    assert [job.job_id for job in await world.step(50)] == [single.job_id]
    assert await world.steering.pause_broadcast(world.org_no, made, "Asha") == WrongState("paused")
    resumed = await world.steering.resume_broadcast(world.org_no, made, "Asha")
    assert isinstance(resumed, BroadcastRow)
    await world.drain()
    sent = [job.chat_id for job in world.log if job.broadcast_no == made]
    assert sent == [r.chat_id for r in recipients(900)]
    assert [(act.act, act.actor) for act in await world.steering.audit_log(world.org_no)] == [
        ("resume", "Asha"), ("pause", "Asha"),
    ]  # fmt: skip


async def test_a_cancelled_broadcast_sends_nothing_more(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(900))
    await world.steering.feed()
    await world.step(10)
    row = await world.steering.cancel_broadcast(world.org_no, made, "Asha")
    assert isinstance(row, BroadcastRow)
    assert (row.state, row.sent, row.failed, row.cancelled, row.pending) == ("cancelled", 10, 190, 700, 0)
    assert await world.drain() == []
    health = await world.store.health(world.org_no, world.phone_no)
    assert (health.waiting, health.active) == (0, 0)
    assert await world.steering.cancel_broadcast(world.org_no, made, "Asha") == WrongState("cancelled")
    assert await world.steering.resume_broadcast(world.org_no, made, "Asha") == WrongState("cancelled")


async def test_a_paused_broadcast_can_be_cancelled(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(50))
    await world.steering.feed()
    await world.steering.pause_broadcast(world.org_no, made, "Asha")
    await world.step(10)
    row = await world.steering.cancel_broadcast(world.org_no, made, "Asha")
    assert isinstance(row, BroadcastRow) and row.failed == 50
    assert await world.steering.holds(world.org_no, world.phone_no) == []


async def test_only_the_failed_are_sent_again(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(40))
    await world.steering.feed()
    await world.step(30)
    await world.step(10, FAILED)
    world.clock.advance(2)
    await world.steering.feed()
    assert (await row_of(world, made)).state == "completed"
    world.log.clear()
    assert await world.steering.retry_broadcast(world.org_no, made, "Asha") == 10
    assert (await row_of(world, made)).state == "running"
    await world.drain()
    assert [job.chat_id for job in world.log] == [r.chat_id for r in recipients(10, 30)]
    row = await row_of(world, made)
    assert (row.state, row.sent, row.failed) == ("completed", 40, 0)
    history = await world.store.history(world.org_no, world.log[0].job_id)
    assert [event.kind for event in history] == ["queued", "started", "failed", "moved", "started", "sent"]
    assert [event.n for event in history] == [1, 2, 3, 4, 5, 6]
    assert history[3].actor == "Asha"


async def test_a_scheduled_broadcast_waits_for_its_time(world: World) -> None:
    at = world.clock.us + 3_600 * S
    made, _ = await world.steering.broadcast(new(world, scheduled_at_us=at), recipients(5))
    assert (await world.steering.feed())[0] == set()
    assert shown_state(await row_of(world, made), world.clock.us) == "scheduled"
    chunks = [chunk async for chunk in world.steering.broadcast_jobs(world.org_no, queue_id(made))]
    assert [job.state for job in chunks[0]] == [State.SCHEDULED] * 5
    world.clock.us = at
    await world.drain()
    assert len(world.log) == 5


async def test_the_delay_spaces_messages_also_after_the_phone_stood_still(world: World) -> None:
    await world.steering.broadcast(new(world, delay_s=2.0), recipients(10))
    starts = []
    for tick in range(300):
        if tick in range(40, 100):  # the phone is away
            await world.steering.feed()
        else:
            await world.steering.feed()
            starts += [world.clock.us] * len(await world.step(50))
        world.clock.advance(0.1)
    assert len(starts) == 10
    assert all(after - before >= 2 * S - 1 for before, after in pairwise(starts))


async def test_who_asked_not_to_be_written_to_is_left_out(world: World) -> None:
    chats = [r.chat_id for r in recipients(6)]
    await world.steering.suppress(world.org_no, chats[2], "STOP", "them")
    made, _ = await world.steering.broadcast(new(world), recipients(6))
    await world.drain()
    assert [job.chat_id for job in world.log] == [c for c in chats if c != chats[2]]
    row = await row_of(world, made)
    assert (row.state, row.skipped, row.sent, row.pending) == ("completed", 1, 5, 0)


async def test_the_same_key_is_the_same_broadcast(world: World) -> None:
    first = new(world, idempotency=Idempotency("k", b"1" * 32))
    made, _ = await world.steering.broadcast(first, recipients(3))
    again = new(world, idempotency=Idempotency("k", b"1" * 32))
    assert await world.steering.broadcast(again, recipients(3)) == (made, True)
    with pytest.raises(Invalid):
        await world.steering.broadcast(new(world, idempotency=Idempotency("k", b"2" * 32)), recipients(3))
    await world.drain()
    assert len(world.log) == 3


async def test_a_load_that_was_cut_off_is_never_sent_and_swept_away(database: str) -> None:
    async with open_world(database) as world:
        broken = new(world, idempotency=Idempotency("k", b"1" * 32))
        from heliograph.store.broadcasts import lifecycle

        await world.shell.write(lambda: lifecycle.create(broken, world.clock.us))
        rows = [(n, r.chat_id, "{}", world.ids.make()) for n, r in enumerate(recipients(600))]
        await world.shell.write(lambda: lifecycle.load_broadcast(world.org_no, broken.broadcast_no, rows))
        clock = world.clock
    async with open_world(database, clock) as world:  # a new process
        assert await world.drain() == []
        assert await world.steering.broadcast_row(world.org_no, broken.broadcast_no) is None
        with pytest.raises(Conflict):
            await world.steering.broadcast(new(world, idempotency=Idempotency("k", b"1" * 32)), recipients(3))
        world.clock.advance(3_600)
        assert await world.steering.sweep_broadcasts(world.clock.us - 86_400 * S) == 1
        assert await world.steering.sweep_broadcasts(world.clock.us - 86_400 * S) == 0


async def test_all_messages_are_listed_in_order_fed_or_not(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(1_200))
    await world.steering.feed()
    await world.step(5)
    jobs = [job async for chunk in world.steering.broadcast_jobs(world.org_no, queue_id(made)) for job in chunk]
    assert [job.chat_id for job in jobs] == [r.chat_id for r in recipients(1_200)]
    assert [job.state for job in jobs[:5]] == [State.SENT] * 5
    assert {job.state for job in jobs[5:]} == {State.QUEUED}
    assert jobs[900].content.body == "Hello N900"
    assert len({job.job_id for job in jobs}) == 1_200


async def test_a_broadcast_of_a_deleted_phone_ends(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(900))
    await world.steering.feed()
    await world.store.delete_phone(world.org_no, world.phone_no, "api")
    world.clock.advance(1)
    await world.steering.feed()
    row = await row_of(world, made)
    assert row.state == "cancelled" and row.pending == 0


async def test_other_organisations_never_see_a_broadcast(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(3))
    other = await world.store.create_org("two")
    assert await world.steering.broadcast_row(other.org_no, made) is None
    assert await world.steering.pause_broadcast(other.org_no, made, "x") is None
    assert await world.steering.cancel_broadcast(other.org_no, made, "x") is None
    assert [c async for c in world.steering.broadcast_jobs(other.org_no, queue_id(made))] == []


async def test_a_broadcast_may_go_out_in_another_lane(world: World) -> None:
    await world.steering.broadcast(new(world, priority=Priority.URGENT), recipients(2))
    await world.send("911111111111@c.us")
    await world.steering.feed()
    assert [job.priority for job in await world.step(3)] == [Priority.URGENT, Priority.URGENT, Priority.NORMAL]


async def test_a_recipient_is_found_by_its_id_before_it_is_fed(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(900))
    await world.steering.feed()
    jobs = [job async for chunk in world.steering.broadcast_jobs(world.org_no, queue_id(made)) for job in chunk]
    for n in (0, 199, 200, 555, 899):
        found = await world.store.job(world.org_no, queue_id(jobs[n].job_id))
        assert found is not None and found.chat_id == jobs[n].chat_id and found.state is State.QUEUED
    assert await world.store.job(world.org_no, queue_id(world.ids.make())) is None
    other = await world.store.create_org("two")
    assert await world.store.job(other.org_no, queue_id(jobs[899].job_id)) is None


async def test_chats_that_wait_for_their_morning_do_not_keep_the_others_from_their_turn(world: World) -> None:
    asleep = {r.chat_id for r in recipients(MAX_ENQUEUED_AHEAD)}

    def gate(chat_id: str, now_us: int) -> int | None:
        return now_us + 3_600 * S if chat_id in asleep else None

    made, _ = await world.steering.broadcast(new(world), recipients(MAX_ENQUEUED_AHEAD + 150))
    wish = StartRequest(world.phone_no, world.org_no, world.lease.token, limit=50, gate=gate)
    sent = []
    for _ in range(40):
        await world.steering.feed()
        world.clock.advance(0.2)
        for one in (await world.store.settle_and_start([], [wish])).started:
            sent.append(one.job.chat_id)
            await world.settle(one)
    assert sorted(sent) == sorted({r.chat_id for r in recipients(MAX_ENQUEUED_AHEAD + 150)} - asleep)
    world.clock.advance(3_600)
    await world.drain()
    assert (await row_of(world, made)).sent == MAX_ENQUEUED_AHEAD + 150


async def test_a_recipient_explains_its_turn_before_it_is_fed(world: World) -> None:
    await world.store.phone_state(world.org_no, world.phone_no, world.lease.token, state="connected", detail="")
    made, _ = await world.steering.broadcast(new(world, delay_s=3.0), recipients(100))
    await world.steering.feed()
    jobs = [job async for chunk in world.steering.broadcast_jobs(world.org_no, queue_id(made)) for job in chunk]
    found = await world.steering.explain(jobs[61])
    assert "Waits behind 61 others." in [blocker.text for blocker in found.blockers]
    assert found.eta_us is not None and found.eta_us - world.clock.us == 60 * 3 * S
