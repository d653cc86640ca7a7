"""Tests of receipts (TX4): the ack level never falls, each level is recorded once, and uncertain jobs are settled."""

import itertools

import pytest

from heliograph.domain.jobs.ids import queue_id, unique_id
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.stores.sender_store import PhoneReceipts
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry, uncertain

GIVEN = Verdict(State.SENT, "sent", ack=1, provider_message_id="wamid.X1")


async def test_ack_levels_rise_and_each_has_one_event(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next()
    for ack in (2, 3, 4, 5):
        queue.clock.advance(1)
        applied = await queue.receipt(job_id, ack)
        assert applied.changed == [job_id]
    assert [event.ack for event in await queue.history(job_id)] == [0, 0, 1, 2, 3, 4, 5]
    assert (await queue.get(job_id)).ack == 5


@pytest.mark.parametrize("order", [(3, 2), (4, 3, 2), (5, 3), (4, 4), (3, 3, 4, 4)])
async def test_late_and_repeated_receipts_change_nothing(queue: PhoneQueue, order: tuple[int, ...]) -> None:
    await queue.put()
    job_id = await queue.send_next()
    for ack in order:
        await queue.receipt(job_id, ack)
    job = await queue.get(job_id)
    assert job.ack == max(order)
    assert [event.ack for event in await queue.history(job_id)] == [0, 0, *range(1, max(order) + 1)]


async def test_every_order_of_receipts_in_one_batch_ends_alike(queue: PhoneQueue) -> None:
    for order in itertools.permutations((2, 3, 4)):
        await queue.put()
        job_id = await queue.send_next()
        await queue.receipt(job_id, *order)
        assert [event.ack for event in await queue.history(job_id)] == [0, 0, 1, 2, 3, 4]


async def test_times_are_those_of_the_first_receipt_of_each_ack_level(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next()
    at = queue.clock.now_us()
    acks = [Receipt(ack, at + ack * 1_000_000, unique_id=unique_id(job_id)) for ack in (2, 3, 4)]
    await queue.receipts(acks)
    job = await queue.get(job_id)
    assert (job.sent_at_us, job.delivered_at_us, job.read_at_us) == (at, at + 3_000_000, at + 4_000_000)


async def test_a_receipt_settles_an_uncertain_message_and_its_chat_continues(queue: PhoneQueue) -> None:
    job_id, behind = await queue.put("a"), await queue.put("a")
    await queue.send_next(uncertain(20.0))
    assert await queue.start() == []
    await queue.receipt(job_id, 3)
    job = await queue.get(job_id)
    assert (job.state, job.ack, job.reason) == (State.SENT, 3, None)
    assert [event.kind for event in await queue.history(job_id)][-3:] == ["resolved", "receipt", "receipt"]
    assert [one.job.job_id for one in await queue.start()] == [behind]


async def test_a_receipt_settles_a_message_that_waits_to_be_sent_again(queue: PhoneQueue) -> None:
    job_id, behind = await queue.put("a"), await queue.put("a")
    await queue.send_next(retry(8.0, maybe_sent=True))
    await queue.receipt(job_id, 1)
    assert (await queue.get(job_id)).state is State.SENT
    queue.clock.advance(8)
    assert [one.job.job_id for one in await queue.start(10)] == [behind]


async def test_a_receipt_for_a_message_that_was_surely_not_sent_changes_nothing(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    await queue.receipt(job_id, 3)
    assert (await queue.get(job_id)).state is State.QUEUED


async def test_a_receipt_for_an_attempt_in_flight_is_returned_for_a_repeat(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    (one,) = await queue.start()
    receipt = Receipt(3, queue.clock.now_us(), unique_id=unique_id(job_id))
    applied = await queue.receipts([receipt])
    assert (applied.changed, applied.early) == ([], frozenset({receipt}))
    await queue.settle(one, SENT)
    applied = await queue.receipts([receipt])
    assert (applied.changed, applied.early) == ([job_id], frozenset())


async def test_a_refusal_after_acceptance_fails_the_message(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next()
    await queue.receipt(job_id, -1, code="not_on_whatsapp", detail="This number is not on WhatsApp.")
    job = await queue.get(job_id)
    assert (job.state, job.ack, job.reason) == (State.FAILED, -1, "not_on_whatsapp")
    await queue.receipt(job_id, 3)
    assert (await queue.get(job_id)).state is State.FAILED


async def test_a_refusal_of_what_was_delivered_is_not_believed(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next()
    await queue.receipt(job_id, 3)
    await queue.receipt(job_id, -1, code="late", detail="Late.")
    assert (await queue.get(job_id)).state is State.SENT


async def test_a_refusal_settles_an_uncertain_message(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(uncertain(20.0))
    await queue.receipt(job_id, -1, code="not_on_whatsapp", detail="This number is not on WhatsApp.")
    assert (await queue.get(job_id)).state is State.FAILED


async def test_a_failed_message_is_not_revived_by_a_receipt(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(REFUSED)
    await queue.receipt(job_id, 3)
    assert (await queue.get(job_id)).state is State.FAILED


async def test_a_receipt_corrects_a_message_that_was_given_up_though_it_may_have_arrived(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(Verdict(State.FAILED, "failed", "poison", "Parked.", maybe_sent=True))
    await queue.receipt(job_id, 3)
    job = await queue.get(job_id)
    assert (job.state, job.ack, job.reason, job.detail) == (State.SENT, 3, None, None)
    assert [event.kind for event in await queue.history(job_id)][-3:] == ["resolved", "receipt", "receipt"]
    await queue.receipt(job_id, -1, code="late", detail="Late.")
    assert (await queue.get(job_id)).state is State.SENT


async def test_a_refused_message_of_which_an_answer_was_lost_is_not_revived_by_a_receipt(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(uncertain(20.0))
    await queue.receipt(job_id, -1, code="not_on_whatsapp", detail="This number is not on WhatsApp.")
    await queue.receipt(job_id, 3)
    assert (await queue.get(job_id)).state is State.FAILED


async def test_receipts_before_the_providers_id_is_known_are_kept_for_it(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    (one,) = await queue.start()
    at = queue.clock.now_us()
    await queue.receipts([Receipt(ack, at, provider_message_id="wamid.X1") for ack in (2, 3, 3)])
    await queue.settle(one, GIVEN)
    assert (await queue.get(job_id)).ack == 3
    assert [event.ack for event in await queue.history(job_id)] == [0, 0, 1, 2, 3]
    assert await queue.rows("SELECT 1 FROM unmatched_receipts") == []


async def test_receipts_are_found_by_the_id_the_provider_gave(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next(GIVEN)
    await queue.receipts([Receipt(4, queue.clock.now_us(), provider_message_id="wamid.X1")])
    assert (await queue.get(job_id)).ack == 4


async def test_a_tracker_that_comes_back_settles_and_names_the_message(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(uncertain(20.0))
    receipt = Receipt(2, queue.clock.now_us(), provider_message_id="wamid.X2", tracker=queue_id(job_id))
    await queue.receipts([receipt])
    job = await queue.get(job_id)
    assert (job.state, job.provider_message_id) == (State.SENT, "wamid.X2")
    await queue.receipts([Receipt(3, queue.clock.now_us(), provider_message_id="wamid.X2")])
    assert (await queue.get(job_id)).ack == 3


async def test_a_receipt_of_another_phone_moves_nothing(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    await queue.put()
    job_id = await queue.send_next()
    await other.receipt(job_id, 4)
    assert (await queue.get(job_id)).ack == 1


async def test_receipts_of_several_phones_are_one_transaction(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    await queue.put()
    await other.put()
    ours, theirs = await queue.send_next(), await other.send_next()
    at = queue.clock.now_us()
    applied = await queue.stores.sender.apply_receipts(
        [
            PhoneReceipts(one.org_no, one.phone_no, token, [Receipt(3, at, unique_id=unique_id(job_id))])
            for one, job_id, token in ((queue, ours, queue.token), (other, theirs, other.token - 1))
        ]
    )
    assert (applied.changed, applied.lost) == ([ours], frozenset({other.phone_no}))
    assert (await other.get(theirs)).ack == 1


async def test_the_chat_of_a_message_that_a_receipt_proved_is_known(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    await queue.put("a")
    await queue.send_next(uncertain(20.0))
    await queue.receipt(job_id, 2)
    (second,) = await queue.start()
    assert not second.new_chat


async def test_a_person_who_wrote_is_no_new_chat_even_to_what_waits_already(queue: PhoneQueue) -> None:
    await queue.put("a")
    assert await queue.start(new_limit=0) == []
    inbound = [Inbound("M1", "a@c.us", "a@c.us", queue.clock.now_us(), "chat", "hello")]
    assert await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, inbound) == 1
    (started,) = await queue.start(new_limit=0)
    assert not started.new_chat


async def test_the_phones_of_a_chat_are_those_that_sent_to_it_or_received_from_it(queue: PhoneQueue) -> None:
    other = await queue.add_phone("447700900001")
    both = [queue.phone_no, other.phone_no]
    await queue.put("a")
    assert await queue.stores.phones.phones_of_chat(queue.org_no, both, "a@c.us") == set(), (
        "it waits, and may be refused"
    )
    await queue.send_next()
    assert await queue.stores.phones.phones_of_chat(queue.org_no, both, "a@c.us") == {queue.phone_no}
    inbound = [Inbound("M1", "a@c.us", "a@c.us", queue.clock.now_us(), "chat", "hello")]
    await other.stores.sender.keep_inbound(other.phone_no, queue.org_no, inbound)
    assert await queue.stores.phones.phones_of_chat(queue.org_no, both, "a@c.us") == set(both)
    assert await queue.stores.phones.phones_of_chat(queue.org_no + 1, both, "a@c.us") == set()
    assert await queue.stores.phones.phones_of_chat(queue.org_no, both, "b@c.us") == set()


async def test_an_inbound_message_is_kept_once_whatever_it_holds(queue: PhoneQueue) -> None:
    at = queue.clock.now_us()
    inbound = [Inbound("M1", "a@c.us", "a@c.us", at, "chat", "a\u0000b 🚚", {"deep": ["\u0000"]})]
    assert await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, [*inbound, *inbound]) == 1
    assert await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, inbound) == 0
    assert await queue.stores.jobs.quotable(queue.org_no, queue.phone_no, "M1") == "false_a@c.us_M1"


async def test_all_receipts_of_a_hundred_messages_are_one_transaction(queue: PhoneQueue) -> None:
    for n in range(100):
        await queue.put(f"chat{n}")
    started = await queue.start(100)
    await queue.stores.sender.settle_and_start([queue.settlement(one, SENT) for one in started], [])
    at = queue.clock.now_us()
    acks = [Receipt(ack, at, unique_id=unique_id(one.job.job_id)) for ack in (3, 2, 4) for one in started]
    applied = await queue.receipts(acks)
    assert len(applied.changed) == 100
    assert {row["ack"] for row in await queue.rows("SELECT ack FROM jobs")} == {4}
