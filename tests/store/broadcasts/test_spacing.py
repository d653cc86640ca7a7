"""What of a broadcast cannot start keeps no other recipient from its turn."""

from itertools import pairwise

import pytest

from heliograph.domain.broadcasts.broadcast import MAX_ENQUEUED_AHEAD, NewBroadcast
from heliograph.domain.jobs.job import PhonePatch
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound
from heliograph.ports.sender_store import StartRequest
from tests.store.control_setup import SENT, S, World, recipients

TEXT = Content(Kind.TEXT, "Hello {{name}}")
WAITED = Verdict(State.UNCERTAIN, "uncertain", "answer_lost", "Lost.", lane_wait_s=20.0, maybe_sent=True)


def new(world: World, delay_s: float) -> NewBroadcast:
    return NewBroadcast(world.ids.make(), world.org_no, world.phone_no, TEXT, delay_s=delay_s)


@pytest.mark.parametrize("delay_s", [0.5, 1.0, 5.0])
async def test_an_uncertain_message_does_not_stop_a_spaced_broadcast(world: World, delay_s: float) -> None:
    made, _ = await world.steering.broadcast(new(world, delay_s), recipients(10))
    ends = [WAITED] * 2
    for _ in range(60):
        await world.steering.feed()
        for one in await world.start(10):
            await world.settle(one, ends.pop() if ends else SENT)
        world.clock.advance(60)
    row = await world.steering.broadcast_row(world.org_no, made)
    assert row is not None and (row.enqueued, row.sent) == (10, 8)


async def test_the_delay_is_kept_beside_an_uncertain_message(world: World) -> None:
    await world.steering.broadcast(new(world, 2.0), recipients(8))
    starts = []
    for _ in range(300):
        await world.steering.feed()
        for one in await world.start(50):
            starts.append(world.clock.us)
            await world.settle(one, SENT if len(starts) > 1 else WAITED)
        world.clock.advance(0.1)
    assert len(starts) == 8
    assert all(2 * S <= after - before < 3 * S for before, after in pairwise(starts))


async def test_more_uncertain_messages_than_are_fed_ahead_do_not_stop_a_broadcast(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world, 0.0), recipients(MAX_ENQUEUED_AHEAD + 50))
    for _ in range(40):
        await world.steering.feed()
        for one in await world.start(50):
            await world.settle(one, WAITED)
        world.clock.advance(60)
    row = await world.steering.broadcast_row(world.org_no, made)
    assert row is not None and row.enqueued == MAX_ENQUEUED_AHEAD + 50


async def test_a_paused_chat_does_not_stop_a_spaced_broadcast(world: World) -> None:
    people = recipients(10)
    await world.steering.pause_chat(world.org_no, world.phone_no, people[0].chat_id, "ada")
    made, _ = await world.steering.broadcast(new(world, 5.0), people)
    for _ in range(60):
        await world.steering.feed()
        for one in await world.start(10):
            await world.settle(one, SENT)
        world.clock.advance(60)
    row = await world.steering.broadcast_row(world.org_no, made)
    assert row is not None and row.sent == 9


@pytest.mark.parametrize("why", ["the provider said so", "the policy says so"])
@pytest.mark.parametrize("delay_s", [0.0, 1.0])
async def test_new_chats_at_their_limit_keep_no_known_chat_waiting(world: World, delay_s: float, why: str) -> None:
    if why == "the policy says so":
        await world.store.update_phone(world.org_no, world.phone_no, PhonePatch(pacing='{"new_chats_per_day": 0}'))
    else:
        await world.store.hold_phone(
            world.org_no, world.phone_no, world.lease.token, until_us=world.clock.us + 86_400 * S,
            new_chats_only=True, reason="",
        )  # fmt: skip
    new_ones = MAX_ENQUEUED_AHEAD if delay_s == 0 else 1
    people = recipients(new_ones + 5)
    for n, one in enumerate(people[new_ones:]):
        heard = Inbound(f"M{n}", one.chat_id, one.chat_id, world.clock.us, "chat", "hello")
        await world.store.inbound(world.phone_no, world.org_no, [heard])
    made, _ = await world.steering.broadcast(new(world, delay_s), people)
    for _ in range(20):
        await world.steering.feed()
        wish = StartRequest(world.phone_no, world.org_no, world.lease.token, limit=10, new_limit=0)
        for started in (await world.store.settle_and_start([], [wish])).started:
            await world.settle(started, SENT)
        world.clock.advance(60)
    row = await world.steering.broadcast_row(world.org_no, made)
    assert row is not None and row.sent == 5
