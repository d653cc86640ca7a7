"""Tests of broadcasts whose loading or cancelling is interrupted: no recipient gets two messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.errors import Conflict, Unavailable
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.ports.stores.sender_store import Started
from heliograph.store.broadcast_store import SqlBroadcastStore
from heliograph.store.broadcasts import lifecycle
from heliograph.store.broadcasts.cleanup import clean_up
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import query
from tests.kit.database import Location
from tests.kit.factories import recipients
from tests.kit.phone_queue import PhoneQueue, phone_queue
from tests.store.broadcasts.test_broadcasts import new, row_of

Then = Callable[[Any], Awaitable[None]]
MAYBE = Verdict(State.QUEUED, "retry", "answer_lost", "Lost.", lane_wait_s=2.0, maybe_sent=True)


async def nothing(_value: object) -> None:
    """Does nothing between two transactions."""


class Between:
    """A database that calls `read` or `wrote` with the result of each transaction."""

    def __init__(self, queue: PhoneQueue, *, wrote: Then = nothing, read: Then = nothing) -> None:
        self._database, self._wrote, self._read = queue.stores.database, wrote, read

    async def write(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        value = await self._database.write(unit, *args, **kwargs)
        await self._wrote(value)
        return value

    async def read(self, unit: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        value = await self._database.read(unit, *args, **kwargs)
        await self._read(value)
        return value


def interrupted_control(queue: PhoneQueue, wrote: Then) -> SqlBroadcastStore:
    database: Any = Between(queue, wrote=wrote)
    return SqlBroadcastStore(database, queue.clock, queue.ids)


@pytest.mark.parametrize("lost", [Unavailable("The answer was lost.", retry_after_s=1), asyncio.CancelledError()])
async def test_the_key_of_a_broadcast_that_began_stays_its_own(queue: PhoneQueue, lost: BaseException) -> None:
    key = Idempotency("k1", b"same")
    first = new(queue, idempotency=key)
    begun: list[bool] = []

    async def cut(value: object) -> None:
        if value is True and (await broadcast_state(queue, first)) == "running" and not begun:
            begun.append(True)
            raise lost

    with pytest.raises(type(lost)):
        await interrupted_control(queue, cut).create_broadcast(first, recipients(3))
    assert begun
    assert await queue.stores.broadcasts.create_broadcast(new(queue, idempotency=key), recipients(3)) == (
        first.broadcast_no,
        True,
    )
    assert len(await queue.drain()) == 3


async def broadcast_state(queue: PhoneQueue, made: NewBroadcast) -> str | None:
    row = await queue.stores.broadcasts.broadcast(queue.org_no, made.broadcast_no)
    return None if row is None else row.state


async def begin_to_load(queue: PhoneQueue, made: NewBroadcast, count: int) -> None:
    now_us = queue.clock.now_us()
    await queue.stores.database.write(lifecycle.create, made, now_us)
    rows = [(n, r.chat_id, r.variables, queue.ids.make()) for n, r in enumerate(recipients(count))]
    assert await queue.stores.database.write(lifecycle.load_broadcast, queue.org_no, made.broadcast_no, rows)


async def test_the_key_of_an_interrupted_load_is_free_after_its_cleanup(location: Location) -> None:
    key = Idempotency("k2", b"same")
    async with phone_queue(location) as queue:
        cut = new(queue, idempotency=key)
        await begin_to_load(queue, cut, 3)
        clock = queue.clock
    async with phone_queue(location, clock) as queue:
        with pytest.raises(Conflict):
            await queue.stores.broadcasts.create_broadcast(new(queue, idempotency=key), recipients(3))
        queue.clock.advance(3_600)
        await queue.stores.broadcasts.clean_up_broadcasts(0)
        assert (await queue.stores.broadcasts.create_broadcast(new(queue, idempotency=key), recipients(3)))[1] is False
        assert len(await queue.drain()) == 3


async def test_a_load_that_failed_leaves_nothing_behind(queue: PhoneQueue) -> None:
    key = Idempotency("k3", b"same")
    failing = new(queue, idempotency=key)
    loads = []

    async def cut(value: object) -> None:
        loads.append(value)
        if len(loads) == 2:
            raise Unavailable("The disk is full.")

    with pytest.raises(Unavailable):
        await interrupted_control(queue, cut).create_broadcast(failing, recipients(3))
    assert (await queue.stores.broadcasts.create_broadcast(new(queue, idempotency=key), recipients(3)))[1] is False
    queue.clock.advance(3_600)
    await queue.stores.broadcasts.clean_up_broadcasts(0)
    where = {"org_no": queue.org_no, "broadcast_no": failing.broadcast_no}
    assert await queue.stores.database.read(query, named.recipients_from(n=0, limit=9, **where)) == []


async def test_a_load_that_is_cleaned_up_while_it_begins_harms_no_broadcast(queue: PhoneQueue) -> None:
    slow = new(queue)
    await begin_to_load(queue, slow, 3)
    queue.clock.advance(601)
    writes, begun = [], []

    async def begin(value: object) -> None:
        writes.append(value)
        if len(writes) == 1:  # its last chunk was slow, and now it begins
            begun.append(await queue.stores.database.write(lifecycle.begin, slow, 3))

    await clean_up(cast(Database, Between(queue, wrote=begin)), queue.clock, 0)
    assert begun == [False]
    assert not await queue.stores.database.write(lifecycle.load_broadcast, queue.org_no, slow.broadcast_no, [])
    other, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(3, 100))
    await queue.drain()
    assert (await row_of(queue, other)).sent == 3


async def test_a_broadcast_that_is_cleaned_up_while_its_messages_are_retried_stays(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(3))
    await queue.drain()
    queue.clock.advance(86_400)

    async def reopen(_value: object) -> None:
        now_us = queue.clock.now_us()
        await queue.stores.database.write(lifecycle.reopen, queue.org_no, made, now_us)

    await clean_up(cast(Database, Between(queue, read=reopen)), queue.clock, queue.clock.us)
    await queue.drain()
    assert (await row_of(queue, made)).state == "completed"


async def met_while_paused(queue: PhoneQueue, made: JobId) -> Started:
    """Starts a message whose first answer is lost: it waits for its retry, and is held by the pause."""
    await queue.stores.broadcasts.enqueue_recipients()
    (one,) = await queue.start()
    await queue.settle(one, MAYBE)
    await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "ada")
    queue.clock.advance(5)
    assert await queue.start(5) == []
    return one


async def test_a_message_of_a_cancelled_broadcast_that_may_have_been_sent_continues(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(1))
    one = await met_while_paused(queue, made)
    await queue.stores.broadcasts.cancel_broadcast(queue.org_no, made, "ada")
    assert await queue.stores.control.holds(queue.org_no, queue.phone_no) == []
    single = await queue.put_text(one.job.chat_id, "an answer", priority=Priority(one.job.priority))
    assert [job.job_id for _ in range(2) for job in await queue.run(5)] == [one.job.job_id, single.job_id]


@pytest.mark.parametrize("paused", [False, True])
async def test_a_cancel_that_a_crash_interrupts_sends_nothing_more_and_is_finished(
    queue: PhoneQueue, paused: bool
) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(20))
    await queue.stores.broadcasts.enqueue_recipients()
    if paused:
        await queue.stores.broadcasts.pause_broadcast(queue.org_no, made, "ada")
        assert await queue.start(5) == []
    now_us = queue.clock.now_us()
    assert await queue.stores.database.write(lifecycle.cancel, queue.org_no, made, "ada", now_us)
    # the process dies here
    assert await queue.run(50) == []
    await queue.stores.broadcasts.clean_up_broadcasts(0)
    assert await queue.run(50) == []
    assert {job.state for job in await queue.stores.jobs.jobs(queue.org_no, None)} == {State.CANCELLED}
    assert await queue.stores.control.holds(queue.org_no, queue.phone_no) == []
    row = await row_of(queue, made)
    assert (row.state, row.failed, row.pending) == ("cancelled", 20, 0)
