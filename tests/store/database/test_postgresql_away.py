"""Tests of a PostgreSQL that is unreachable or silent: refused within five seconds, and used again by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.domain.accounts.phone import NewPhone
from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.ids import JobIds, new_phone_id
from heliograph.domain.jobs.job import Enqueued
from heliograph.store.stores import Stores
from tests.kit.audit import find_faults
from tests.kit.database import make_database
from tests.kit.phone_queue import PhoneQueue, open_phone_queue

REFUSED_WITHIN_S = 5.5
BACK_WITHIN_S = 10.0


@dataclass
class Relay:
    """`flows` cleared: bytes stop. `cut`: connections end, new ones are refused. `where` the server listens: a socket,
    or host and port."""

    where: str | tuple[str, int]
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    refusing: bool = False
    port: int = 0
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def open(self) -> None:
        self.flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.refusing:
            writer.transport.abort()
            return
        if isinstance(self.where, str):
            there_reader, there_writer = await asyncio.open_unix_connection(self.where)
        else:
            there_reader, there_writer = await asyncio.open_connection(*self.where)
        self._writers.add(there_writer)
        for source, to in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.ensure_future(self._pump(source, to))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self.flows.wait()
                to.write(data)
                await to.drain()
        except ConnectionError:
            pass
        to.transport.abort()


@dataclass
class Wired:
    queue: PhoneQueue
    stores: Stores
    relay: Relay


@pytest.fixture
async def wired(postgres_url: str) -> AsyncIterator[Wired]:
    queue = await open_phone_queue(postgres_url)
    parts = urlsplit(postgres_url)
    folder, port = parse_qs(parts.query).get("host", [""])[0], parts.port or 5432
    relay = Relay(f"{folder}/.s.PGSQL.{port}" if folder.startswith("/") else (parts.hostname or "127.0.0.1", port))
    await relay.open()
    user = (parts.username or "postgres") + (f":{parts.password}" if parts.password else "")
    url = f"postgresql://{user}@127.0.0.1:{relay.port}{parts.path}?sslmode=disable"
    database = make_database(url, SystemClock())
    await database.open()
    yield Wired(queue, Stores(database, queue.clock, JobIds(queue.clock.now_us)), relay)
    await database.close()
    await relay.close()
    await queue.stores.database.close()
    assert await find_faults(postgres_url) == []


async def _refused(wired: Wired) -> float:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await wired.stores.jobs.enqueue(wired.queue.new_job("a"))
    return time.monotonic() - began


async def _goes_on(wired: Wired) -> float:
    began = time.monotonic()
    while True:
        try:
            assert isinstance(await wired.stores.jobs.enqueue(wired.queue.new_job("a")), Enqueued)
        except Unavailable:
            assert time.monotonic() - began < BACK_WITHIN_S
        else:
            return time.monotonic() - began


async def test_a_server_that_refuses_connections_is_reported_soon_and_used_again(wired: Wired) -> None:
    assert isinstance(await wired.stores.jobs.enqueue(wired.queue.new_job("a")), Enqueued)
    wired.relay.refusing = True
    wired.relay.cut()
    for _ in range(2):
        assert await _refused(wired) < REFUSED_WITHIN_S
    wired.relay.refusing = False
    assert await _goes_on(wired) < BACK_WITHIN_S


async def test_a_server_that_never_answers_is_reported_soon_and_used_again(wired: Wired) -> None:
    assert isinstance(await wired.stores.jobs.enqueue(wired.queue.new_job("a")), Enqueued)
    wired.relay.flows.clear()
    for _ in range(2):
        assert await _refused(wired) < REFUSED_WITHIN_S
    wired.relay.flows.set()
    assert await _goes_on(wired) < BACK_WITHIN_S


async def test_callers_in_a_row_of_a_frozen_server_are_all_refused_soon(wired: Wired) -> None:
    async def send() -> float:
        began = time.monotonic()
        with contextlib.suppress(Unavailable):
            await wired.stores.jobs.enqueue(wired.queue.new_job("a"))
        return time.monotonic() - began

    calls = []
    for n in range(700):
        calls.append(asyncio.ensure_future(send()))
        if n == 100:  # while messages are being stored
            wired.relay.flows.clear()
        await asyncio.sleep(0.01)
    assert max(await asyncio.gather(*calls)) < REFUSED_WITHIN_S
    wired.relay.flows.set()
    assert await _goes_on(wired) < BACK_WITHIN_S


CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


async def test_connections_that_are_cut_under_load_give_refusals_and_nothing_else(
    wired: Wired, postgres_url: str
) -> None:
    ended = False

    async def client(name: str) -> list[object]:
        results: list[object] = []
        while not ended:
            got = await asyncio.gather(wired.stores.jobs.enqueue(wired.queue.new_job(name)), return_exceptions=True)
            results.append(got[0])
            await asyncio.sleep(0.001)
        return results

    clients = [asyncio.ensure_future(client(f"c{n}")) for n in range(20)]
    for _ in range(60):
        await asyncio.sleep(0.03)
        await _direct(postgres_url, CUT)
    ended = True
    async with asyncio.timeout(20):
        results = [each for group in await asyncio.gather(*clients) for each in group]
    accepted = {each.job_id for each in results if isinstance(each, Enqueued)}
    assert [each for each in results if not isinstance(each, Enqueued | Unavailable)] == []
    stored = [row["job_id"] for row in await wired.queue.rows("SELECT job_id FROM jobs")]
    assert accepted <= set(stored)
    bodies = [row["content"] for row in await wired.queue.rows("SELECT content FROM jobs")]
    assert len(bodies) == len(set(bodies)), "stored twice"


async def test_a_time_of_read_only_ends_for_connections_that_began_in_it_too(wired: Wired, postgres_url: str) -> None:
    name = urlsplit(postgres_url).path[1:]
    assert isinstance(await wired.stores.jobs.enqueue(wired.queue.new_job("a")), Enqueued)
    await wired.queue.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    wired.relay.cut()
    for _ in range(3):
        assert await _refused(wired) < REFUSED_WITHIN_S
    await _direct(postgres_url, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert await _goes_on(wired) < BACK_WITHIN_S


async def _direct(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_many_callers_of_a_silent_server_are_all_refused_soon(wired: Wired) -> None:
    await wired.stores.phones.create_phone(NewPhone(wired.queue.org_no, new_phone_id(), "917777777777", "simulator"))
    wired.relay.flows.clear()
    began = time.monotonic()
    calls = [wired.stores.accounts.orgs() for _ in range(30)] + [
        wired.stores.jobs.enqueue(wired.queue.new_job("a")) for _ in range(30)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in results)
    assert time.monotonic() - began < 2 * REFUSED_WITHIN_S
    wired.relay.flows.set()
    assert await _goes_on(wired) < BACK_WITHIN_S
