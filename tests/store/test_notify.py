"""Tests of wake-ups between processes: a listener on a dead connection listens again, and warns where it cannot."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from heliograph.clock import SystemClock
from heliograph.store import notify
from heliograph.store.database.database import Database
from heliograph.store.notify import PostgresWake
from tests.kit.database import make_database
from tests.kit.until import until
from tests.store.database.test_postgresql_away import Relay


@dataclass
class RecordingListener:
    """A listener that records its wake-ups."""

    woken: set[int] = field(default_factory=set)

    def phones(self, phone_nos: Iterable[int]) -> None:
        self.woken.update(phone_nos)

    def phones_freed(self) -> None: ...


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = make_database(postgres_url, SystemClock())
    await opened.open()
    yield opened
    await opened.close()


async def test_a_listener_whose_server_fell_silent_listens_again(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "CHECK_S", 0.3)
    monkeypatch.setattr(notify, "ANSWER_S", 1.0)
    monkeypatch.setattr(notify, "RETRY_S", 0.1)
    parts = urlsplit(postgres_url)
    folder, port = parse_qs(parts.query).get("host", [""])[0], parts.port or 5432
    relay = Relay(f"{folder}/.s.PGSQL.{port}" if folder.startswith("/") else (parts.hostname or "127.0.0.1", port))
    await relay.open()
    listener = RecordingListener()
    url = f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{relay.port}{parts.path}?sslmode=disable"
    there = PostgresWake(url, database, SystemClock())
    there.serve(listener, lambda _phone_no: False)
    here = PostgresWake(postgres_url, database, SystemClock())
    tasks = [asyncio.create_task(there.run()), asyncio.create_task(here.run())]
    try:

        def woken(phone_no: int) -> bool:
            here.phones([phone_no])
            return phone_no in listener.woken

        await until(lambda: woken(7))
        relay.flows.clear()  # what comes from now on is held back for ever …
        here.phones([8])
        await asyncio.sleep(0.5)
        relay.flows = asyncio.Event()  # … but a new connection works
        relay.flows.set()
        await until(lambda: woken(9))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await relay.close()


async def test_a_listener_that_cannot_listen_says_so_once(database: Database) -> None:
    unreachable = PostgresWake("postgresql://nobody@127.0.0.1:1/none", database, SystemClock())
    unreachable.serve(RecordingListener(), lambda _phone_no: False)
    with structlog.testing.capture_logs() as said:
        task = asyncio.create_task(unreachable.run())
        await until(lambda: bool(said))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in said] == ["wake_not_heard"]
    assert "refused" in said[0]["error"].lower()
