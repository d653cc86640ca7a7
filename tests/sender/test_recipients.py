"""Tests of a message to each test recipient, with the real store and a virtual clock."""

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.states import State
from tests.sender.senders import Senders


async def test_a_message_is_sent_delivered_and_read(senders: Senders) -> None:
    await senders.join()
    job_id = await senders.put("00")
    job = await senders.until_state(job_id, State.SENT, ack=4)
    assert job.attempts == 1
    assert await senders.kinds(job_id) == ["queued", "started", "sent", "receipt", "receipt", "receipt"]


@pytest.mark.parametrize(("chat", "attempts", "least_s"), [("10", 2, 1.6), ("11", 3, 4.8)])
async def test_a_transient_failure_is_tried_again_after_a_growing_wait(
    senders: Senders, chat: str, attempts: int, least_s: float
) -> None:
    member = await senders.join()
    job_id = await senders.put(chat)
    job = await senders.until_state(job_id, State.SENT)
    assert job.attempts == attempts
    waits = [later - earlier for (earlier, _), (later, _) in zip(member.sends, member.sends[1:], strict=False)]
    for n, wait in enumerate(waits):
        assert 2.0 * 2**n * 0.8 <= wait <= 2.0 * 2**n * 1.2 + 0.2
    assert sum(waits) >= least_s


async def test_a_message_that_never_goes_through_fails_after_four_attempts(senders: Senders) -> None:
    member = await senders.join()
    job_id = await senders.put("12")
    job = await senders.until_state(job_id, State.FAILED)
    assert (job.attempts, len(member.sends), job.reason) == (4, 4, "network_error")


async def test_being_asked_to_wait_is_no_attempt_and_holds_its_chat_only(senders: Senders) -> None:
    member = await senders.join()
    asked, behind, other = await senders.put("13"), await senders.put("13"), await senders.put("00")
    await senders.until_state(other, State.SENT)
    assert (await senders.get(asked)).attempts == 0
    job = await senders.until_state(behind, State.SENT)
    assert (await senders.get(asked)).attempts == 1
    ids = [sent for _, sent in member.sends]
    assert ids.index(unique_id(behind)) > ids.index(unique_id(asked), 1)
    assert job.attempts == 1


@pytest.mark.parametrize("chat", ["40", "41", "42", "45"])
async def test_a_refusal_is_final_at_once(senders: Senders, chat: str) -> None:
    member = await senders.join()
    job_id = await senders.put(chat)
    assert (await senders.until_state(job_id, State.FAILED)).attempts == 1
    await senders.clock.forward(60)
    assert len(member.sends) == 1


async def test_a_phone_that_may_open_no_new_chats_continues_with_known_ones(senders: Senders) -> None:
    member = await senders.join()
    known = await senders.put("00")
    await senders.until_state(known, State.SENT)
    held = await senders.put("43")

    async def reported() -> bool:
        return (await senders.get(held)).reason == "new_chats_restricted"

    await senders.clock.until(reported)
    new, again = await senders.put("newchat"), await senders.put("00")
    await senders.until_state(again, State.SENT, limit_s=5)
    assert {(await senders.get(job)).state for job in (held, new)} == {State.QUEUED}
    began = senders.clock.monotonic()
    await senders.until_state(held, State.SENT, limit_s=90)
    await senders.until_state(new, State.SENT, limit_s=5)
    assert senders.clock.monotonic() - began > 50
    assert (await senders.get(held)).attempts == 1
    assert len(member.sends) <= 6


async def test_a_restricted_phone_sends_nothing_for_its_time(senders: Senders) -> None:
    member = await senders.join()
    held = await senders.put("44")

    async def hold() -> bool:
        return (await senders.get(held)).reason == "restricted"

    await senders.clock.until(hold)
    other = await senders.put("00")
    await senders.clock.forward(50)
    assert (await senders.get(other)).state is State.QUEUED
    assert len(member.sends) == 1
    await senders.until_state(held, State.SENT, limit_s=30)
    await senders.until_state(other, State.SENT, limit_s=5)


async def test_no_acknowledgement_ends_uncertain_and_is_not_sent_again(senders: Senders) -> None:
    member = await senders.join()
    job_id, behind = await senders.put("62"), await senders.put("62")
    await senders.until_state(job_id, State.UNCERTAIN)
    assert 19 < senders.clock.monotonic() < 22
    await senders.until_state(behind, State.UNCERTAIN)
    await senders.clock.forward(120)
    assert [sent for _, sent in member.sends] == [unique_id(job_id), unique_id(behind)]


async def test_a_late_acknowledgement_settles_what_was_uncertain(senders: Senders) -> None:
    await senders.join()
    job_id = await senders.put("63")
    await senders.until_state(job_id, State.UNCERTAIN)
    job = await senders.until_state(job_id, State.SENT, ack=2)
    assert job.attempts == 1
    assert (await senders.kinds(job_id))[-3:] == ["uncertain", "resolved", "receipt"]


async def test_a_lost_answer_is_resolved_and_shown_once(senders: Senders) -> None:
    await senders.join()
    job_id = await senders.put("64")
    await senders.until_state(job_id, State.SENT, ack=4)
    (row,) = await senders.journal()
    assert row["shown"] == 1
    assert row["transmissions"] <= 2


async def test_a_connection_lost_before_the_message_was_taken_is_tried_again(senders: Senders) -> None:
    await senders.join()
    job_id = await senders.put("65")
    job = await senders.until_state(job_id, State.SENT, ack=4)
    assert job.attempts == 2
    assert await senders.shown() == {unique_id(job_id): 1}


async def test_where_ids_are_not_honoured_a_lost_answer_is_never_sent_again(senders: Senders) -> None:
    await senders.join()
    job_id, behind = await senders.put("66"), await senders.put("66")
    await senders.until_state(job_id, State.UNCERTAIN)
    began = senders.clock.monotonic()
    await senders.until_state(behind, State.UNCERTAIN)
    assert senders.clock.monotonic() - began >= 19.5
    await senders.clock.forward(200)
    assert await senders.shown() == {unique_id(job_id): 1, unique_id(behind): 1}


@pytest.mark.parametrize("chat", ["60", "61"])
async def test_receipts_in_disorder_and_twice_end_in_one_clean_history(senders: Senders, chat: str) -> None:
    await senders.join()
    job_id = await senders.put(chat)
    await senders.until_state(job_id, State.SENT, ack=4)
    await senders.clock.forward(5)
    assert [event.ack for event in await senders.stores.jobs.history(senders.phone.org_no, job_id)] == [
        0,
        0,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize("chat", ["80", "82"])
async def test_a_phone_that_was_logged_out_continues_after_a_restart(senders: Senders, chat: str) -> None:
    member = await senders.join()
    job_id = await senders.put(chat)

    async def down() -> bool:
        row = await senders.stores.phones.phone_row(senders.phone.org_no, senders.phone.phone_no)
        return row is not None and row.state in ("logged_out", "replaced")

    await senders.clock.until(down)
    await senders.clock.forward(300)
    assert len(member.sends) == 1
    assert (await senders.get(job_id)).attempts == 0
    await senders.stores.phones.request_restart(senders.phone.org_no, senders.phone.phone_no)
    job = await senders.until_state(job_id, State.SENT, ack=4, limit_s=10)
    assert job.attempts == 1


async def test_a_phone_that_is_offline_uses_no_attempt_and_continues_by_itself(senders: Senders) -> None:
    member = await senders.join()
    job_id = await senders.put("81")
    job = await senders.until_state(job_id, State.SENT, ack=4, limit_s=60)
    assert job.attempts == 1
    assert 29 < senders.clock.monotonic() < 40
    assert len(member.sends) == 2
