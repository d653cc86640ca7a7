"""What becomes of a message to each kind of test recipient, with the real store and a clock that jumps."""

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.states import State
from tests.sender.setup import World


async def test_a_message_is_sent_delivered_and_read(world: World) -> None:
    await world.join()
    job_id = await world.put("00")
    job = await world.until_state(job_id, State.SENT, ack=4)
    assert job.attempts == 1
    assert await world.kinds(job_id) == ["queued", "started", "sent", "receipt", "receipt", "receipt"]


@pytest.mark.parametrize(("chat", "attempts", "least_s"), [("10", 2, 1.6), ("11", 3, 4.8)])
async def test_a_transient_failure_is_tried_again_after_a_growing_wait(
    world: World, chat: str, attempts: int, least_s: float
) -> None:
    member = await world.join()
    job_id = await world.put(chat)
    job = await world.until_state(job_id, State.SENT)
    assert job.attempts == attempts
    waits = [later - earlier for (earlier, _), (later, _) in zip(member.sends, member.sends[1:], strict=False)]
    for n, wait in enumerate(waits):
        assert 2.0 * 2**n * 0.8 <= wait <= 2.0 * 2**n * 1.2 + 0.2
    assert sum(waits) >= least_s


async def test_a_message_that_never_goes_through_fails_after_four_attempts(world: World) -> None:
    member = await world.join()
    job_id = await world.put("12")
    job = await world.until_state(job_id, State.FAILED)
    assert (job.attempts, len(member.sends), job.reason) == (4, 4, "network_error")


async def test_being_asked_to_wait_is_no_attempt_and_holds_its_chat_only(world: World) -> None:
    member = await world.join()
    asked, behind, other = await world.put("13"), await world.put("13"), await world.put("00")
    await world.until_state(other, State.SENT)
    assert (await world.get(asked)).attempts == 0
    job = await world.until_state(behind, State.SENT)
    assert (await world.get(asked)).attempts == 1
    ids = [sent for _, sent in member.sends]
    assert ids.index(unique_id(behind)) > ids.index(unique_id(asked), 1)
    assert job.attempts == 1


@pytest.mark.parametrize("chat", ["40", "41", "42", "45"])
async def test_a_refusal_is_final_at_once(world: World, chat: str) -> None:
    member = await world.join()
    job_id = await world.put(chat)
    assert (await world.until_state(job_id, State.FAILED)).attempts == 1
    await world.clock.forward(60)
    assert len(member.sends) == 1


async def test_a_phone_that_may_open_no_new_chats_goes_on_with_known_ones(world: World) -> None:
    member = await world.join()
    known = await world.put("00")
    await world.until_state(known, State.SENT)
    held = await world.put("43")

    async def told() -> bool:
        return (await world.get(held)).reason == "new_chats_restricted"

    await world.clock.until(told)
    new, again = await world.put("newchat"), await world.put("00")
    await world.until_state(again, State.SENT, limit_s=5)
    assert {(await world.get(job)).state for job in (held, new)} == {State.QUEUED}
    began = world.clock.monotonic()
    await world.until_state(held, State.SENT, limit_s=90)
    await world.until_state(new, State.SENT, limit_s=5)
    assert world.clock.monotonic() - began > 50
    assert (await world.get(held)).attempts == 1
    assert len(member.sends) <= 6


async def test_a_restricted_phone_sends_nothing_for_its_time(world: World) -> None:
    member = await world.join()
    held = await world.put("44")

    async def hold() -> bool:
        return (await world.get(held)).reason == "restricted"

    await world.clock.until(hold)
    other = await world.put("00")
    await world.clock.forward(50)
    assert (await world.get(other)).state is State.QUEUED
    assert len(member.sends) == 1
    await world.until_state(held, State.SENT, limit_s=30)
    await world.until_state(other, State.SENT, limit_s=5)


async def test_no_acknowledgement_ends_uncertain_and_is_not_sent_again(world: World) -> None:
    member = await world.join()
    job_id, behind = await world.put("62"), await world.put("62")
    await world.until_state(job_id, State.UNCERTAIN)
    assert 19 < world.clock.monotonic() < 22
    await world.until_state(behind, State.UNCERTAIN)
    await world.clock.forward(120)
    assert [sent for _, sent in member.sends] == [unique_id(job_id), unique_id(behind)]


async def test_a_late_acknowledgement_settles_what_was_uncertain(world: World) -> None:
    await world.join()
    job_id = await world.put("63")
    await world.until_state(job_id, State.UNCERTAIN)
    job = await world.until_state(job_id, State.SENT, ack=2)
    assert job.attempts == 1
    assert (await world.kinds(job_id))[-3:] == ["uncertain", "resolved", "receipt"]


async def test_a_lost_answer_is_resolved_and_shown_once(world: World) -> None:
    await world.join()
    job_id = await world.put("64")
    await world.until_state(job_id, State.SENT, ack=4)
    (row,) = await world.journal()
    assert row["shown"] == 1
    assert row["transmissions"] <= 2


async def test_a_connection_lost_before_the_message_was_taken_is_tried_again(world: World) -> None:
    await world.join()
    job_id = await world.put("65")
    job = await world.until_state(job_id, State.SENT, ack=4)
    assert job.attempts == 2
    assert await world.shown() == {unique_id(job_id): 1}


async def test_where_ids_are_not_honoured_a_lost_answer_is_never_sent_again(world: World) -> None:
    await world.join()
    job_id, behind = await world.put("66"), await world.put("66")
    await world.until_state(job_id, State.UNCERTAIN)
    began = world.clock.monotonic()
    await world.until_state(behind, State.UNCERTAIN)
    assert world.clock.monotonic() - began >= 19.5
    await world.clock.forward(200)
    assert await world.shown() == {unique_id(job_id): 1, unique_id(behind): 1}


@pytest.mark.parametrize("chat", ["60", "61"])
async def test_receipts_in_disorder_and_twice_end_in_one_clean_history(world: World, chat: str) -> None:
    await world.join()
    job_id = await world.put(chat)
    await world.until_state(job_id, State.SENT, ack=4)
    await world.clock.forward(5)
    assert [event.ack for event in await world.store.history(world.phone.org_no, job_id)] == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("chat", ["80", "82"])
async def test_a_phone_that_was_put_out_goes_on_after_a_restart(world: World, chat: str) -> None:
    member = await world.join()
    job_id = await world.put(chat)

    async def down() -> bool:
        row = await world.store.phone_row(world.phone.org_no, world.phone.phone_no)
        return row is not None and row.state in ("logged_out", "replaced")

    await world.clock.until(down)
    await world.clock.forward(300)
    assert len(member.sends) == 1
    assert (await world.get(job_id)).attempts == 0
    await world.store.request_restart(world.phone.org_no, world.phone.phone_no)
    job = await world.until_state(job_id, State.SENT, ack=4, limit_s=10)
    assert job.attempts == 1


async def test_a_phone_that_is_offline_uses_up_no_attempt_and_goes_on_by_itself(world: World) -> None:
    member = await world.join()
    job_id = await world.put("81")
    job = await world.until_state(job_id, State.SENT, ack=4, limit_s=60)
    assert job.attempts == 1
    assert 29 < world.clock.monotonic() < 40
    assert len(member.sends) == 2
