"""Tests of random operations in random order: counters, lanes and histories stay right, and all jobs end."""

from collections import Counter
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import NEVER_TRIED, Limits, Verdict, interrupted
from heliograph.ports.provider import Inbound
from heliograph.ports.stores.sender_store import Settlement, Started
from heliograph.store.control import holds
from heliograph.store.jobs import retry_and_resolve
from heliograph.store.jobs.expire import expire_step
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry, uncertain

_VERDICTS = (
    SENT,
    REFUSED,
    retry(2.0),
    retry(3.0, maybe_sent=True),
    uncertain(20.0),
    uncertain(None),
    NEVER_TRIED,
    Verdict(State.QUEUED, "throttled", "throttled", "Wait.", lane_wait_s=1.0, uncounted=True),
    Verdict(State.QUEUED, "held", "offline", "Offline.", uncounted=True),
)
_chat = st.sampled_from("abc")
_which = st.integers(0, 30)
_op = st.one_of(
    st.tuples(st.just("put"), _chat, st.sampled_from(Priority), st.sampled_from([None, None, None, 4.0])),
    st.tuples(st.just("put"), _chat, st.just(Priority.NORMAL), st.none()),
    st.tuples(st.just("start"), st.integers(1, 3), st.integers(0, 3)),
    st.tuples(st.just("settle"), _which, st.sampled_from(_VERDICTS)),
    st.tuples(st.just("settle_and_start"), _which, st.sampled_from(_VERDICTS)),
    st.tuples(st.just("receipt"), _which, st.lists(st.sampled_from([-1, 1, 2, 3, 4, 5]), min_size=1, max_size=3)),
    st.tuples(st.just("turn"), st.sampled_from([0.5, 2.5, 21.0])),
    st.tuples(st.just("purge")),
    st.tuples(st.just("purge_one"), _which),
    st.tuples(st.just("expire")),
    st.tuples(st.just("take_over")),
    st.tuples(st.just("hear"), _chat),
    st.tuples(st.just("hold"), _chat),
    st.tuples(st.just("release"), _chat),
    st.tuples(st.just("retry_now"), _which),
    st.tuples(st.just("resolve"), _which, st.sampled_from(retry_and_resolve.Resolution)),
)
_numbers = count(1)


class _Operations:
    """One phone, its messages, and those in flight as its present owner knows them."""

    def __init__(self, queue: PhoneQueue) -> None:
        self.queue = queue
        self.jobs: list[JobId] = []
        self.under_way: list[Started] = []
        self.senders = count(1)

    def pick(self, which: int) -> JobId | None:
        return self.jobs[which % len(self.jobs)] if self.jobs else None

    async def do(self, name: str, *more: Any) -> None:
        await getattr(self, f"_{name}")(*more)

    async def _put(self, chat: str, lane: Priority, expires_s: float | None) -> None:
        at = None if expires_s is None else self.queue.clock.now_us() + round(expires_s * 1e6)
        self.jobs.append(await self.queue.put(chat, priority=lane, expires_at_us=at))

    async def _start(self, limit: int, new_limit: int) -> None:
        self.under_way += await self.queue.start(limit, new_limit=new_limit)
        chats = Counter(one.job.chat_id for one in self.under_way)
        assert all(many == 1 for many in chats.values()), "two messages of one chat are on their way"

    async def _settle(self, which: int, verdict: Verdict) -> None:
        if self.under_way:
            one = self.under_way.pop(which % len(self.under_way))
            await self.queue.settle(one, verdict)

    async def _settle_and_start(self, which: int, verdict: Verdict) -> None:
        if self.under_way:
            one = self.under_way.pop(which % len(self.under_way))
            request = self.queue.start_request(2)
            done = await self.queue.stores.sender.settle_and_start([self.queue.settlement(one, verdict)], [request])
            self.under_way += done.started

    async def _receipt(self, which: int, acks: list[int]) -> None:
        if job_id := self.pick(which):
            await self.queue.receipt(job_id, *acks)

    async def _turn(self, seconds: float) -> None:
        self.queue.clock.advance(seconds)

    async def _purge(self) -> None:
        await self.queue.stores.jobs.purge(self.queue.org_no, self.queue.phone_no)

    async def _purge_one(self, which: int) -> None:
        if job_id := self.pick(which):
            await self.queue.stores.jobs.purge(self.queue.org_no, None, job_ids=[job_id])

    async def _expire(self) -> None:
        queue = self.queue
        await queue.stores.database.write(expire_step, queue.org_no, queue.phone_no, queue.clock.now_us())

    async def _take_over(self) -> None:
        """Gives the phone to another sender, which settles the interrupted attempts."""
        queue = self.queue
        await queue.take_over(f"sender-{next(self.senders)}")
        found = await queue.stores.sender.interrupted_jobs(queue.org_no, queue.phone_no, queue.token)
        assert {job.job_id for job, _ in found} == {one.job.job_id for one in self.under_way}
        verdicts = [
            interrupted(starts=job.starts, honours_client_id=job.job_id % 2 == 0, limits=Limits()) for job, _ in found
        ]
        settlements = [
            Settlement(job, queue.token, token, verdict) for (job, token), verdict in zip(found, verdicts, strict=True)
        ]
        await queue.stores.sender.settle_and_start(settlements, [])
        late, self.under_way = self.under_way, []
        for one in late:  # the former owner comes too late, under its own token and under the new one
            assert (await queue.try_settle(one, SENT, token=one.token)).settled == [False]
            assert (await queue.try_settle(one, SENT)).settled == [False]

    async def _hear(self, chat: str) -> None:
        at = self.queue.clock.now_us()
        inbound = Inbound(f"M{next(_numbers)}", f"{chat}@c.us", f"{chat}@c.us", at, "chat", "hello")
        await self.queue.stores.sender.keep_inbound(self.queue.phone_no, self.queue.org_no, [inbound])

    async def _hold(self, chat: str) -> None:
        queue, what = self.queue, f"chat:{chat}@c.us"
        now_us = queue.clock.now_us()
        await queue.stores.database.write(holds.hold, queue.org_no, queue.phone_no, what, "ada", "", now_us)

    async def _release(self, chat: str) -> None:
        queue = self.queue
        await queue.stores.database.write(holds.release_chat, queue.org_no, queue.phone_no, f"{chat}@c.us")

    async def _retry_now(self, which: int) -> None:
        queue, job_id = self.queue, self.pick(which)
        if job_id:
            now_us = queue.clock.now_us()
            await queue.stores.database.write(retry_and_resolve.retry_now, queue.org_no, [job_id], "ada", now_us)

    async def _resolve(self, which: int, how: retry_and_resolve.Resolution) -> None:
        queue, job_id = self.queue, self.pick(which)
        if job_id:
            now_us = queue.clock.now_us()
            await queue.stores.database.write(retry_and_resolve.resolve, queue.org_no, job_id, how, "ada", now_us)

    async def drain(self) -> None:
        """Sends every message that can be sent; then none is waiting."""
        for chat in "abc":
            await self._release(chat)
        for _ in range(3 * len(self.jobs) + 3):
            for one in self.under_way:
                await self.queue.settle(one, SENT)
            self.queue.clock.advance(30)
            self.under_way = await self.queue.start(10)
        assert self.under_way == []
        left = [job for job in await self.all() if job.state in (State.QUEUED, State.SENDING)]
        assert left == [], "messages that nothing leads to"

    async def all(self) -> list[Job]:
        return await self.queue.stores.jobs.jobs(self.queue.org_no, self.queue.phone_no)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(ops=st.lists(_op, min_size=4, max_size=40))
async def test_any_order_of_events_leaves_a_queue_that_adds_up(queue: PhoneQueue, ops: list[tuple[Any, ...]]) -> None:
    phone = await queue.add_phone(f"9{next(_numbers):011d}")
    operations = _Operations(phone)
    for op in ops:
        await operations.do(*op)
    await phone.audit()
    await operations.drain()
    await phone.audit()
    health = await phone.stores.jobs.health(phone.org_no, phone.phone_no)
    states = Counter(job.state for job in await operations.all())
    assert (health.waiting, health.active, health.completed) == (0, states[State.UNCERTAIN], states[State.SENT])
