"""Tests of lanes: messages of a chat and priority stay in order, and a waiting lane holds only its own chat."""

import asyncio
import random

import pytest

from heliograph.domain.jobs.states import Priority
from heliograph.store.database import named
from heliograph.store.database.unit import query
from heliograph.store.jobs import retry_and_resolve
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry, uncertain


async def test_a_chat_has_one_message_in_flight(queue: PhoneQueue) -> None:
    first = await queue.put("a")
    await queue.put("a")
    assert [one.job.job_id for one in await queue.start(10)] == [first]
    assert await queue.start(10) == []


async def test_a_chat_has_one_message_in_flight_over_all_its_lanes(queue: PhoneQueue) -> None:
    await queue.put("a")
    (normal,) = await queue.start(10)
    urgent = await queue.put("a", priority=Priority.URGENT)
    other = await queue.put("b", priority=Priority.BULK)
    assert [one.job.job_id for one in await queue.start(10)] == [other]
    await queue.settle(normal, SENT)
    assert [one.job.job_id for one in await queue.start(10)] == [urgent]


async def test_urgent_messages_pass_others_of_their_chat(queue: PhoneQueue) -> None:
    bulk, normal, urgent = [
        await queue.put("a", priority=lane) for lane in (Priority.BULK, Priority.NORMAL, Priority.URGENT)
    ]
    assert [await queue.send_next() for _ in range(3)] == [urgent, normal, bulk]


async def test_older_messages_go_first_over_the_chats_of_a_lane(queue: PhoneQueue) -> None:
    wanted = [await queue.put(chat) for chat in "cabd"]
    assert [one.job.job_id for one in await queue.start(4)] == wanted


async def test_a_retry_holds_its_own_chat_only(queue: PhoneQueue) -> None:
    failing = await queue.put("a")
    behind = await queue.put("a")
    other = await queue.put("b")
    await queue.send_next(retry(2.0))
    assert [one.job.job_id for one in await queue.start(10)] == [other]
    queue.clock.advance(2)
    (again,) = await queue.start(10)
    assert again.job.job_id == failing
    await queue.settle(again, SENT)
    assert [one.job.job_id for one in await queue.start(10)] == [behind]


async def test_an_uncertain_message_holds_its_chat_until_the_time_out(queue: PhoneQueue) -> None:
    await queue.put("a")
    behind = await queue.put("a")
    await queue.send_next(uncertain(20.0))
    queue.clock.advance(19.9)
    assert await queue.start(10) == []
    queue.clock.advance(0.2)
    assert [one.job.job_id for one in await queue.start(10)] == [behind]


async def test_a_message_that_comes_while_its_chat_waits_goes_when_the_wait_is_over(queue: PhoneQueue) -> None:
    await queue.put("a")
    await queue.send_next(uncertain(20.0))
    late = await queue.put("a")
    assert await queue.start(10) == []
    queue.clock.advance(20)
    assert [one.job.job_id for one in await queue.start(10)] == [late]


async def test_a_wait_with_nothing_behind_it_leaves_no_lane(queue: PhoneQueue) -> None:
    await queue.put("a")
    await queue.send_next(uncertain(20.0))
    queue.clock.advance(20)
    assert await queue.start(10) == []
    assert await queue.rows("SELECT 1 FROM lanes") == []


async def test_a_chat_is_not_stuck_by_an_enqueue_at_the_moment_of_a_settle(queue: PhoneQueue) -> None:
    dice = random.Random(5)
    for round_no in range(15):
        await queue.put("a")
        (one,) = await queue.start()
        verdict = dice.choice([SENT, REFUSED])
        await asyncio.gather(*(queue.put("a") for _ in range(3)), queue.settle(one, verdict))
        ended = 0
        while started := await queue.start(10):
            await asyncio.gather(*(queue.settle(one, SENT) for one in started))
            ended += len(started)
        assert ended == 3, f"round {round_no}: the chat stands still"


async def test_a_lane_whose_head_is_no_waiting_message_is_repaired(queue: PhoneQueue) -> None:
    await queue.put("a")
    sent = await queue.send_next()
    waiting = await queue.put("a")
    rows = [(queue.org_no, queue.phone_no, "a@c.us", int(Priority.NORMAL), sent, 0, "ready", None, None, None)]
    await queue.stores.database.write(query, named.lanes_set(rows))
    assert await queue.start() == []
    assert [one.job.job_id for one in await queue.start()] == [waiting]


@pytest.mark.parametrize("how", ["sent", "receipt", "arrived"])
async def test_what_waits_in_another_lane_of_a_chat_is_to_a_known_one_once_the_first_has_arrived(
    queue: PhoneQueue, how: str
) -> None:
    await queue.put("a", priority=Priority.URGENT)
    normal = await queue.put("a")
    first = await queue.send_next(SENT if how == "sent" else uncertain(None))
    assert how == "sent" or await queue.start(new_limit=0) == []
    if how == "receipt":
        await queue.receipt(first, 1)
    if how == "arrived":
        now_us, arrived = queue.clock.now_us(), retry_and_resolve.Resolution.ARRIVED
        await queue.stores.database.write(retry_and_resolve.resolve, queue.org_no, first, arrived, "ada", now_us)
    (one,) = await queue.start(new_limit=0)
    assert (one.job.job_id, one.new_chat) == (normal, False)
