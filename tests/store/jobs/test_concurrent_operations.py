"""Everybody at once: callers, two phones' owners, receipts, purges, sweeps and people. Then the books must balance."""

import asyncio
import random

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import Priority, State
from heliograph.ports.provider import Inbound
from heliograph.ports.sender_store import Settlement, StartRequest
from heliograph.store.jobs import retry_and_resolve
from heliograph.store.jobs.expire import expire_step
from tests.kit.store import REFUSED, SENT, Desk, another_phone, retry, uncertain

CHATS = "abcdef"
EACH = 60  # messages of each of six callers


class _Crowd:
    def __init__(self, desks: list[Desk]) -> None:
        self.desks = desks
        self.dice = random.Random(3)
        self.jobs: list[tuple[Desk, JobId]] = []
        self.callers = 0

    @property
    def busy(self) -> bool:
        return self.callers > 0

    async def call(self) -> None:
        self.callers += 1
        for n in range(EACH):
            desk, lane = self.dice.choice(self.desks), self.dice.choice(list(Priority))
            expires = desk.clock.now_us() + 30_000_000 if n % 7 == 0 else None
            key = f"key{self.dice.randrange(40)}" if n % 5 == 0 else None
            job = desk.job(self.dice.choice(CHATS), lane=lane, expires_at_us=expires, key=key, body="hello")
            made = await desk.put_job(job)
            if isinstance(made, Enqueued) and not made.replayed:
                self.jobs.append((desk, made.job_id))
        self.callers -= 1

    async def own(self, desk: Desk) -> None:
        settlements: list[Settlement] = []
        while self.busy or settlements:
            wish = StartRequest(desk.phone_no, desk.org_no, desk.token, limit=4)
            done = await desk.store.settle_and_start(settlements, [wish] if self.busy else [])
            assert all(done.settled)
            assert not done.lost
            settlements = []
            for one in done.started:
                verdict = self.dice.choice([SENT, SENT, SENT, REFUSED, retry(1.0), retry(1.0, maybe_sent=True),
                                            uncertain(5.0)])  # fmt: skip
                settlements.append(desk.settlement(one, verdict))
            desk.clock.turn(0.2)

    async def tell(self) -> None:
        while self.busy:
            await asyncio.sleep(0.002)
            if self.jobs:
                desk, job_id = self.dice.choice(self.jobs)
                await desk.receipt(job_id, self.dice.choice([1, 2, 3, 4, -1]))
                person = f"{self.dice.choice(CHATS)}@c.us"
                heard = Inbound(f"M{self.dice.random()}", person, person, desk.clock.now_us(), "chat", "hello")
                await desk.store.inbound(desk.phone_no, desk.org_no, [heard])

    async def steer(self) -> None:
        while self.busy:
            await asyncio.sleep(0.003)
            if not self.jobs:
                continue
            some = self.dice.sample(self.jobs, min(len(self.jobs), 5))
            org_no, ids = some[0][0].org_no, [job_id for _, job_id in some]
            now_us = some[0][0].clock.now_us()
            shell = some[0][0].store.shell
            match self.dice.randrange(4):
                case 0:
                    await some[0][0].store.purge(org_no, None, job_ids=ids)
                case 1:
                    await shell.write(lambda: retry_and_resolve.retry_now(org_no, ids, "ada", now_us))  # noqa: B023
                case 2:
                    how = self.dice.choice(list(retry_and_resolve.Resolution))
                    await shell.write(lambda: retry_and_resolve.resolve(org_no, ids[0], how, "ada", now_us))  # noqa: B023
                case 3:
                    phone_no = some[0][0].phone_no
                    await shell.write(lambda: expire_step(org_no, phone_no, now_us))  # noqa: B023


async def test_everybody_at_once_leaves_queues_that_add_up(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    crowd = _Crowd([desk, other])
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(crowd.call())
        await asyncio.sleep(0)
        for one in crowd.desks:
            group.create_task(crowd.own(one))
        for _ in range(2):
            group.create_task(crowd.tell())
            group.create_task(crowd.steer())
    await desk.audit()
    for one in crowd.desks:
        # nothing started may also mean that every head was past its expiry: what stands behind them comes next
        for _ in range(1000):
            if not await one.look(f"SELECT 1 FROM jobs WHERE state = 'queued' AND phone_no = {one.phone_no} LIMIT 1"):
                break
            one.clock.turn(30)
            started = await one.start(20)
            assert all((await one.store.settle_and_start([one.settlement(each, SENT) for each in started], [])).settled)
    await desk.audit()
    states = {row["state"] for row in await desk.look("SELECT DISTINCT state FROM jobs")}
    assert State.QUEUED.value not in states
    assert State.SENDING.value not in states
