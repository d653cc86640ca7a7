"""Tests of accepting a message (TX1): its place, event and counters are stored together or not at all."""

import asyncio
from typing import Any

import msgspec
import pytest

from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.job import Enqueued, PhoneDeleted
from heliograph.domain.jobs.states import Priority, State
from tests.kit.phone_queue import SENT, PhoneQueue, retry


async def test_an_accepted_message_waits_with_its_first_event(queue: PhoneQueue) -> None:
    job_id = await queue.put("a", body="hello")
    job = await queue.get(job_id)
    assert (job.state, job.attempts, job.content.body, job.events) == (State.QUEUED, 0, "hello", 1)
    (event,) = await queue.history(job_id)
    assert (event.n, event.kind, event.before, event.after, event.actor) == (1, "queued", None, "queued", "api")


async def test_a_message_to_a_group_keeps_the_number_that_its_phone_had(queue: PhoneQueue) -> None:
    other = await queue.add_phone("447700900001")
    group = "120363297269676566@g.us"
    jobs = [
        other.new_job("a"),
        other.new_job(chat_id=group),
        queue.new_job(),
        queue.new_job(chat_id=group, expires_at_us=2**60),
    ]
    await asyncio.gather(*(queue.stores.jobs.enqueue(job) for job in jobs))
    await queue.execute("UPDATE phones SET number = number || '0'")
    authors = [(await queue.get(job.job_id)).author for job in jobs]
    assert authors == [None, "447700900001@c.us", None, "919876543210@c.us"]


async def test_chats_keep_their_order_while_many_are_written_to_at_once(queue: PhoneQueue) -> None:
    accepted: dict[tuple[str, int], list[int]] = {}

    async def write(chat: str, lane: Priority) -> None:
        for _ in range(8):
            accepted.setdefault((f"{chat}@c.us", int(lane)), []).append(await queue.put(chat, priority=lane))

    await asyncio.gather(*(write(f"chat{n}", lane) for n in range(9) for lane in Priority))
    stored: dict[tuple[str, int], list[int]] = {}
    for row in await queue.rows("SELECT chat_id, priority, job_id FROM jobs ORDER BY priority, seq"):
        stored.setdefault((row["chat_id"], row["priority"]), []).append(row["job_id"])
    assert stored == accepted


async def test_concurrent_positions_are_all_different(queue: PhoneQueue) -> None:
    made = await asyncio.gather(*(queue.stores.jobs.enqueue(queue.new_job(f"chat{n % 7}")) for n in range(300)))
    assert sorted(one.position for one in made if isinstance(one, Enqueued)) == list(range(300))


async def test_enqueues_of_two_processes_never_share_a_place(queue: PhoneQueue) -> None:
    if queue.is_sqlite:
        pytest.skip("one process owns a SQLite file")
    from heliograph.store.stores import Stores
    from tests.kit.database import make_database

    database = make_database(queue.location, queue.clock)
    await database.open()
    try:
        other = Stores(database, queue.clock, queue.ids)
        jobs = [queue.new_job(f"chat{n % 5}") for n in range(200)]
        await asyncio.gather(*((queue.stores, other)[n % 2].jobs.enqueue(job) for n, job in enumerate(jobs)))
    finally:
        await database.close()
    seqs = [row["seq"] for row in await queue.rows("SELECT seq FROM jobs ORDER BY seq")]
    assert seqs == list(range(200))


async def test_the_position_is_what_was_accepted_before_and_is_not_settled(queue: PhoneQueue) -> None:
    positions = []
    for chat in "abca":
        made = await queue.stores.jobs.enqueue(queue.new_job(chat))
        assert isinstance(made, Enqueued)
        positions.append(made.position)
    assert positions == [0, 1, 2, 3]
    await queue.send_next()  # settled: counts no more
    (trying,) = await queue.start()  # on its way: still counts
    made = await queue.stores.jobs.enqueue(queue.new_job("d"))
    assert isinstance(made, Enqueued)
    assert made.position == 3
    await queue.settle(trying, retry())  # waits for its retry: still counts
    made = await queue.stores.jobs.enqueue(queue.new_job("d"))
    assert isinstance(made, Enqueued)
    assert made.position == 4


async def test_each_lane_and_phone_counts_its_own_positions(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    await queue.put("a")
    urgent = await queue.stores.jobs.enqueue(queue.new_job("a", priority=Priority.URGENT))
    elsewhere = await other.stores.jobs.enqueue(other.new_job("a"))
    assert isinstance(urgent, Enqueued)
    assert isinstance(elsewhere, Enqueued)
    assert (urgent.position, elsewhere.position) == (0, 0)


async def test_nothing_is_queued_for_a_deleted_phone_and_others_in_the_batch_are(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    await queue.stores.phones.delete_phone(other.org_no, other.phone_no, "api")
    gone, kept = await asyncio.gather(
        queue.stores.jobs.enqueue(other.new_job("a", key="k")), queue.stores.jobs.enqueue(queue.new_job("a"))
    )
    assert isinstance(gone, PhoneDeleted)
    assert isinstance(kept, Enqueued)
    assert len(await queue.rows("SELECT 1 FROM jobs")) == 1
    assert await queue.rows("SELECT 1 FROM idempotency") == []


async def test_a_message_that_fails_alone_fails_alone(queue: PhoneQueue) -> None:
    good = [queue.new_job(f"chat{n}") for n in range(5)]
    bad = msgspec.structs.replace(queue.new_job("bad"), performed_by=None)  # refused by the schema
    jobs = [*good[:3], bad, *good[3:]]
    results = await asyncio.gather(*(queue.stores.jobs.enqueue(job) for job in jobs), return_exceptions=True)
    assert isinstance(results[3], Exception)
    assert all(isinstance(one, Enqueued) for n, one in enumerate(results) if n != 3)
    assert len(await queue.rows("SELECT 1 FROM jobs")) == 5


async def test_a_key_that_another_process_made_too_is_replaced(queue: PhoneQueue) -> None:
    first = queue.new_job("a")
    await queue.stores.jobs.enqueue(first)
    second = await queue.stores.jobs.enqueue(msgspec.structs.replace(queue.new_job("b"), job_id=first.job_id))
    assert isinstance(second, Enqueued)
    assert second.job_id != first.job_id
    assert (await queue.get(second.job_id)).chat_id == "b@c.us"


async def test_a_chat_that_was_written_to_is_no_new_chat(queue: PhoneQueue) -> None:
    await queue.put("a")
    (first,) = await queue.start()
    assert first.new_chat
    await queue.settle(first, SENT)
    await queue.put("a")
    (second,) = await queue.start()
    assert not second.new_chat


async def test_words_of_all_scripts_come_back_as_they_were(queue: PhoneQueue) -> None:
    body = "«ü» 🚚 𝒳 \u0000 \u202e — ' \" \\ % :name $1 /*lock*/"
    job_id = await queue.put("a", body=body)
    assert (await queue.get(job_id)).content.body == body


async def test_callers_that_no_transaction_has_taken_yet_are_counted(queue: PhoneQueue) -> None:
    assert not queue.stores.jobs.has_backpressure()
    calls = [asyncio.ensure_future(queue.stores.jobs.enqueue(queue.new_job(f"chat{n}"))) for n in range(500)]
    await asyncio.sleep(0)
    assert queue.stores.jobs.has_backpressure()
    await asyncio.gather(*calls)
    assert not queue.stores.jobs.has_backpressure()


async def test_requests_before_the_commit_begins_share_its_transaction(queue: PhoneQueue) -> None:
    made: list[int] = []
    write_within = queue.stores.database.write_within

    async def counted(*args: Any) -> Any:
        results = await write_within(*args)
        made.append(len(results))
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue.stores.database, "write_within", counted)
        first = [queue.stores.jobs.enqueue(queue.new_job(str(n))) for n in range(50)]
        await asyncio.sleep(0)
        second = [queue.stores.jobs.enqueue(queue.new_job(str(n))) for n in range(50, 500)]
        results = await asyncio.gather(*first, *second)
    assert sorted(result.position for result in results if isinstance(result, Enqueued)) == list(range(500))
    assert sum(made) == 500
    assert len(made) <= 6
    assert max(made) == 200


async def test_callers_that_wait_for_a_closed_store_get_an_error(queue: PhoneQueue) -> None:
    waiting = [asyncio.ensure_future(queue.stores.jobs.enqueue(queue.new_job(str(n)))) for n in range(300)]
    await queue.stores.database.close()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    assert all(isinstance(result, Enqueued | Unavailable) for result in results)
    late = queue.stores.jobs.enqueue(queue.new_job("late"))
    with pytest.raises(Unavailable):
        await asyncio.wait_for(late, 5)
