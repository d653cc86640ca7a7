"""What only a file can suffer: a full disk, a torn log, a second writer; and that a commit is synced."""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import State
from heliograph.store.database import sqlite as sqlite_shell
from heliograph.store.database.sqlite import SqliteDatabase, connect
from tests.kit.store import SENT, Desk, faults_of, look, make_shell, open_desk, retry, uncertain


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = await open_desk(tmp_path / "heliograph.db")
    yield opened
    await opened.store.shell.close()
    await opened.audit()


def test_every_connection_syncs_each_commit(tmp_path: Path) -> None:
    for read_only in (False, True):
        connection = connect(str(tmp_path / "heliograph.db"), read_only=read_only)
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        connection.close()


class _Deaf(sqlite3.Connection):
    """A SQLite that does not do as it is told."""

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        return super().execute("PRAGMA synchronous=NORMAL" if sql == "PRAGMA synchronous=FULL" else sql, *more)


async def test_a_file_that_would_not_be_synced_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = sqlite3.connect

    def deaf(*args: Any, **more: Any) -> sqlite3.Connection:
        return opening(*args, **more, factory=_Deaf)

    monkeypatch.setattr("heliograph.store.database.sqlite.sqlite3.connect", deaf)
    shell = SqliteDatabase(str(tmp_path / "heliograph.db"), lambda _seconds, _units: None, lambda: 0.0)
    with pytest.raises(CannotStart, match="synchronous=FULL"):
        await shell.open()


async def test_a_second_writer_is_refused_with_the_pid_of_the_first(desk: Desk) -> None:
    with pytest.raises(CannotStart, match=r"belongs to another heliograph process \(pid \d+\)"):
        await make_shell(desk.where, desk.clock).open()


async def test_a_second_writer_is_refused_by_whatever_link_it_comes(desk: Desk, tmp_path: Path) -> None:
    assert isinstance(desk.where, Path)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(desk.where)
    with pytest.raises(CannotStart, match=r"belongs to another heliograph process \(pid \d+\)"):
        await make_shell(link, desk.clock).open()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["link.db"]


@pytest.mark.parametrize("lock", [True, False])
async def test_a_file_of_two_names_is_not_opened_because_the_log_lies_beside_one_of_them(
    lock: bool, desk: Desk, tmp_path: Path
) -> None:
    assert isinstance(desk.where, Path)
    second = tmp_path / "second.db"
    os.link(desk.where, second)
    with pytest.raises(CannotStart, match="has 2 names"):
        await SqliteDatabase(str(second), lambda _seconds, _units: None, lambda: 0.0, lock=lock).open()
    assert not list(tmp_path.glob("second.db?*"))


async def test_a_full_disk_refuses_and_all_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[sqlite3.Connection] = []

    def remember(path: str, *, read_only: bool = False) -> sqlite3.Connection:
        connections.append(connect(path, read_only=read_only))
        return connections[-1]

    monkeypatch.setattr(sqlite_shell, "connect", remember)
    desk = await open_desk(tmp_path / "heliograph.db")
    writer = connections[0]
    accepted = [await desk.put("a")]
    (started,) = await desk.start()
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={pages + 12}")
    with pytest.raises(Unavailable) as refused:
        for _ in range(500):
            accepted.append(await desk.put("a", body="x" * 2000))
    assert refused.value.retry_after_s
    crowd = await asyncio.gather(*(desk.store.enqueue(desk.job("b", body="y" * 2000)) for _ in range(20)),
                                 return_exceptions=True)  # fmt: skip
    assert any(isinstance(one, Unavailable) for one in crowd)
    accepted += [one.job_id for one in crowd if isinstance(one, Enqueued)]
    assert (await desk.get(accepted[0])).state is State.SENDING  # reading goes on
    writer.execute(f"PRAGMA max_page_count={pages * 100}")
    assert (await desk.settle(started, SENT)).settled == [True]
    accepted.append(await desk.put("b"))
    await desk.store.shell.close()
    assert await faults_of(desk.where) == []
    assert {row["job_id"] for row in await desk.look("SELECT job_id FROM jobs")} == set(accepted)


async def test_whatever_is_torn_off_the_log_everything_acknowledged_before_is_there(tmp_path: Path) -> None:
    desk = await open_desk(tmp_path / "heliograph.db")
    log = tmp_path / "heliograph.db-wal"
    dice = random.Random(11)
    acknowledged: list[tuple[int, JobId, State]] = []  # how long the log was when the caller was told
    for n in range(60):
        job_id = await desk.put(f"chat{n}")
        acknowledged.append((log.stat().st_size, job_id, State.QUEUED))
        if n % 3 == 2:
            verdict = dice.choice([SENT, retry(60.0), uncertain(60.0)])
            ended = await desk.send(verdict)
            acknowledged.append((log.stat().st_size, ended, verdict.state))
    whole = log.read_bytes()
    for trial in range(40):
        cut = dice.randrange(acknowledged[0][0], len(whole) + 1)
        copy = tmp_path / f"copy{trial}" / "heliograph.db"
        copy.parent.mkdir()
        shutil.copy(tmp_path / "heliograph.db", copy)
        tail = dice.randbytes(dice.randrange(0, 6000)) if trial % 2 else b""  # what was there before, or nothing
        Path(f"{copy}-wal").write_bytes(whole[:cut] + tail)
        await _is_whole(copy, {job_id: state for size, job_id, state in acknowledged if size <= cut}, desk)
    await desk.store.shell.close()


async def _is_whole(copy: Path, promised: dict[JobId, State], desk: Desk) -> None:
    shell = make_shell(copy, desk.clock)
    await shell.open()  # also brings the schema up to date, as a start does
    await shell.close()
    assert await faults_of(copy) == []
    there = {row["job_id"]: row["state"] for row in await look(copy, "SELECT job_id, state FROM jobs")}
    assert promised.keys() <= there.keys()
    for job_id, state in promised.items():
        # what came after the promise may be there as well
        assert there[job_id] == state or state is State.QUEUED
