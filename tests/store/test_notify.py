"""Hints between processes: a listener that nobody answers any more listens anew, and says so where it cannot."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from heliograph.clock import SystemClock
from heliograph.store import notify
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.notify import PostgresWake
from tests.store.database.test_postgresql_away import Relay


@dataclass
class Ears:
    """A sender, as far as hints go."""

    heard: set[int] = field(default_factory=set)

    def phones(self, phone_nos: Iterable[int]) -> None:
        self.heard.update(phone_nos)

    def phones_freed(self) -> None: ...


@pytest.fixture
async def shell(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(postgres_url, lambda _seconds, _units: None, time.monotonic)
    await opened.open()
    yield opened
    await opened.close()


async def _until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_listener_whose_server_fell_silent_listens_again(
    shell: PostgresDatabase, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "CHECK_S", 0.3)
    monkeypatch.setattr(notify, "ANSWER_S", 1.0)
    monkeypatch.setattr(notify, "RETRY_S", 0.1)
    parts = urlsplit(postgres_url)
    folder, port = parse_qs(parts.query).get("host", [""])[0], parts.port or 5432
    relay = Relay(f"{folder}/.s.PGSQL.{port}" if folder.startswith("/") else (parts.hostname or "127.0.0.1", port))
    await relay.open()
    ears = Ears()
    url = f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{relay.port}{parts.path}?sslmode=disable"
    there = PostgresWake(url, shell, SystemClock())
    there.serve(ears, lambda _phone_no: False)
    here = PostgresWake(postgres_url, shell, SystemClock())
    tasks = [asyncio.create_task(there.run()), asyncio.create_task(here.run())]
    try:

        def heard(phone_no: int) -> bool:
            here.phones([phone_no])
            return phone_no in ears.heard

        await _until(lambda: heard(7))
        relay.flows.clear()  # what comes from now on is held back for ever …
        here.phones([8])
        await asyncio.sleep(0.5)
        relay.flows = asyncio.Event()  # … but a new connection works
        relay.flows.set()
        await _until(lambda: heard(9))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await relay.close()


async def test_a_listener_that_cannot_listen_says_so_once(shell: PostgresDatabase) -> None:
    deaf = PostgresWake("postgresql://nobody@127.0.0.1:1/none", shell, SystemClock())
    deaf.serve(Ears(), lambda _phone_no: False)
    with structlog.testing.capture_logs() as said:
        task = asyncio.create_task(deaf.run())
        await _until(lambda: bool(said))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in said] == ["wake_not_heard"]
    assert "refused" in said[0]["error"].lower()
