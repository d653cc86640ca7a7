"""Loads and cancels that are cut off: nobody is written to twice, and nothing stands still."""

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
from heliograph.ports.sender_store import Started
from heliograph.store.broadcasts import lifecycle
from heliograph.store.broadcasts.cleanup import sweep
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import query
from tests.steering.test_broadcasts import new, row_of
from tests.steering.world import World, open_world, recipients

Then = Callable[[Any], Awaitable[None]]
MAYBE = Verdict(State.QUEUED, "retry", "answer_lost", "Lost.", lane_wait_s=2.0, maybe_sent=True)


async def nothing(_value: object) -> None:
    """Nobody comes between."""


class Between:
    """A shell between whose steps something happens: `read` and `wrote` are called with what each gave."""

    def __init__(self, world: World, *, wrote: Then = nothing, read: Then = nothing) -> None:
        self._shell, self._wrote, self._read = world.shell, wrote, read

    async def write(self, make: Callable[[], Any]) -> Any:
        value = await self._shell.write(make)
        await self._wrote(value)
        return value

    async def read(self, make: Callable[[], Any]) -> Any:
        value = await self._shell.read(make)
        await self._read(value)
        return value


@pytest.mark.parametrize("lost", [Unavailable("The answer was lost.", retry_after_s=1), asyncio.CancelledError()])
async def test_the_key_of_a_broadcast_that_began_stays_its_own(world: World, lost: BaseException) -> None:
    key = Idempotency("k1", b"same")
    first = new(world, idempotency=key)
    begun: list[bool] = []

    async def cut(value: object) -> None:
        if value is True and (await broadcast_state(world, first)) == "running" and not begun:
            begun.append(True)
            raise lost

    world.steering._shell = Between(world, wrote=cut)  # type: ignore[assignment]
    with pytest.raises(type(lost)):
        await world.steering.broadcast(first, recipients(3))
    assert begun
    world.steering._shell = world.shell
    assert await world.steering.broadcast(new(world, idempotency=key), recipients(3)) == (first.broadcast_no, True)
    assert len(await world.drain()) == 3


async def broadcast_state(world: World, made: NewBroadcast) -> str | None:
    row = await world.steering.broadcast_row(world.org_no, made.broadcast_no)
    return None if row is None else row.state


async def begin_to_load(world: World, made: NewBroadcast, count: int) -> None:
    now_us = world.clock.now_us()
    await world.shell.write(lambda: lifecycle.create(made, now_us))
    rows = [(n, r.chat_id, r.variables, world.ids.make()) for n, r in enumerate(recipients(count))]
    assert await world.shell.write(lambda: lifecycle.load_broadcast(world.org_no, made.broadcast_no, rows))


async def test_the_key_of_a_load_that_was_cut_off_is_free_once_it_was_swept(database: str) -> None:
    key = Idempotency("k2", b"same")
    async with open_world(database) as world:
        cut = new(world, idempotency=key)
        await begin_to_load(world, cut, 3)
        clock = world.clock
    async with open_world(database, clock) as world:
        with pytest.raises(Conflict):
            await world.steering.broadcast(new(world, idempotency=key), recipients(3))
        world.clock.advance(3_600)
        await world.steering.sweep_broadcasts(0)
        assert (await world.steering.broadcast(new(world, idempotency=key), recipients(3)))[1] is False
        assert len(await world.drain()) == 3


async def test_a_load_that_failed_leaves_nothing_behind(world: World) -> None:
    key = Idempotency("k3", b"same")
    failing = new(world, idempotency=key)
    loads = []

    async def cut(value: object) -> None:
        loads.append(value)
        if len(loads) == 2:
            raise Unavailable("The disk is full.")

    world.steering._shell = Between(world, wrote=cut)  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await world.steering.broadcast(failing, recipients(3))
    world.steering._shell = world.shell
    assert (await world.steering.broadcast(new(world, idempotency=key), recipients(3)))[1] is False
    world.clock.advance(3_600)
    await world.steering.sweep_broadcasts(0)
    where = {"org_no": world.org_no, "broadcast_no": failing.broadcast_no}
    assert await world.shell.read(lambda: query(named.recipients_from(n=0, limit=9, **where))) == []


async def test_a_load_that_is_swept_while_it_begins_harms_no_broadcast(world: World) -> None:
    slow = new(world)
    await begin_to_load(world, slow, 3)
    world.clock.advance(601)
    writes, begun = [], []

    async def begin(value: object) -> None:
        writes.append(value)
        if len(writes) == 1:  # its last chunk was slow, and now it begins
            begun.append(await world.shell.write(lambda: lifecycle.begin(slow, 3)))

    await sweep(cast(Database, Between(world, wrote=begin)), world.clock, 0)
    assert begun == [False]
    assert not await world.shell.write(lambda: lifecycle.load_broadcast(world.org_no, slow.broadcast_no, []))
    other, _ = await world.steering.broadcast(new(world), recipients(3, 100))
    await world.drain()
    assert (await row_of(world, other)).sent == 3


async def test_a_broadcast_that_is_swept_while_its_messages_are_put_back_stays(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(3))
    await world.drain()
    world.clock.advance(86_400)

    async def reopen(_value: object) -> None:
        now_us = world.clock.now_us()
        await world.shell.write(lambda: lifecycle.reopen(world.org_no, made, now_us))

    await sweep(cast(Database, Between(world, read=reopen)), world.clock, world.clock.us)
    await world.drain()
    assert (await row_of(world, made)).state == "completed"


async def met_while_paused(world: World, made: JobId) -> Started:
    """A fed message whose first answer was lost: it waits for its retry, and is put aside for the pause."""
    await world.steering.feed()
    (one,) = await world.start()
    await world.settle(one, MAYBE)
    await world.steering.pause_broadcast(world.org_no, made, "ada")
    world.clock.advance(5)
    assert await world.start(5) == []
    return one


async def test_what_may_have_been_sent_of_a_cancelled_broadcast_goes_on_and_so_does_its_chat(world: World) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(1))
    one = await met_while_paused(world, made)
    await world.steering.cancel_broadcast(world.org_no, made, "ada")
    assert await world.steering.holds(world.org_no, world.phone_no) == []
    single = await world.send(one.job.chat_id, "an answer", lane=Priority(one.job.priority))
    assert [job.job_id for _ in range(2) for job in await world.step(5)] == [one.job.job_id, single.job_id]


@pytest.mark.parametrize("paused", [False, True])
async def test_a_cancel_cut_off_by_a_crash_sends_nothing_more_and_is_finished(world: World, paused: bool) -> None:
    made, _ = await world.steering.broadcast(new(world), recipients(20))
    await world.steering.feed()
    if paused:
        await world.steering.pause_broadcast(world.org_no, made, "ada")
        assert await world.start(5) == []
    now_us = world.clock.now_us()
    assert await world.shell.write(lambda: lifecycle.cancel(world.org_no, made, "ada", now_us))
    # the process dies here
    assert await world.step(50) == []
    await world.steering.sweep_broadcasts(0)
    assert await world.step(50) == []
    assert {job.state for job in await world.store.jobs(world.org_no, None)} == {State.CANCELLED}
    assert await world.steering.holds(world.org_no, world.phone_no) == []
    row = await row_of(world, made)
    assert (row.state, row.failed, row.pending) == ("cancelled", 20, 0)
