"""Tests of the SQLite file: a full disk, a torn log, a second writer, and synced commits."""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.clock import SystemClock
from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import State
from heliograph.store.database.sqlite import connect
from tests.kit.audit import find_faults
from tests.kit.database import fetch_rows, make_database
from tests.kit.phone_queue import SENT, PhoneQueue, open_phone_queue, retry, uncertain


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[PhoneQueue]:
    opened = await open_phone_queue(tmp_path / "heliograph.db")
    yield opened
    await opened.stores.database.close()
    await opened.audit()


def test_every_connection_syncs_each_commit(tmp_path: Path) -> None:
    for read_only in (False, True):
        connection = connect(str(tmp_path / "heliograph.db"), read_only=read_only)
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        connection.close()


class _IgnoringConnection(sqlite3.Connection):
    """A SQLite connection that ignores settings."""

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        return super().execute("PRAGMA synchronous=NORMAL" if sql == "PRAGMA synchronous=FULL" else sql, *more)


async def test_a_file_that_would_not_be_synced_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = sqlite3.connect

    def deaf(*args: Any, **more: Any) -> sqlite3.Connection:
        return opening(*args, **more, factory=_IgnoringConnection)

    monkeypatch.setattr("heliograph.store.database.sqlite.sqlite3.connect", deaf)
    database = make_database(tmp_path / "heliograph.db", SystemClock())
    with pytest.raises(CannotStart, match="synchronous=FULL"):
        await database.open()


async def test_a_second_writer_is_refused_with_the_pid_of_the_first(queue: PhoneQueue) -> None:
    with pytest.raises(CannotStart, match=r"belongs to another heliograph process \(pid \d+\)"):
        await make_database(queue.location, queue.clock).open()


async def test_a_second_writer_is_refused_by_whatever_link_it_comes(queue: PhoneQueue, tmp_path: Path) -> None:
    assert isinstance(queue.location, Path)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(queue.location)
    with pytest.raises(CannotStart, match=r"belongs to another heliograph process \(pid \d+\)"):
        await make_database(link, queue.clock).open()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["link.db"]


@pytest.mark.parametrize("lock", [True, False])
async def test_a_file_of_two_names_is_not_opened_because_the_log_lies_beside_one_of_them(
    lock: bool, queue: PhoneQueue, tmp_path: Path
) -> None:
    assert isinstance(queue.location, Path)
    second = tmp_path / "second.db"
    os.link(queue.location, second)
    with pytest.raises(CannotStart, match="has 2 names"):
        await make_database(second, SystemClock(), lock=lock).open()
    assert not list(tmp_path.glob("second.db?*"))


async def test_a_full_disk_refuses_writes_and_they_resume_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[sqlite3.Connection] = []

    def remember(path: str, *, read_only: bool = False) -> sqlite3.Connection:
        connections.append(connect(path, read_only=read_only))
        return connections[-1]

    monkeypatch.setattr("heliograph.store.database.sqlite.connect", remember)
    queue = await open_phone_queue(tmp_path / "heliograph.db")
    writer = connections[0]
    accepted = [await queue.put("a")]
    (started,) = await queue.start()
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={pages + 12}")
    with pytest.raises(Unavailable) as refused:
        for _ in range(500):
            accepted.append(await queue.put("a", body="x" * 2000))
    assert refused.value.retry_after_s
    crowd = await asyncio.gather(*(queue.stores.jobs.enqueue(queue.new_job("b", body="y" * 2000)) for _ in range(20)),
                                 return_exceptions=True)  # fmt: skip
    assert any(isinstance(one, Unavailable) for one in crowd)
    accepted += [one.job_id for one in crowd if isinstance(one, Enqueued)]
    assert (await queue.get(accepted[0])).state is State.SENDING  # reading goes on
    writer.execute(f"PRAGMA max_page_count={pages * 100}")
    await queue.settle(started, SENT)
    accepted.append(await queue.put("b"))
    await queue.stores.database.close()
    assert await find_faults(queue.location) == []
    assert {row["job_id"] for row in await queue.rows("SELECT job_id FROM jobs")} == set(accepted)


async def test_whatever_is_torn_off_the_log_everything_acknowledged_before_is_there(tmp_path: Path) -> None:
    queue = await open_phone_queue(tmp_path / "heliograph.db")
    log = tmp_path / "heliograph.db-wal"
    dice = random.Random(11)
    acknowledged: list[tuple[int, JobId, State]] = []  # how long the log was when the caller was told
    for n in range(60):
        job_id = await queue.put(f"chat{n}")
        acknowledged.append((log.stat().st_size, job_id, State.QUEUED))
        if n % 3 == 2:
            verdict = dice.choice([SENT, retry(60.0), uncertain(60.0)])
            ended = await queue.send_next(verdict)
            acknowledged.append((log.stat().st_size, ended, verdict.state))
    whole = log.read_bytes()
    for trial in range(40):
        cut = dice.randrange(acknowledged[0][0], len(whole) + 1)
        copy = tmp_path / f"copy{trial}" / "heliograph.db"
        copy.parent.mkdir()
        shutil.copy(tmp_path / "heliograph.db", copy)
        tail = dice.randbytes(dice.randrange(0, 6000)) if trial % 2 else b""  # what was there before, or nothing
        Path(f"{copy}-wal").write_bytes(whole[:cut] + tail)
        await _is_whole(copy, {job_id: state for size, job_id, state in acknowledged if size <= cut}, queue)
    await queue.stores.database.close()


async def _is_whole(copy: Path, promised: dict[JobId, State], queue: PhoneQueue) -> None:
    database = make_database(copy, queue.clock)
    await database.open()  # also brings the schema up to date, as a start does
    await database.close()
    assert await find_faults(copy) == []
    there = {row["job_id"]: row["state"] for row in await fetch_rows(copy, "SELECT job_id, state FROM jobs")}
    assert promised.keys() <= there.keys()
    for job_id, state in promised.items():
        # what came after the promise may be there as well
        assert there[job_id] == state or state is State.QUEUED
