"""A unit of work on PostgreSQL that a test advances statement by statement, so that two of them interleave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import asyncpg

from heliograph.store.database.postgresql import BEGIN, execute
from heliograph.store.database.unit import Statement, Unit
from tests.kit.phone_queue import PhoneQueue, open_phone_queue

T = TypeVar("T")
_PATIENT = (
    "SET LOCAL lock_timeout = '9s'; SET LOCAL statement_timeout = '9s'"  # one that waits is waited for by the test
)


class StepwiseUnit(Generic[T]):
    """A unit whose statements are sent one by one, on request."""

    def __init__(self, connection: Any, unit: Unit[T]) -> None:
        self._connection = connection
        self._unit = unit
        self._next: Statement[Any, Any] | None = None
        self._value: T | None = None

    @classmethod
    async def begin(cls, url: object, unit: Unit[T]) -> "StepwiseUnit[T]":
        connection = await asyncpg.connect(str(url))
        await connection.execute(f"{BEGIN}; {_PATIENT}")
        this = cls(connection, unit)
        this._next = next(unit)
        return this

    async def until(self, name: str) -> "StepwiseUnit[T]":
        """Advances up to and including the statement `name`."""
        while self._next is not None:
            was = self._next.name
            await self._step()
            if was == name:
                return self
        raise AssertionError(f"{name} did not come")

    async def end(self) -> T:
        """Advances to the commit."""
        try:
            while self._next is not None:
                await self._step()
            await self._connection.execute("COMMIT")
        finally:
            await self._connection.close()
        return self._value  # type: ignore[return-value]

    async def _step(self) -> None:
        assert self._next is not None
        rows = await execute(self._connection, self._next)
        try:
            self._next = self._unit.send(rows)
        except StopIteration as end:
            self._next, self._value = None, end.value


async def locked(url: object, lane_of_chat: str) -> asyncpg.Connection:
    """A connection that locks the lanes of one chat until it closes."""
    connection = await asyncpg.connect(str(url))
    await connection.execute("BEGIN")
    await connection.execute("SELECT 1 FROM lanes WHERE chat_id = $1 FOR UPDATE", lane_of_chat)
    return connection


async def waits(url: object, work: Awaitable[T], *, others: int = 0) -> "asyncio.Task[T]":
    """Begins the work, and returns when it waits for a lock. `others`: the number that wait already."""
    task = asyncio.ensure_future(work)
    watch = await asyncpg.connect(str(url))
    try:
        for _ in range(1000):
            if task.done() or await watch.fetchval(_WAITING) > others:
                return task
            await asyncio.sleep(0.01)
    finally:
        await watch.close()
    raise AssertionError("it neither waits nor ends")


async def deadlocks(url: object) -> int:
    """Counts the deadlocks. The drivers must be closed, because PostgreSQL counts when a connection ends."""
    watch = await asyncpg.connect(str(url))
    try:
        for _ in range(1000):
            if await watch.fetchval(_OPEN) == 0:
                return int(await watch.fetchval(_DEADLOCKS))
            await asyncio.sleep(0.01)
    finally:
        await watch.close()
    raise AssertionError("a connection is still open")


_HERE = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
_WAITING = f"SELECT count(*) FROM pg_stat_activity WHERE {_HERE} AND wait_event_type = 'Lock'"
_OPEN = f"SELECT count(*) FROM pg_stat_activity WHERE {_HERE}"
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@asynccontextmanager
async def interleaved_queue(url: str) -> AsyncIterator[PhoneQueue]:
    """A queue on PostgreSQL for interleaved transactions; at the end it is audited, and had no deadlock."""
    opened = await open_phone_queue(url)
    yield opened
    await opened.stores.database.close()
    assert await deadlocks(url) == 0
    await opened.audit()
