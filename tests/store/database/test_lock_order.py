"""PostgreSQL: whoever waits for whom, nobody waits in a circle."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from heliograph.ports.sender_store import Settlement, StartRequest
from heliograph.store.accounts import phones
from heliograph.store.jobs import retry_and_resolve
from heliograph.store.jobs.enqueue import enqueue
from heliograph.store.jobs.settle_and_start import settle_and_start
from tests.kit.store import SENT, Desk, make_shell, retry
from tests.store.stepwise_unit import Stepwise, locked, meeting_desk, waits

ROUNDS = 150


@pytest.fixture
async def desk(postgres_url: str) -> AsyncIterator[Desk]:
    async with meeting_desk(postgres_url) as opened:
        yield opened


def _wish(desk: Desk, limit: int = 5) -> StartRequest:
    return StartRequest(desk.phone_no, desk.org_no, desk.token, limit=limit)


async def test_a_retry_that_falls_due_and_a_batch_of_callers_wait_in_one_order(desk: Desk) -> None:
    await desk.put("z")
    (z,) = await desk.start()
    await desk.settle(z, retry(2.0))
    await desk.put("m")
    await desk.start()
    await desk.put("a")
    (a,) = await desk.start()
    desk.clock.turn(3)  # z is due
    third = await locked(desk.where, "m@c.us")
    callers = [desk.job("a"), desk.job("m"), desk.job("z")]
    now_us = desk.clock.now_us()
    batch = await waits(desk.where, desk.store.shell.write(lambda: enqueue(callers, now_us)))  # has a, waits for m
    owner = await waits(desk.where, desk.store.settle_and_start([desk.settlement(a, SENT)], [_wish(desk)]), others=1)
    await third.close()
    await asyncio.gather(batch, owner)


async def test_chats_that_go_on_and_a_batch_of_callers_wait_in_one_order(desk: Desk) -> None:
    """Two chats go on with what stands behind, and are told that they are known; a third, before them, ends."""
    for chat in "azz":
        await desk.put(chat)
    a, z = await desk.start(2)
    await desk.put("m")
    await desk.start()
    third = await locked(desk.where, "m@c.us")
    callers = [desk.job("a"), desk.job("m"), desk.job("z")]
    now_us = desk.clock.now_us()
    batch = await waits(desk.where, desk.store.shell.write(lambda: enqueue(callers, now_us)))
    ended = [desk.settlement(a, SENT), desk.settlement(z, SENT)]
    owner = await waits(desk.where, desk.store.settle_and_start(ended, [_wish(desk)]), others=1)
    await third.close()
    await asyncio.gather(batch, owner)


async def test_an_owner_with_many_retries_and_callers_of_the_same_chats_never_deadlock(desk: Desk) -> None:
    dice = random.Random(1)
    others = make_shell(desk.where, desk.clock)
    await others.open()
    chats = [f"c{n}" for n in range(60)]
    left = 2

    async def call() -> None:
        nonlocal left
        for _ in range(ROUNDS):
            jobs = [desk.job(dice.choice(chats)) for _ in range(40)]
            await others.write(lambda: enqueue(jobs, desk.clock.now_us()))  # noqa: B023
            await asyncio.sleep(0)
        left -= 1

    async def own() -> None:
        settlements: list[Settlement] = []
        while left or settlements:
            done = await desk.store.settle_and_start(settlements, [_wish(desk, 20)] if left else [])
            settlements = [desk.settlement(one, dice.choice([SENT, SENT, SENT, retry(0.05)])) for one in done.started]
            desk.clock.turn(0.02)

    await asyncio.gather(call(), call(), own())
    await others.close()


async def test_deleting_a_phone_and_its_owners_word_wait_in_one_order(desk: Desk) -> None:
    said = phones.phone_state(
        desk.org_no, desk.phone_no, desk.token, state="connected", detail="", now_us=desk.clock.now_us()
    )
    say = await (await Stepwise.begin(desk.where, said)).until("fence")
    gone = await waits(desk.where, desk.store.delete_phone(desk.org_no, desk.phone_no, "ada"))
    assert await say.end()
    assert await gone


async def test_a_message_that_is_to_go_at_once_and_its_own_end_wait_in_one_order(desk: Desk) -> None:
    """A person asks that it is tried now; meanwhile it fell due by itself, was started and ends."""
    await desk.put("a")
    (a,) = await desk.start()
    await desk.settle(a, retry(2.0))
    now_us = desk.clock.now_us()
    asked = retry_and_resolve.retry_now(desk.org_no, [a.job.job_id], "ada", now_us)
    hurry = await (await Stepwise.begin(desk.where, asked)).until("jobs_for_operator")
    desk.clock.turn(3)
    (again,) = await desk.start()
    settle = await Stepwise.begin(desk.where, settle_and_start([desk.settlement(again, SENT)], [], desk.clock.now_us()))
    await settle.until("jobs_sent")
    late = await waits(desk.where, hurry.end())
    assert (await settle.end()).settled == [True]
    assert await late == {a.job.job_id: "sent"}
