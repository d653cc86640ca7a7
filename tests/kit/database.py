"""Databases under test, and SQL that goes past the store."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from heliograph.ports.clock import Clock
from heliograph.store.database.database import Database
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.sqlite import SqliteDatabase

Location = str | Path
"""A URL of PostgreSQL, or the path of a SQLite file."""


def ignore_commit(_seconds: float, _units: int) -> None:
    """Takes the measurement of a commit, and does nothing with it."""


def make_database(
    location: Location, clock: Clock, *, committed: Callable[[float, int], None] = ignore_commit, lock: bool = True
) -> Database:
    """A driver that is not open yet. `lock=False`: other processes may open the same SQLite file."""
    if isinstance(location, Path):
        return SqliteDatabase(str(location), committed, clock.monotonic, lock=lock)
    return PostgresDatabase(location, committed, clock.monotonic)


@asynccontextmanager
async def open_database(location: Location, clock: Clock, **options: Any) -> AsyncIterator[Database]:
    database = make_database(location, clock, **options)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def fetch_rows(location: Location, sql: str) -> list[dict[str, Any]]:
    """The committed rows of a query, read past the store."""
    if isinstance(location, Path):
        with contextlib.closing(sqlite3.connect(location)) as direct:
            direct.row_factory = sqlite3.Row
            return [dict(row) for row in direct.execute(sql).fetchall()]
    connection = await asyncpg.connect(location)
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def execute_sql(location: Location, sql: str) -> None:
    """Writes past the store."""
    if isinstance(location, Path):
        with contextlib.closing(sqlite3.connect(location)) as direct, direct:
            direct.execute(sql)
        return
    connection = await asyncpg.connect(location)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
