"""Tests of delays between recipients: a recipient that must wait does not hold up the others."""

from itertools import pairwise

import pytest

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.broadcasts.broadcast import MAX_ENQUEUED_AHEAD, NewBroadcast
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound
from tests.kit.clocks import SECOND_US
from tests.kit.factories import recipients
from tests.kit.phone_queue import SENT, PhoneQueue

TEXT = Content(Kind.TEXT, "Hello {{name}}")
WAITED = Verdict(State.UNCERTAIN, "uncertain", "answer_lost", "Lost.", lane_wait_s=20.0, maybe_sent=True)


def new(queue: PhoneQueue, delay_s: float) -> NewBroadcast:
    return NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, TEXT, delay_s=delay_s)


@pytest.mark.parametrize("delay_s", [0.5, 1.0, 5.0])
async def test_an_uncertain_message_does_not_stop_a_spaced_broadcast(queue: PhoneQueue, delay_s: float) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue, delay_s), recipients(10))
    ends = [WAITED] * 2
    for _ in range(60):
        await queue.stores.broadcasts.enqueue_recipients()
        for one in await queue.start(10):
            await queue.settle(one, ends.pop() if ends else SENT)
        queue.clock.advance(60)
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made)
    assert row is not None and (row.enqueued, row.sent) == (10, 8)


async def test_the_delay_is_kept_beside_an_uncertain_message(queue: PhoneQueue) -> None:
    await queue.stores.broadcasts.create_broadcast(new(queue, 2.0), recipients(8))
    starts = []
    for _ in range(300):
        await queue.stores.broadcasts.enqueue_recipients()
        for one in await queue.start(50):
            starts.append(queue.clock.us)
            await queue.settle(one, SENT if len(starts) > 1 else WAITED)
        queue.clock.advance(0.1)
    assert len(starts) == 8
    assert all(2 * SECOND_US <= after - before < 3 * SECOND_US for before, after in pairwise(starts))


async def test_more_uncertain_messages_than_are_enqueued_ahead_do_not_stop_a_broadcast(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue, 0.0), recipients(MAX_ENQUEUED_AHEAD + 50))
    for _ in range(40):
        await queue.stores.broadcasts.enqueue_recipients()
        for one in await queue.start(50):
            await queue.settle(one, WAITED)
        queue.clock.advance(60)
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made)
    assert row is not None and row.enqueued == MAX_ENQUEUED_AHEAD + 50


async def test_a_paused_chat_does_not_stop_a_spaced_broadcast(queue: PhoneQueue) -> None:
    people = recipients(10)
    await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, people[0].chat_id, "ada")
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue, 5.0), people)
    for _ in range(60):
        await queue.stores.broadcasts.enqueue_recipients()
        for one in await queue.start(10):
            await queue.settle(one, SENT)
        queue.clock.advance(60)
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made)
    assert row is not None and row.sent == 9


@pytest.mark.parametrize("why", ["the provider said so", "the policy says so"])
@pytest.mark.parametrize("delay_s", [0.0, 1.0])
async def test_new_chats_at_their_limit_keep_no_known_chat_waiting(queue: PhoneQueue, delay_s: float, why: str) -> None:
    if why == "the policy says so":
        await queue.stores.phones.update_phone(
            queue.org_no, queue.phone_no, PhonePatch(pacing='{"new_chats_per_day": 0}')
        )
    else:
        await queue.stores.sender.throttle_phone(
            queue.org_no, queue.phone_no, queue.lease.token, until_us=queue.clock.us + 86_400 * SECOND_US,
            new_chats_only=True, reason="",
        )  # fmt: skip
    new_ones = MAX_ENQUEUED_AHEAD if delay_s == 0 else 1
    people = recipients(new_ones + 5)
    for n, one in enumerate(people[new_ones:]):
        heard = Inbound(f"M{n}", one.chat_id, one.chat_id, queue.clock.us, "chat", "hello")
        await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, [heard])
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue, delay_s), people)
    for _ in range(20):
        await queue.stores.broadcasts.enqueue_recipients()
        request = queue.start_request(10, new_limit=0)
        for started in (await queue.stores.sender.settle_and_start([], [request])).started:
            await queue.settle(started, SENT)
        queue.clock.advance(60)
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made)
    assert row is not None and row.sent == 5
