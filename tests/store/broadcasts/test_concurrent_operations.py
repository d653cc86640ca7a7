"""Tests of concurrent work on a broadcast: its owner, the enqueuing service, operators and other senders."""

import asyncio
import random
from collections import Counter

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from tests.kit.clocks import SECOND_US
from tests.kit.factories import recipients
from tests.kit.phone_queue import FAILED, SENT, PhoneQueue

RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=0.001)
UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=0.001, maybe_sent=True)
COUNT = 600


async def test_concurrent_operations_send_once_to_each_recipient_and_keep_true_counters(
    queue: PhoneQueue,
) -> None:
    dice = random.Random(11)
    made, _ = await queue.stores.broadcasts.create_broadcast(
        NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, Content(Kind.TEXT, "Hi"), delay_s=0.0),
        recipients(COUNT),
    )
    chats = [r.chat_id for r in recipients(COUNT)]
    accepted: Counter[int] = Counter()
    busy = asyncio.Event()

    async def owner() -> None:
        while not busy.is_set():
            queue.clock.advance(0.05)
            for one in await queue.start(20):
                kind = dice.random()
                verdict = SENT if kind < 0.8 else RETRY if kind < 0.9 else FAILED if kind < 0.95 else UNCERTAIN
                await queue.settle(one, verdict)
                if verdict is SENT:
                    accepted[one.job.job_id] += 1
            await asyncio.sleep(0)

    async def feeder() -> None:
        while not busy.is_set():
            await queue.stores.broadcasts.enqueue_recipients()
            await asyncio.sleep(0.002)

    async def people() -> None:
        for n in range(40):
            chat = dice.choice(chats)
            await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, chat, "a")
            await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "a")
            await queue.stores.control.retry_failed(
                queue.org_no, queue.phone_no, queue.clock.us - 3_600 * SECOND_US, "a"
            )
            await queue.stores.broadcasts.resume_broadcast(queue.org_no, made, "b")
            await queue.stores.control.resume_chat(queue.org_no, queue.phone_no, chat, "b")
            if n % 5 == 0:
                await queue.stores.control.pause_phone(queue.org_no, queue.phone_no, "a")
                await queue.stores.control.resume_phone(queue.org_no, queue.phone_no, "b")

    async def singles() -> None:
        for n in range(60):
            job = await queue.put_text(dice.choice(chats) if n % 2 else f"91999{n:07d}@c.us", expires_at_us=None)
            if n % 3 == 0:
                await queue.stores.jobs.purge(queue.org_no, None, job_ids=[job.job_id], actor="c")
            await queue.stores.maintenance.expire_jobs()

    workers = [asyncio.create_task(work()) for work in (owner, feeder)]
    await asyncio.gather(people(), singles())
    await _until_quiet(queue)
    busy.set()
    await asyncio.gather(*workers)
    await _finish(queue)
    jobs = [job for job in await queue.stores.jobs.jobs(queue.org_no, None) if job.broadcast_no == made]
    assert sorted(job.chat_id for job in jobs) == sorted(chats)
    assert {job.state for job in jobs} <= {State.SENT, State.UNCERTAIN}
    assert set(accepted.values()) == {1}
    health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
    uncertain = sum(job.state is State.UNCERTAIN for job in await queue.stores.jobs.jobs(queue.org_no, None))
    assert (health.waiting, health.active) == (0, uncertain)
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made)
    assert row is not None
    assert (row.enqueued, row.failed, row.sent) == (COUNT, 0, sum(job.state is State.SENT for job in jobs))
    for job in jobs[::25]:
        history = await queue.stores.jobs.history(queue.org_no, job.job_id)
        assert [event.n for event in history] == list(range(1, len(history) + 1))


async def _until_quiet(queue: PhoneQueue) -> None:
    for _ in range(2_000):
        health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
        row = (await queue.stores.broadcasts.broadcasts(queue.org_no, None))[0]
        if health.waiting == 0 and row.enqueued == COUNT:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to an end")


async def _finish(queue: PhoneQueue) -> None:
    """Retries failed messages until none is left; uncertain ones stay."""
    for _ in range(200):
        queue.clock.advance(1)
        await queue.stores.control.retry_failed(queue.org_no, queue.phone_no, queue.clock.us - 7_200 * SECOND_US, "a")
        await queue.stores.broadcasts.enqueue_recipients()
        await queue.run(50)
        health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
        failed = [job for job in await queue.stores.jobs.jobs(queue.org_no, None) if job.state is State.FAILED]
        if health.waiting == 0 and not failed:
            return
    raise AssertionError("it does not come to an end")
