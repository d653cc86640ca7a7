"""Order within a chat and lane; what waits holds its own chat only."""

import asyncio
import random

import pytest

from heliograph.domain.jobs.states import Priority
from heliograph.store.database import named
from heliograph.store.database.unit import query
from heliograph.store.jobs import retry_and_resolve
from tests.store.world import REFUSED, SENT, Desk, retry, uncertain


async def test_a_chat_has_one_message_on_its_way(desk: Desk) -> None:
    first = await desk.put("a")
    await desk.put("a")
    assert [one.job.job_id for one in await desk.start(10)] == [first]
    assert await desk.start(10) == []


async def test_a_chat_has_one_message_on_its_way_over_all_its_lanes(desk: Desk) -> None:
    await desk.put("a")
    (normal,) = await desk.start(10)
    urgent = await desk.put("a", lane=Priority.URGENT)
    other = await desk.put("b", lane=Priority.BULK)
    assert [one.job.job_id for one in await desk.start(10)] == [other]
    await desk.settle(normal, SENT)
    assert [one.job.job_id for one in await desk.start(10)] == [urgent]


async def test_urgent_messages_pass_others_of_their_chat(desk: Desk) -> None:
    bulk, normal, urgent = [
        await desk.put("a", lane=lane) for lane in (Priority.BULK, Priority.NORMAL, Priority.URGENT)
    ]
    assert [await desk.send() for _ in range(3)] == [urgent, normal, bulk]


async def test_older_messages_go_first_over_the_chats_of_a_lane(desk: Desk) -> None:
    wanted = [await desk.put(chat) for chat in "cabd"]
    assert [one.job.job_id for one in await desk.start(4)] == wanted


async def test_a_retry_holds_its_own_chat_only(desk: Desk) -> None:
    failing = await desk.put("a")
    behind = await desk.put("a")
    other = await desk.put("b")
    await desk.send(retry(2.0))
    assert [one.job.job_id for one in await desk.start(10)] == [other]
    desk.clock.turn(2)
    (again,) = await desk.start(10)
    assert again.job.job_id == failing
    await desk.settle(again, SENT)
    assert [one.job.job_id for one in await desk.start(10)] == [behind]


async def test_an_uncertain_message_holds_its_chat_until_the_time_out(desk: Desk) -> None:
    await desk.put("a")
    behind = await desk.put("a")
    await desk.send(uncertain(20.0))
    desk.clock.turn(19.9)
    assert await desk.start(10) == []
    desk.clock.turn(0.2)
    assert [one.job.job_id for one in await desk.start(10)] == [behind]


async def test_a_message_that_comes_while_its_chat_waits_goes_when_the_wait_is_over(desk: Desk) -> None:
    await desk.put("a")
    await desk.send(uncertain(20.0))
    late = await desk.put("a")
    assert await desk.start(10) == []
    desk.clock.turn(20)
    assert [one.job.job_id for one in await desk.start(10)] == [late]


async def test_a_wait_with_nothing_behind_it_leaves_no_lane(desk: Desk) -> None:
    await desk.put("a")
    await desk.send(uncertain(20.0))
    desk.clock.turn(20)
    assert await desk.start(10) == []
    assert await desk.look("SELECT 1 FROM lanes") == []


async def test_a_chat_is_not_stuck_by_an_enqueue_at_the_moment_of_a_settle(desk: Desk) -> None:
    dice = random.Random(5)
    for round_no in range(15):
        await desk.put("a")
        (one,) = await desk.start()
        verdict = dice.choice([SENT, REFUSED])
        await asyncio.gather(*(desk.put("a") for _ in range(3)), desk.settle(one, verdict))
        ended = 0
        while started := await desk.start(10):
            await asyncio.gather(*(desk.settle(one, SENT) for one in started))
            ended += len(started)
        assert ended == 3, f"round {round_no}: the chat stands still"


async def test_a_lane_whose_head_is_no_waiting_message_mends_itself(desk: Desk) -> None:
    await desk.put("a")
    sent = await desk.send()
    waiting = await desk.put("a")
    rows = [(desk.org_no, desk.phone_no, "a@c.us", int(Priority.NORMAL), sent, 0, "ready", None, None, None)]
    await desk.store.shell.write(lambda: query(named.lanes_set(rows)))
    assert await desk.start() == []
    assert [one.job.job_id for one in await desk.start()] == [waiting]


@pytest.mark.parametrize("how", ["sent", "receipt", "arrived"])
async def test_what_waits_in_another_lane_of_a_chat_is_to_a_known_one_once_the_first_has_arrived(
    desk: Desk, how: str
) -> None:
    await desk.put("a", lane=Priority.URGENT)
    normal = await desk.put("a")
    first = await desk.send(SENT if how == "sent" else uncertain(None))
    assert how == "sent" or await desk.start(new_limit=0) == []
    if how == "receipt":
        await desk.receipt(first, 1)
    if how == "arrived":
        now_us, arrived = desk.clock.now_us(), retry_and_resolve.Resolution.ARRIVED
        await desk.store.shell.write(lambda: retry_and_resolve.resolve(desk.org_no, first, arrived, "ada", now_us))
    (one,) = await desk.start(new_limit=0)
    assert (one.job.job_id, one.new_chat) == (normal, False)
