"""TX1: what is accepted has its place, its event and its counters, together or not at all."""

import asyncio
from typing import Any

import msgspec
import pytest

from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.job import Enqueued, PhoneDeleted
from heliograph.domain.jobs.states import Priority, State
from tests.kit.store import SENT, Desk, another_phone, retry


async def test_an_accepted_message_waits_with_its_first_event(desk: Desk) -> None:
    job_id = await desk.put("a", body="hello")
    job = await desk.get(job_id)
    assert (job.state, job.attempts, job.content.body, job.events) == (State.QUEUED, 0, "hello", 1)
    (event,) = await desk.history(job_id)
    assert (event.n, event.kind, event.before, event.after, event.actor) == (1, "queued", None, "queued", "api")


async def test_a_message_to_a_group_keeps_the_number_that_its_phone_had(desk: Desk) -> None:
    other = await another_phone(desk, "447700900001")
    group = "120363297269676566@g.us"
    jobs = [other.job("a"), other.job(chat_id=group), desk.job(), desk.job(chat_id=group, expires_at_us=2**60)]
    await asyncio.gather(*(desk.store.enqueue(job) for job in jobs))
    await desk.change("UPDATE phones SET number = number || '0'")
    authors = [(await desk.get(job.job_id)).author for job in jobs]
    assert authors == [None, "447700900001@c.us", None, "919876543210@c.us"]


async def test_chats_keep_their_order_while_many_are_written_to_at_once(desk: Desk) -> None:
    accepted: dict[tuple[str, int], list[int]] = {}

    async def write(chat: str, lane: Priority) -> None:
        for _ in range(8):
            accepted.setdefault((f"{chat}@c.us", int(lane)), []).append(await desk.put(chat, lane=lane))

    await asyncio.gather(*(write(f"chat{n}", lane) for n in range(9) for lane in Priority))
    stored: dict[tuple[str, int], list[int]] = {}
    for row in await desk.look("SELECT chat_id, priority, job_id FROM jobs ORDER BY priority, seq"):
        stored.setdefault((row["chat_id"], row["priority"]), []).append(row["job_id"])
    assert stored == accepted


async def test_positions_given_out_at_once_are_all_different(desk: Desk) -> None:
    made = await asyncio.gather(*(desk.store.enqueue(desk.job(f"chat{n % 7}")) for n in range(300)))
    assert sorted(one.position for one in made if isinstance(one, Enqueued)) == list(range(300))


async def test_enqueues_of_two_processes_never_share_a_place(desk: Desk) -> None:
    if desk.sqlite:
        pytest.skip("one process owns a SQLite file")
    from heliograph.store.job_store import Store
    from tests.kit.store import make_shell

    shell = make_shell(desk.where, desk.clock)
    await shell.open()
    try:
        other = Store(shell, desk.clock, desk.ids)
        jobs = [desk.job(f"chat{n % 5}") for n in range(200)]
        await asyncio.gather(*((desk.store, other)[n % 2].enqueue(job) for n, job in enumerate(jobs)))
    finally:
        await shell.close()
    seqs = [row["seq"] for row in await desk.look("SELECT seq FROM jobs ORDER BY seq")]
    assert seqs == list(range(200))


async def test_the_position_is_what_was_accepted_before_and_is_not_settled(desk: Desk) -> None:
    positions = []
    for chat in "abca":
        made = await desk.put_job(desk.job(chat))
        assert isinstance(made, Enqueued)
        positions.append(made.position)
    assert positions == [0, 1, 2, 3]
    await desk.send()  # settled: counts no more
    (trying,) = await desk.start()  # on its way: still counts
    made = await desk.put_job(desk.job("d"))
    assert isinstance(made, Enqueued)
    assert made.position == 3
    await desk.settle(trying, retry())  # waits for its retry: still counts
    made = await desk.put_job(desk.job("d"))
    assert isinstance(made, Enqueued)
    assert made.position == 4


async def test_each_lane_and_phone_counts_its_own_positions(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    await desk.put("a")
    urgent = await desk.put_job(desk.job("a", lane=Priority.URGENT))
    elsewhere = await other.put_job(other.job("a"))
    assert isinstance(urgent, Enqueued)
    assert isinstance(elsewhere, Enqueued)
    assert (urgent.position, elsewhere.position) == (0, 0)


async def test_nothing_is_queued_for_a_deleted_phone_and_others_in_the_batch_are(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    await desk.store.delete_phone(other.org_no, other.phone_no, "api")
    gone, kept = await asyncio.gather(desk.store.enqueue(other.job("a", key="k")), desk.store.enqueue(desk.job("a")))
    assert isinstance(gone, PhoneDeleted)
    assert isinstance(kept, Enqueued)
    assert len(await desk.look("SELECT 1 FROM jobs")) == 1
    assert await desk.look("SELECT 1 FROM idempotency") == []


async def test_a_message_that_fails_alone_fails_alone(desk: Desk) -> None:
    good = [desk.job(f"chat{n}") for n in range(5)]
    bad = msgspec.structs.replace(desk.job("bad"), performed_by=None)  # refused by the schema
    jobs = [*good[:3], bad, *good[3:]]
    results = await asyncio.gather(*(desk.store.enqueue(job) for job in jobs), return_exceptions=True)
    assert isinstance(results[3], Exception)
    assert all(isinstance(one, Enqueued) for n, one in enumerate(results) if n != 3)
    assert len(await desk.look("SELECT 1 FROM jobs")) == 5


async def test_a_key_that_another_process_made_too_is_replaced(desk: Desk) -> None:
    first = desk.job("a")
    await desk.put_job(first)
    second = await desk.put_job(msgspec.structs.replace(desk.job("b"), job_id=first.job_id))
    assert isinstance(second, Enqueued)
    assert second.job_id != first.job_id
    assert (await desk.get(second.job_id)).chat_id == "b@c.us"


async def test_a_chat_that_was_written_to_is_no_new_chat(desk: Desk) -> None:
    await desk.put("a")
    (first,) = await desk.start()
    assert first.new_chat
    await desk.settle(first, SENT)
    await desk.put("a")
    (second,) = await desk.start()
    assert not second.new_chat


async def test_words_of_all_scripts_come_back_as_they_were(desk: Desk) -> None:
    body = "«ü» 🚚 𝒳 \u0000 \u202e — ' \" \\ % :name $1 /*lock*/"
    job_id = await desk.put("a", body=body)
    assert (await desk.get(job_id)).content.body == body


async def test_callers_that_no_transaction_has_taken_yet_are_counted(desk: Desk) -> None:
    assert not desk.store.has_backpressure()
    calls = [asyncio.create_task(desk.put_job(desk.job(f"chat{n}"))) for n in range(500)]
    await asyncio.sleep(0)
    assert desk.store.has_backpressure()
    await asyncio.gather(*calls)
    assert not desk.store.has_backpressure()


async def test_what_arrives_before_the_store_begins_shares_its_transaction(desk: Desk) -> None:
    made: list[int] = []
    write = desk.store.shell.write

    async def counted(make: Any, **given: Any) -> Any:
        results = await write(make, **given)
        made.append(len(results))
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.store.shell, "write", counted)
        first = [desk.store.enqueue(desk.job(str(n))) for n in range(50)]
        await asyncio.sleep(0)
        second = [desk.store.enqueue(desk.job(str(n))) for n in range(50, 500)]
        results = await asyncio.gather(*first, *second)
    assert sorted(result.position for result in results if isinstance(result, Enqueued)) == list(range(500))
    assert sum(made) == 500
    assert len(made) <= 6
    assert max(made) == 200


async def test_those_who_wait_for_a_store_that_ended_are_told(desk: Desk) -> None:
    waiting = [asyncio.ensure_future(desk.store.enqueue(desk.job(str(n)))) for n in range(300)]
    await desk.store.shell.close()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    assert all(isinstance(result, Enqueued | Unavailable) for result in results)
    late = desk.store.enqueue(desk.job("late"))
    with pytest.raises(Unavailable):
        await asyncio.wait_for(late, 5)
