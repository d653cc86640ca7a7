"""Tests of a database that is absent in one of many ways: refused as unavailable, and used again by itself."""

import asyncio
import os
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.store.database import named
from heliograph.store.database.driver_errors import reason_of_sqlite, reason_of_state
from heliograph.store.database.unit import query
from tests.kit.database import make_database
from tests.kit.phone_queue import open_phone_queue

NAMED = ("3D000", "28000", "28P01", "42P01", "42P07", "0A000", "57P01", "53300", "08006", "55000", "XX001", "25006")


@pytest.mark.parametrize("state", NAMED)
def test_a_state_of_an_absent_database_has_a_reason(state: str) -> None:
    assert reason_of_state(state)


@pytest.mark.parametrize("state", ["42601", "23505", "22P02", "40001"])
def test_a_state_that_says_something_else_has_none(state: str) -> None:
    assert reason_of_state(state) is None


def test_a_damaged_file_has_a_reason_and_a_broken_rule_has_none() -> None:
    assert reason_of_sqlite(sqlite3.DatabaseError("database disk image is malformed"))
    assert reason_of_sqlite(sqlite3.OperationalError("disk I/O error"))
    assert reason_of_sqlite(sqlite3.IntegrityError("UNIQUE constraint failed")) is None


BREAK = {
    "renamed": ("ALTER DATABASE {name} RENAME TO {name}_away", "ALTER DATABASE {name}_away RENAME TO {name}"),
    "closed": ("ALTER DATABASE {name} ALLOW_CONNECTIONS false", "ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
}


@pytest.mark.parametrize("way", BREAK)
async def test_a_database_that_is_taken_away_is_unavailable_and_comes_back(way: str, postgres_url: str) -> None:
    name = urlsplit(postgres_url).path.lstrip("/")
    admin = await asyncpg.connect(urlunsplit(urlsplit(postgres_url)._replace(path="/postgres")))
    queue = await open_phone_queue(postgres_url)
    try:
        take, give = (text.format(name=name) for text in BREAK[way])
        if way == "closed":
            await admin.execute(take)
        await admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        if way == "renamed":
            await until_done(admin, take)
        with pytest.raises(Unavailable, match="The database"):
            await queue.put("a")
        await admin.execute(give)
        await until_accepted(queue)
    finally:
        await queue.stores.database.close()
        await admin.close()


async def until_done(admin: asyncpg.Connection, command: str) -> None:
    for _ in range(100):
        try:
            await admin.execute(command)
        except asyncpg.ObjectInUseError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError(command)


async def until_accepted(queue: object) -> None:
    for _ in range(100):
        try:
            await queue.put("a")  # type: ignore[attr-defined]
        except Unavailable:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("nothing is accepted")


async def test_a_table_that_is_gone_is_unavailable(postgres_url: str) -> None:
    queue = await open_phone_queue(postgres_url)
    await queue.execute("ALTER TABLE jobs RENAME TO jobs_away")
    with pytest.raises(Unavailable, match="a table is not there"):
        await queue.put("a")
    await queue.execute("ALTER TABLE jobs_away RENAME TO jobs")
    await until_accepted(queue)
    await queue.stores.database.close()


@pytest.mark.parametrize("way", ["deleted", "moved", "replaced"])
async def test_a_file_that_is_taken_away_is_noticed_before_the_next_answer(way: str, tmp_path: Path) -> None:
    path = tmp_path / "heliograph.db"
    queue = await open_phone_queue(path)
    await queue.put("a")
    aside = tmp_path / "aside.db"
    if way == "deleted":
        path.unlink()
    else:
        os.replace(path, aside)
        if way == "replaced":
            path.write_bytes(b"")
    with pytest.raises(Unavailable, match="was moved, replaced or deleted"):
        await queue.put("b")
    assert queue.stores.database.write_error is not None
    if way != "deleted":
        os.replace(aside, path)
        await queue.put("c")
    await queue.stores.database.close()


async def test_a_damaged_file_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "heliograph.db"
    queue = await open_phone_queue(path)
    for n in range(50):
        await queue.put(f"chat{n}")
    await queue.stores.database.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    database = make_database(path, SystemClock())
    with pytest.raises((CannotStart, Unavailable), match=r"malformed|damaged|cannot be opened|not a database"):
        await database.open()
        await database.write(query, named.orgs_all())
    await database.close()
