"""TX4: the ladder never goes down, each rung is told once, and a receipt settles what nobody knew."""

import itertools

import pytest

from heliograph.domain.jobs.ids import queue_id, unique_id
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.sender_store import PhoneReceipts
from tests.kit.store import REFUSED, SENT, Desk, another_phone, retry, uncertain

GIVEN = Verdict(State.SENT, "sent", ack=1, provider_message_id="wamid.X1")


async def test_receipts_climb_and_each_rung_has_one_event(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send()
    for ack in (2, 3, 4, 5):
        desk.clock.turn(1)
        applied = await desk.receipt(job_id, ack)
        assert applied.changed == [job_id]
    assert [event.ack for event in await desk.history(job_id)] == [0, 0, 1, 2, 3, 4, 5]
    assert (await desk.get(job_id)).ack == 5


@pytest.mark.parametrize("order", [(3, 2), (4, 3, 2), (5, 3), (4, 4), (3, 3, 4, 4)])
async def test_late_and_repeated_receipts_change_nothing(desk: Desk, order: tuple[int, ...]) -> None:
    await desk.put()
    job_id = await desk.send()
    for ack in order:
        await desk.receipt(job_id, ack)
    job = await desk.get(job_id)
    assert job.ack == max(order)
    assert [event.ack for event in await desk.history(job_id)] == [0, 0, *range(1, max(order) + 1)]


async def test_every_order_of_receipts_in_one_batch_ends_alike(desk: Desk) -> None:
    for order in itertools.permutations((2, 3, 4)):
        await desk.put()
        job_id = await desk.send()
        await desk.receipt(job_id, *order)
        assert [event.ack for event in await desk.history(job_id)] == [0, 0, 1, 2, 3, 4]


async def test_times_are_those_of_the_first_receipt_of_each_rung(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send()
    at = desk.clock.now_us()
    acks = [Receipt(ack, at + ack * 1_000_000, unique_id=unique_id(job_id)) for ack in (2, 3, 4)]
    await desk.receipts(acks)
    job = await desk.get(job_id)
    assert (job.sent_at_us, job.delivered_at_us, job.read_at_us) == (at, at + 3_000_000, at + 4_000_000)


async def test_a_receipt_settles_an_uncertain_message_and_lets_its_chat_go_on(desk: Desk) -> None:
    job_id, behind = await desk.put("a"), await desk.put("a")
    await desk.send(uncertain(20.0))
    assert await desk.start() == []
    await desk.receipt(job_id, 3)
    job = await desk.get(job_id)
    assert (job.state, job.ack, job.reason) == (State.SENT, 3, None)
    assert [event.kind for event in await desk.history(job_id)][-3:] == ["resolved", "receipt", "receipt"]
    assert [one.job.job_id for one in await desk.start()] == [behind]


async def test_a_receipt_settles_a_message_that_waits_to_be_sent_again(desk: Desk) -> None:
    job_id, behind = await desk.put("a"), await desk.put("a")
    await desk.send(retry(8.0, maybe_sent=True))
    await desk.receipt(job_id, 1)
    assert (await desk.get(job_id)).state is State.SENT
    desk.clock.turn(8)
    assert [one.job.job_id for one in await desk.start(10)] == [behind]


async def test_a_receipt_for_a_message_that_was_surely_not_sent_changes_nothing(desk: Desk) -> None:
    job_id = await desk.put("a")
    await desk.receipt(job_id, 3)
    assert (await desk.get(job_id)).state is State.QUEUED


async def test_a_receipt_for_an_attempt_under_way_is_given_back_to_be_told_again(desk: Desk) -> None:
    job_id = await desk.put("a")
    (one,) = await desk.start()
    receipt = Receipt(3, desk.clock.now_us(), unique_id=unique_id(job_id))
    applied = await desk.receipts([receipt])
    assert (applied.changed, applied.early) == ([], frozenset({receipt}))
    await desk.settle(one, SENT)
    applied = await desk.receipts([receipt])
    assert (applied.changed, applied.early) == ([job_id], frozenset())


async def test_a_refusal_after_acceptance_fails_the_message(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send()
    await desk.receipt(job_id, -1, code="not_on_whatsapp", detail="This number is not on WhatsApp.")
    job = await desk.get(job_id)
    assert (job.state, job.ack, job.reason) == (State.FAILED, -1, "not_on_whatsapp")
    await desk.receipt(job_id, 3)
    assert (await desk.get(job_id)).state is State.FAILED


async def test_a_refusal_of_what_was_delivered_is_not_believed(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send()
    await desk.receipt(job_id, 3)
    await desk.receipt(job_id, -1, code="late", detail="Late.")
    assert (await desk.get(job_id)).state is State.SENT


async def test_a_refusal_settles_an_uncertain_message(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(uncertain(20.0))
    await desk.receipt(job_id, -1, code="not_on_whatsapp", detail="This number is not on WhatsApp.")
    assert (await desk.get(job_id)).state is State.FAILED


async def test_a_failed_message_is_not_revived_by_a_receipt(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(REFUSED)
    await desk.receipt(job_id, 3)
    assert (await desk.get(job_id)).state is State.FAILED


async def test_a_receipt_corrects_a_message_that_was_given_up_though_it_may_have_arrived(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(Verdict(State.FAILED, "failed", "poison", "Parked.", maybe_sent=True))
    await desk.receipt(job_id, 3)
    job = await desk.get(job_id)
    assert (job.state, job.ack, job.reason, job.detail) == (State.SENT, 3, None, None)
    assert [event.kind for event in await desk.history(job_id)][-3:] == ["resolved", "receipt", "receipt"]
    await desk.receipt(job_id, -1, code="late", detail="Late.")
    assert (await desk.get(job_id)).state is State.SENT


async def test_a_refused_message_of_which_an_answer_was_lost_is_not_revived_by_a_receipt(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(uncertain(20.0))
    await desk.receipt(job_id, -1, code="not_on_whatsapp", detail="This number is not on WhatsApp.")
    await desk.receipt(job_id, 3)
    assert (await desk.get(job_id)).state is State.FAILED


async def test_receipts_before_the_providers_id_is_known_are_kept_for_it(desk: Desk) -> None:
    job_id = await desk.put()
    (one,) = await desk.start()
    at = desk.clock.now_us()
    await desk.receipts([Receipt(ack, at, provider_message_id="wamid.X1") for ack in (2, 3, 3)])
    await desk.settle(one, GIVEN)
    assert (await desk.get(job_id)).ack == 3
    assert [event.ack for event in await desk.history(job_id)] == [0, 0, 1, 2, 3]
    assert await desk.look("SELECT 1 FROM unmatched_receipts") == []


async def test_receipts_are_found_by_the_id_the_provider_gave(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send(GIVEN)
    await desk.receipts([Receipt(4, desk.clock.now_us(), provider_message_id="wamid.X1")])
    assert (await desk.get(job_id)).ack == 4


async def test_a_tracker_that_comes_back_settles_and_names_the_message(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(uncertain(20.0))
    receipt = Receipt(2, desk.clock.now_us(), provider_message_id="wamid.X2", tracker=queue_id(job_id))
    await desk.receipts([receipt])
    job = await desk.get(job_id)
    assert (job.state, job.provider_message_id) == (State.SENT, "wamid.X2")
    await desk.receipts([Receipt(3, desk.clock.now_us(), provider_message_id="wamid.X2")])
    assert (await desk.get(job_id)).ack == 3


async def test_a_receipt_of_another_phone_moves_nothing(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    await desk.put()
    job_id = await desk.send()
    await other.receipt(job_id, 4)
    assert (await desk.get(job_id)).ack == 1


async def test_receipts_of_several_phones_are_one_transaction(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    await desk.put()
    await other.put()
    ours, theirs = await desk.send(), await other.send()
    at = desk.clock.now_us()
    applied = await desk.store.receipts(
        [
            PhoneReceipts(one.org_no, one.phone_no, token, [Receipt(3, at, unique_id=unique_id(job_id))])
            for one, job_id, token in ((desk, ours, desk.token), (other, theirs, other.token - 1))
        ]
    )
    assert (applied.changed, applied.lost) == ([ours], frozenset({other.phone_no}))
    assert (await other.get(theirs)).ack == 1


async def test_the_chat_of_a_message_that_a_receipt_proved_is_known(desk: Desk) -> None:
    job_id = await desk.put("a")
    await desk.put("a")
    await desk.send(uncertain(20.0))
    await desk.receipt(job_id, 2)
    (second,) = await desk.start()
    assert not second.new_chat


async def test_a_person_who_wrote_is_no_new_chat_even_to_what_waits_already(desk: Desk) -> None:
    await desk.put("a")
    assert await desk.start(new_limit=0) == []
    heard = [Inbound("M1", "a@c.us", "a@c.us", desk.clock.now_us(), "chat", "hello")]
    assert await desk.store.inbound(desk.phone_no, desk.org_no, heard) == 1
    (started,) = await desk.start(new_limit=0)
    assert not started.new_chat


async def test_the_phones_of_a_chat_are_those_that_sent_to_it_or_heard_from_it(desk: Desk) -> None:
    other = await another_phone(desk, "447700900001")
    both = [desk.phone_no, other.phone_no]
    await desk.put("a")
    assert await desk.store.phones_of_chat(desk.org_no, both, "a@c.us") == set(), "it waits, and may be refused"
    await desk.send()
    assert await desk.store.phones_of_chat(desk.org_no, both, "a@c.us") == {desk.phone_no}
    heard = [Inbound("M1", "a@c.us", "a@c.us", desk.clock.now_us(), "chat", "hello")]
    await other.store.inbound(other.phone_no, desk.org_no, heard)
    assert await desk.store.phones_of_chat(desk.org_no, both, "a@c.us") == set(both)
    assert await desk.store.phones_of_chat(desk.org_no + 1, both, "a@c.us") == set()
    assert await desk.store.phones_of_chat(desk.org_no, both, "b@c.us") == set()


async def test_an_inbound_message_is_kept_once_whatever_it_holds(desk: Desk) -> None:
    at = desk.clock.now_us()
    heard = [Inbound("M1", "a@c.us", "a@c.us", at, "chat", "a\u0000b 🚚", {"deep": ["\u0000"]})]
    assert await desk.store.inbound(desk.phone_no, desk.org_no, [*heard, *heard]) == 1
    assert await desk.store.inbound(desk.phone_no, desk.org_no, heard) == 0
    assert await desk.store.quotable(desk.org_no, desk.phone_no, "M1") == "false_a@c.us_M1"


async def test_all_receipts_of_a_hundred_messages_are_one_transaction(desk: Desk) -> None:
    for n in range(100):
        await desk.put(f"chat{n}")
    started = await desk.start(100)
    await desk.store.settle_and_start([desk.settlement(one, SENT) for one in started], [])
    at = desk.clock.now_us()
    acks = [Receipt(ack, at, unique_id=unique_id(one.job.job_id)) for ack in (3, 2, 4) for one in started]
    applied = await desk.receipts(acks)
    assert len(applied.changed) == 100
    assert {row["ack"] for row in await desk.look("SELECT ack FROM jobs")} == {4}
