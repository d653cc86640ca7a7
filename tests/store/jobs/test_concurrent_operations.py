"""Tests of concurrent work on a queue: callers, owners, receipts, purges, sweeps and operators; then an audit."""

import asyncio
import random

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import Priority, State
from heliograph.ports.provider import Inbound
from heliograph.ports.stores.sender_store import Settlement
from heliograph.store.jobs import retry_and_resolve
from heliograph.store.jobs.expire import expire_step
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry, uncertain

CHATS = "abcdef"
EACH = 60  # messages of each of six callers


class _Workload:
    def __init__(self, queues: list[PhoneQueue]) -> None:
        self.queues = queues
        self.dice = random.Random(3)
        self.jobs: list[tuple[PhoneQueue, JobId]] = []
        self.callers = 0

    @property
    def busy(self) -> bool:
        return self.callers > 0

    async def call(self) -> None:
        self.callers += 1
        for n in range(EACH):
            queue, lane = self.dice.choice(self.queues), self.dice.choice(list(Priority))
            expires = queue.clock.now_us() + 30_000_000 if n % 7 == 0 else None
            key = f"key{self.dice.randrange(40)}" if n % 5 == 0 else None
            job = queue.new_job(self.dice.choice(CHATS), priority=lane, expires_at_us=expires, key=key, body="hello")
            made = await queue.stores.jobs.enqueue(job)
            if isinstance(made, Enqueued) and not made.replayed:
                self.jobs.append((queue, made.job_id))
        self.callers -= 1

    async def own(self, queue: PhoneQueue) -> None:
        settlements: list[Settlement] = []
        while self.busy or settlements:
            request = queue.start_request(4)
            done = await queue.stores.sender.settle_and_start(settlements, [request] if self.busy else [])
            assert all(done.settled)
            assert not done.lost
            settlements = []
            for one in done.started:
                verdict = self.dice.choice([SENT, SENT, SENT, REFUSED, retry(1.0), retry(1.0, maybe_sent=True),
                                            uncertain(5.0)])  # fmt: skip
                settlements.append(queue.settlement(one, verdict))
            queue.clock.advance(0.2)

    async def report_receipts(self) -> None:
        while self.busy:
            await asyncio.sleep(0.002)
            if self.jobs:
                queue, job_id = self.dice.choice(self.jobs)
                await queue.receipt(job_id, self.dice.choice([1, 2, 3, 4, -1]))
                person = f"{self.dice.choice(CHATS)}@c.us"
                inbound = Inbound(f"M{self.dice.random()}", person, person, queue.clock.now_us(), "chat", "hello")
                await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, [inbound])

    async def operate(self) -> None:
        while self.busy:
            await asyncio.sleep(0.003)
            if not self.jobs:
                continue
            some = self.dice.sample(self.jobs, min(len(self.jobs), 5))
            org_no, ids = some[0][0].org_no, [job_id for _, job_id in some]
            now_us = some[0][0].clock.now_us()
            database = some[0][0].stores.database
            match self.dice.randrange(4):
                case 0:
                    await some[0][0].stores.jobs.purge(org_no, None, job_ids=ids)
                case 1:
                    await database.write(retry_and_resolve.retry_now, org_no, ids, "ada", now_us)
                case 2:
                    how = self.dice.choice(list(retry_and_resolve.Resolution))
                    await database.write(retry_and_resolve.resolve, org_no, ids[0], how, "ada", now_us)
                case 3:
                    phone_no = some[0][0].phone_no
                    await database.write(expire_step, org_no, phone_no, now_us)


async def test_concurrent_operations_leave_counters_that_add_up(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    workload = _Workload([queue, other])
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(workload.call())
        await asyncio.sleep(0)
        for one in workload.queues:
            group.create_task(workload.own(one))
        for _ in range(2):
            group.create_task(workload.report_receipts())
            group.create_task(workload.operate())
    await queue.audit()
    for one in workload.queues:
        # nothing started may also mean that every head was past its expiry: what stands behind them comes next
        for _ in range(1000):
            if not await one.rows(f"SELECT 1 FROM jobs WHERE state = 'queued' AND phone_no = {one.phone_no} LIMIT 1"):
                break
            one.clock.advance(30)
            started = await one.start(20)
            assert all(
                (await one.stores.sender.settle_and_start([one.settlement(each, SENT) for each in started], [])).settled
            )
    await queue.audit()
    states = {row["state"] for row in await queue.rows("SELECT DISTINCT state FROM jobs")}
    assert State.QUEUED.value not in states
    assert State.SENDING.value not in states
