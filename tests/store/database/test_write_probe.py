"""Tests of a store that refuses writes: it reports them, and recovers by itself."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from heliograph.app.services import run_every
from heliograph.domain.errors import Unavailable
from heliograph.store.database.sqlite import connect
from heliograph.store.database.write_probe import probe_refused_writes, probe_write
from tests.kit.clocks import ManualClock
from tests.kit.database import fetch_rows
from tests.kit.log import RecordedLog
from tests.kit.phone_queue import PhoneQueue, open_phone_queue


class Locked:
    """A switch that makes a database refuse writes."""

    def __init__(self, where: str | Path, writer: Any) -> None:
        self._where = where
        self._writer = writer

    async def refuse(self) -> None:
        if isinstance(self._where, Path):
            pages = self._writer.execute("PRAGMA page_count").fetchone()[0]
            self._writer.execute(f"PRAGMA max_page_count={pages}")
        else:
            await self._read_only("on")

    async def allow(self) -> None:
        if isinstance(self._where, Path):
            self._writer.execute("PRAGMA max_page_count=1000000")
        else:
            await self._read_only("off")

    async def _read_only(self, word: str) -> None:
        direct = await asyncpg.connect(self._where, server_settings={"default_transaction_read_only": "off"})
        try:
            name = urlsplit(str(self._where)).path.strip("/")
            await direct.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {word}")
            await direct.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await direct.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def locked(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[PhoneQueue, Locked]:
    opened: list[Any] = []

    def remember(path: str, *, read_only: bool = False) -> Any:
        opened.append(connect(path, read_only=read_only))
        return opened[-1]

    monkeypatch.setattr("heliograph.store.database.sqlite.connect", remember)
    sqlite = request.param == "sqlite"
    queue = await open_phone_queue(tmp_path / "heliograph.db" if sqlite else request.getfixturevalue("postgres_url"))
    return queue, Locked(queue.location, opened[0] if sqlite else None)


def in_trouble(queue: PhoneQueue) -> bool:
    return queue.stores.database.write_error is not None


async def until_refused(queue: PhoneQueue) -> None:
    with pytest.raises(Unavailable):
        for _ in range(200):
            await queue.put("a", body="x" * 2000)


async def test_a_refused_write_is_reported_until_a_write_succeeds(
    locked: tuple[PhoneQueue, Locked],
) -> None:
    queue, lock = locked
    database = queue.stores.database
    await queue.put("a")
    assert not in_trouble(queue)
    await lock.refuse()
    await until_refused(queue)
    assert "cannot" in str(database.write_error)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await probe_write(database, queue.clock.now_us())
        assert in_trouble(queue)
    await queue.stores.accounts.orgs()
    assert in_trouble(queue)  # that it can be read says nothing of writes
    await lock.allow()
    await probe_until(lambda: not in_trouble(queue), queue)
    await queue.put("a")
    assert not in_trouble(queue)
    await database.close()


async def probe_until(done: Callable[[], bool], queue: PhoneQueue) -> None:
    """Runs the write probe under a manual clock until it is done."""

    class Ended(Exception): ...

    class StoppingClock(ManualClock):
        async def sleep(self, seconds: float) -> None:
            if done():
                raise Ended
            self.advance(seconds)

    with pytest.raises(Ended):
        clock = StoppingClock()
        probe = partial(probe_refused_writes, queue.stores.database, clock)
        await asyncio.wait_for(run_every(clock, 1.0, probe, RecordedLog(), "write_probe_failed"), 20)


async def test_nothing_is_written_while_all_is_well(queue: PhoneQueue) -> None:
    beats = 0

    def enough() -> bool:
        nonlocal beats
        beats += 1
        return beats > 3

    await probe_until(enough, queue)
    assert await fetch_rows(queue.location, "SELECT * FROM write_probe") == []
