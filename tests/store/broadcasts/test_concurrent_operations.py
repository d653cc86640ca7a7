"""Everybody at once: the owner, the feeder, people who steer, and senders of single messages."""

import asyncio
import random
from collections import Counter

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from tests.store.control_setup import FAILED, SENT, S, World, recipients

RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=0.001)
UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=0.001, maybe_sent=True)
COUNT = 600


async def test_whatever_happens_at_once_every_recipient_is_sent_to_once_and_the_counters_agree(world: World) -> None:
    dice = random.Random(11)
    made, _ = await world.steering.broadcast(
        NewBroadcast(world.ids.make(), world.org_no, world.phone_no, Content(Kind.TEXT, "Hi"), delay_s=0.0),
        recipients(COUNT),
    )
    chats = [r.chat_id for r in recipients(COUNT)]
    accepted: Counter[int] = Counter()
    busy = asyncio.Event()

    async def owner() -> None:
        while not busy.is_set():
            world.clock.advance(0.05)
            for one in await world.start(20):
                kind = dice.random()
                verdict = SENT if kind < 0.8 else RETRY if kind < 0.9 else FAILED if kind < 0.95 else UNCERTAIN
                await world.settle(one, verdict)
                if verdict is SENT:
                    accepted[one.job.job_id] += 1
            await asyncio.sleep(0)

    async def feeder() -> None:
        while not busy.is_set():
            await world.steering.feed()
            await asyncio.sleep(0.002)

    async def people() -> None:
        for n in range(40):
            chat = dice.choice(chats)
            await world.steering.pause_chat(world.org_no, world.phone_no, chat, "a")
            await world.steering.pause_broadcast(world.org_no, made, "a")
            await world.steering.retry_failed(world.org_no, world.phone_no, world.clock.us - 3_600 * S, "a")
            await world.steering.resume_broadcast(world.org_no, made, "b")
            await world.steering.resume_chat(world.org_no, world.phone_no, chat, "b")
            if n % 5 == 0:
                await world.steering.pause_phone(world.org_no, world.phone_no, "a")
                await world.steering.resume_phone(world.org_no, world.phone_no, "b")

    async def singles() -> None:
        for n in range(60):
            job = await world.send(dice.choice(chats) if n % 2 else f"91999{n:07d}@c.us", expires_at_us=None)
            if n % 3 == 0:
                await world.store.purge(world.org_no, None, job_ids=[job.job_id], actor="c")
            await world.steering.expire()

    workers = [asyncio.create_task(work()) for work in (owner, feeder)]
    await asyncio.gather(people(), singles())
    await _until_quiet(world)
    busy.set()
    await asyncio.gather(*workers)
    await _finish(world)
    jobs = [job for job in await world.store.jobs(world.org_no, None) if job.broadcast_no == made]
    assert sorted(job.chat_id for job in jobs) == sorted(chats)
    assert {job.state for job in jobs} <= {State.SENT, State.UNCERTAIN}
    assert set(accepted.values()) == {1}
    health = await world.store.health(world.org_no, world.phone_no)
    uncertain = sum(job.state is State.UNCERTAIN for job in await world.store.jobs(world.org_no, None))
    assert (health.waiting, health.active) == (0, uncertain)
    row = await world.steering.broadcast_row(world.org_no, made)
    assert row is not None
    assert (row.enqueued, row.failed, row.sent) == (COUNT, 0, sum(job.state is State.SENT for job in jobs))
    for job in jobs[::25]:
        history = await world.store.history(world.org_no, job.job_id)
        assert [event.n for event in history] == list(range(1, len(history) + 1))


async def _until_quiet(world: World) -> None:
    for _ in range(2_000):
        health = await world.store.health(world.org_no, world.phone_no)
        row = (await world.steering.broadcasts(world.org_no, None))[0]
        if health.waiting == 0 and row.enqueued == COUNT:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to an end")


async def _finish(world: World) -> None:
    """What failed is sent again until nothing is left; uncertain ones stay."""
    for _ in range(200):
        world.clock.advance(1)
        await world.steering.retry_failed(world.org_no, world.phone_no, world.clock.us - 7_200 * S, "a")
        await world.steering.feed()
        await world.step(50)
        health = await world.store.health(world.org_no, world.phone_no)
        failed = [job for job in await world.store.jobs(world.org_no, None) if job.state is State.FAILED]
        if health.waiting == 0 and not failed:
            return
    raise AssertionError("it does not come to an end")
