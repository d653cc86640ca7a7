"""Tests of broadcasts: each recipient gets the message exactly once."""

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
from tests.kit.clocks import SECOND_US
from tests.kit.database import Location
from tests.kit.factories import recipients
from tests.kit.phone_queue import FAILED, PhoneQueue, phone_queue

TEXT = Content(Kind.TEXT, "Hello {{name}}")


def new(queue: PhoneQueue, **given: object) -> NewBroadcast:
    base: dict[str, object] = {"delay_s": 0.0}
    return NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, TEXT, **(base | given))  # type: ignore[arg-type]


async def row_of(queue: PhoneQueue, broadcast_no: JobId) -> BroadcastRow:
    row = await queue.stores.broadcasts.broadcast(queue.org_no, broadcast_no)
    assert row is not None
    return row


async def test_every_recipient_gets_its_own_text_once_and_in_order(queue: PhoneQueue) -> None:
    made, replayed = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(950))
    assert not replayed
    await queue.drain()
    assert [job.chat_id for job in queue.started] == [r.chat_id for r in recipients(950)]
    assert [job.content.body for job in queue.started[:2]] == ["Hello N0", "Hello N1"]
    row = await row_of(queue, made)
    assert (row.state, row.total, row.enqueued, row.sent, row.failed, row.pending) == ("completed", 950, 950, 950, 0, 0)


async def test_no_more_than_a_few_hundred_are_jobs_at_a_time(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(2_000))
    for _ in range(8):
        await queue.stores.broadcasts.enqueue_recipients()
        queue.clock.advance(0.2)
    row = await row_of(queue, made)
    assert row.enqueued == MAX_ENQUEUED_AHEAD
    health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
    assert health.waiting == MAX_ENQUEUED_AHEAD


async def test_a_single_message_passes_a_running_broadcast(queue: PhoneQueue) -> None:
    await queue.stores.broadcasts.create_broadcast(new(queue), recipients(500))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(3)
    single = await queue.put_text("911111111111@c.us", "now")
    (job,) = await queue.run(1)
    assert job.job_id == single.job_id


async def test_counts_follow_what_became_of_the_messages(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(5))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(2)
    await queue.run(1, FAILED)
    row = await row_of(queue, made)
    assert (row.sent, row.failed, row.pending) == (2, 1, 2)
    assert shown_state(row, queue.clock.us) == "running"


async def test_a_group_has_the_same_message_id_before_and_after_it_is_enqueued(
    queue: PhoneQueue,
) -> None:
    group = "120363297269676566@g.us"
    made, _ = await queue.stores.broadcasts.create_broadcast(
        new(queue), [*recipients(1), recipient(group, {"name": "all"})]
    )

    async def ids() -> list[str]:
        return [
            serialized_id(job)
            async for chunk in queue.stores.broadcasts.broadcast_jobs(queue.org_no, queue_id(made)) for job in chunk
        ]  # fmt: skip

    person, before = await ids()
    assert person.startswith("true_9") and person.count("_") == 2
    assert before.startswith(f"true_{group}_3EB0") and before.endswith("_919876543210@c.us")
    found = await queue.stores.jobs.job(queue.org_no, before)
    assert found is not None and serialized_id(found) == before
    await queue.drain()
    assert await ids() == [person, before]


async def test_nothing_of_a_paused_broadcast_starts_and_resume_continues_where_it_stopped(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(900))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(10)
    paused = await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "Asha")
    assert isinstance(paused, BroadcastRow) and paused.paused_by == "Asha"
    for _ in range(20):
        await queue.stores.broadcasts.enqueue_recipients()
        assert await queue.run(50) == []
        queue.clock.advance(1)
    single = await queue.put_text("911111111111@c.us")
    assert [job.job_id for job in await queue.run(50)] == [single.job_id]
    assert await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "Asha") == WrongState("paused")
    resumed = await queue.stores.broadcasts.resume_broadcast(queue.org_no, made, "Asha")
    assert isinstance(resumed, BroadcastRow)
    await queue.drain()
    sent = [job.chat_id for job in queue.started if job.broadcast_no == made]
    assert sent == [r.chat_id for r in recipients(900)]
    assert [(act.act, act.actor) for act in await queue.stores.control.audit_log(queue.org_no)] == [
        ("resume", "Asha"), ("pause", "Asha"),
    ]  # fmt: skip


async def test_a_cancelled_broadcast_sends_nothing_more(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(900))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(10)
    row = await queue.stores.broadcasts.cancel_broadcast(queue.org_no, made, "Asha")
    assert isinstance(row, BroadcastRow)
    assert (row.state, row.sent, row.failed, row.cancelled, row.pending) == ("cancelled", 10, 190, 700, 0)
    assert await queue.drain() == []
    health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
    assert (health.waiting, health.active) == (0, 0)
    assert await queue.stores.broadcasts.cancel_broadcast(queue.org_no, made, "Asha") == WrongState("cancelled")
    assert await queue.stores.broadcasts.resume_broadcast(queue.org_no, made, "Asha") == WrongState("cancelled")


async def test_a_paused_broadcast_can_be_cancelled(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(50))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "Asha")
    await queue.run(10)
    row = await queue.stores.broadcasts.cancel_broadcast(queue.org_no, made, "Asha")
    assert isinstance(row, BroadcastRow) and row.failed == 50
    assert await queue.stores.control.holds(queue.org_no, queue.phone_no) == []


async def test_only_the_failed_are_sent_again(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(40))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(30)
    await queue.run(10, FAILED)
    queue.clock.advance(2)
    await queue.stores.broadcasts.enqueue_recipients()
    assert (await row_of(queue, made)).state == "completed"
    queue.started.clear()
    assert await queue.stores.broadcasts.retry_broadcast(queue.org_no, made, "Asha") == 10
    assert (await row_of(queue, made)).state == "running"
    await queue.drain()
    assert [job.chat_id for job in queue.started] == [r.chat_id for r in recipients(10, 30)]
    row = await row_of(queue, made)
    assert (row.state, row.sent, row.failed) == ("completed", 40, 0)
    history = await queue.stores.jobs.history(queue.org_no, queue.started[0].job_id)
    assert [event.kind for event in history] == ["queued", "started", "failed", "moved", "started", "sent"]
    assert [event.n for event in history] == [1, 2, 3, 4, 5, 6]
    assert history[3].actor == "Asha"


async def test_a_scheduled_broadcast_waits_for_its_time(queue: PhoneQueue) -> None:
    at = queue.clock.us + 3_600 * SECOND_US
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue, scheduled_at_us=at), recipients(5))
    assert (await queue.stores.broadcasts.enqueue_recipients())[0] == set()
    assert shown_state(await row_of(queue, made), queue.clock.us) == "scheduled"
    chunks = [chunk async for chunk in queue.stores.broadcasts.broadcast_jobs(queue.org_no, queue_id(made))]
    assert [job.state for job in chunks[0]] == [State.SCHEDULED] * 5
    queue.clock.us = at
    await queue.drain()
    assert len(queue.started) == 5


async def test_the_delay_spaces_messages_also_after_an_idle_time(queue: PhoneQueue) -> None:
    await queue.stores.broadcasts.create_broadcast(new(queue, delay_s=2.0), recipients(10))
    starts = []
    for tick in range(300):
        if tick in range(40, 100):  # the phone is away
            await queue.stores.broadcasts.enqueue_recipients()
        else:
            await queue.stores.broadcasts.enqueue_recipients()
            starts += [queue.clock.us] * len(await queue.run(50))
        queue.clock.advance(0.1)
    assert len(starts) == 10
    assert all(after - before >= 2 * SECOND_US - 1 for before, after in pairwise(starts))


async def test_who_asked_not_to_be_written_to_is_left_out(queue: PhoneQueue) -> None:
    chats = [r.chat_id for r in recipients(6)]
    await queue.stores.control.suppress(queue.org_no, chats[2], "STOP", "them")
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(6))
    await queue.drain()
    assert [job.chat_id for job in queue.started] == [c for c in chats if c != chats[2]]
    row = await row_of(queue, made)
    assert (row.state, row.skipped, row.sent, row.pending) == ("completed", 1, 5, 0)


async def test_the_same_key_is_the_same_broadcast(queue: PhoneQueue) -> None:
    first = new(queue, idempotency=Idempotency("k", b"1" * 32))
    made, _ = await queue.stores.broadcasts.create_broadcast(first, recipients(3))
    again = new(queue, idempotency=Idempotency("k", b"1" * 32))
    assert await queue.stores.broadcasts.create_broadcast(again, recipients(3)) == (made, True)
    with pytest.raises(Invalid):
        await queue.stores.broadcasts.create_broadcast(
            new(queue, idempotency=Idempotency("k", b"2" * 32)), recipients(3)
        )
    await queue.drain()
    assert len(queue.started) == 3


async def test_a_load_that_was_cut_off_is_never_sent_and_swept_away(location: Location) -> None:
    async with phone_queue(location) as queue:
        broken = new(queue, idempotency=Idempotency("k", b"1" * 32))
        from heliograph.store.broadcasts import lifecycle

        await queue.stores.database.write(lifecycle.create, broken, queue.clock.us)
        rows = [(n, r.chat_id, "{}", queue.ids.make()) for n, r in enumerate(recipients(600))]
        await queue.stores.database.write(lifecycle.load_broadcast, queue.org_no, broken.broadcast_no, rows)
        clock = queue.clock
    async with phone_queue(location, clock) as queue:  # a new process
        assert await queue.drain() == []
        assert await queue.stores.broadcasts.broadcast(queue.org_no, broken.broadcast_no) is None
        with pytest.raises(Conflict):
            await queue.stores.broadcasts.create_broadcast(
                new(queue, idempotency=Idempotency("k", b"1" * 32)), recipients(3)
            )
        queue.clock.advance(3_600)
        assert await queue.stores.broadcasts.clean_up_broadcasts(queue.clock.us - 86_400 * SECOND_US) == 1
        assert await queue.stores.broadcasts.clean_up_broadcasts(queue.clock.us - 86_400 * SECOND_US) == 0


async def test_all_messages_are_listed_in_order_enqueued_or_not(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(1_200))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(5)
    jobs = [
        job async for chunk in queue.stores.broadcasts.broadcast_jobs(queue.org_no, queue_id(made)) for job in chunk
    ]
    assert [job.chat_id for job in jobs] == [r.chat_id for r in recipients(1_200)]
    assert [job.state for job in jobs[:5]] == [State.SENT] * 5
    assert {job.state for job in jobs[5:]} == {State.QUEUED}
    assert jobs[900].content.body == "Hello N900"
    assert len({job.job_id for job in jobs}) == 1_200


async def test_a_broadcast_of_a_deleted_phone_ends(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(900))
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "api")
    queue.clock.advance(1)
    await queue.stores.broadcasts.enqueue_recipients()
    row = await row_of(queue, made)
    assert row.state == "cancelled" and row.pending == 0


async def test_other_organisations_never_see_a_broadcast(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(3))
    other = await queue.stores.accounts.create_org("two")
    assert await queue.stores.broadcasts.broadcast(other.org_no, made) is None
    assert await queue.stores.broadcasts.pause_broadcast(other.org_no, made, "x") is None
    assert await queue.stores.broadcasts.cancel_broadcast(other.org_no, made, "x") is None
    assert [c async for c in queue.stores.broadcasts.broadcast_jobs(other.org_no, queue_id(made))] == []


async def test_a_broadcast_may_have_another_priority(queue: PhoneQueue) -> None:
    await queue.stores.broadcasts.create_broadcast(new(queue, priority=Priority.URGENT), recipients(2))
    await queue.put_text("911111111111@c.us")
    await queue.stores.broadcasts.enqueue_recipients()
    assert [job.priority for job in await queue.run(3)] == [Priority.URGENT, Priority.URGENT, Priority.NORMAL]


async def test_a_recipient_is_found_by_its_id_before_it_is_fed(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(900))
    await queue.stores.broadcasts.enqueue_recipients()
    jobs = [
        job async for chunk in queue.stores.broadcasts.broadcast_jobs(queue.org_no, queue_id(made)) for job in chunk
    ]
    for n in (0, 199, 200, 555, 899):
        found = await queue.stores.jobs.job(queue.org_no, queue_id(jobs[n].job_id))
        assert found is not None and found.chat_id == jobs[n].chat_id and found.state is State.QUEUED
    assert await queue.stores.jobs.job(queue.org_no, queue_id(queue.ids.make())) is None
    other = await queue.stores.accounts.create_org("two")
    assert await queue.stores.jobs.job(other.org_no, queue_id(jobs[899].job_id)) is None


async def test_chats_that_wait_for_their_morning_do_not_keep_the_others_from_their_turn(queue: PhoneQueue) -> None:
    asleep = {r.chat_id for r in recipients(MAX_ENQUEUED_AHEAD)}

    def gate(chat_id: str, now_us: int) -> int | None:
        return now_us + 3_600 * SECOND_US if chat_id in asleep else None

    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(MAX_ENQUEUED_AHEAD + 150))
    request = queue.start_request(50, gate=gate)
    sent = []
    for _ in range(40):
        await queue.stores.broadcasts.enqueue_recipients()
        queue.clock.advance(0.2)
        for one in (await queue.stores.sender.settle_and_start([], [request])).started:
            sent.append(one.job.chat_id)
            await queue.settle(one)
    assert sorted(sent) == sorted({r.chat_id for r in recipients(MAX_ENQUEUED_AHEAD + 150)} - asleep)
    queue.clock.advance(3_600)
    await queue.drain()
    assert (await row_of(queue, made)).sent == MAX_ENQUEUED_AHEAD + 150


async def test_a_recipient_explains_its_turn_before_it_is_fed(queue: PhoneQueue) -> None:
    await queue.stores.sender.set_phone_state(
        queue.org_no, queue.phone_no, queue.lease.token, state="connected", detail=""
    )
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue, delay_s=3.0), recipients(100))
    await queue.stores.broadcasts.enqueue_recipients()
    jobs = [
        job async for chunk in queue.stores.broadcasts.broadcast_jobs(queue.org_no, queue_id(made)) for job in chunk
    ]
    found = await queue.stores.jobs.explain(jobs[61])
    assert "Waits behind 61 others." in [blocker.text for blocker in found.blockers]
    assert found.eta_us is not None and found.eta_us - queue.clock.us == 60 * 3 * SECOND_US
