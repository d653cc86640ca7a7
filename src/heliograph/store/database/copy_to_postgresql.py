"""Copies a whole installation from a SQLite file to an empty PostgreSQL database.

Promise: all or nothing, in one transaction of the new database. Before its commit every table is read back and
compared by count and checksum. The old file is only read, under its lock, so that no server can write to it.
Known weakness: SQL is built from table names here, because every column of every table is copied.
"""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from heliograph.domain.errors import CannotStart
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.sqlite import connect

CHUNK = 5000
# heartbeats and logins belong to the old processes; the new database has its own schema versions
_LEFT_BEHIND = frozenset({"senders", "write_probe", "schema_migrations", "page_sessions"})
# parents first
_FIRST = ("orgs", "api_keys", "phones")


@dataclass(frozen=True, slots=True)
class TableCopied:
    table: str
    rows: int
    checksum: str


async def transfer(new: PostgresDatabase, *, path: str, told: Callable[[TableCopied], None]) -> Sequence[TableCopied]:
    """Copies all tables. The schemas of both are up to date, and the file's lock is ours; `told` gets each table."""
    source = connect(path, read_only=True)
    moved: list[TableCopied] = []
    try:
        async with new.connection() as target, target.transaction():
            # an organisation without phones or jobs counts too: somebody may have its key
            if await target.fetchval("SELECT count(*) FROM orgs"):
                raise CannotStart("The PostgreSQL database already holds an installation: name an empty one.")
            for table in reversed(tables(source)):
                await target.execute(f"DELETE FROM {table}")
            for table in tables(source):
                moved.append(await _move(source, target, table))
                told(moved[-1])
            await target.execute("UPDATE leases SET owner = NULL")
    finally:
        source.close()
    return moved


def tables(source: sqlite3.Connection) -> list[str]:
    """Lists the tables to copy, parents before children."""
    rows = source.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    found = {row[0] for row in rows} - _LEFT_BEHIND
    return [*_FIRST, *sorted(found - set(_FIRST))]


async def _move(source: sqlite3.Connection, target: asyncpg.Connection, table: str) -> TableCopied:
    described = source.execute(f"PRAGMA table_info({table})").fetchall()
    columns = [row["name"] for row in described]
    keys = [row["name"] for row in sorted(described, key=lambda row: row["pk"]) if row["pk"]]
    listed = ", ".join(columns)
    sent = _Sum()
    cursor = source.execute(f"SELECT {listed} FROM {table}")
    while chunk := [tuple(row) for row in cursor.fetchmany(CHUNK)]:
        sent.add(chunk)
        await target.copy_records_to_table(table, records=chunk, columns=columns)
    arrived = _Sum()
    async for chunk in _read_back(target, f"SELECT {listed} FROM {table}"):
        arrived.add(chunk)
    if (sent.rows, sent.digest()) != (arrived.rows, arrived.digest()):
        raise CannotStart(
            f"Table {table}: {sent.rows} rows left, {arrived.rows} arrived, or they differ. Nothing was moved."
        )
    identity = (
        await target.fetchval("SELECT pg_get_serial_sequence($1, $2)", table, keys[0]) if len(keys) == 1 else None
    )
    if identity:
        await target.execute(
            f"SELECT setval('{identity}', (SELECT coalesce(max({keys[0]}), 0) + 1 FROM {table}), false)"
        )
    return TableCopied(table, arrived.rows, arrived.digest())


async def _read_back(target: asyncpg.Connection, query: str) -> AsyncIterator[list[tuple[object, ...]]]:
    chunk: list[tuple[object, ...]] = []
    async for record in target.cursor(query, prefetch=CHUNK):
        chunk.append(tuple(record))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    yield chunk


class _Sum:
    """Count and checksum of rows in any order: the sum of the hashes of the rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Iterable[tuple[object, ...]]) -> None:
        for row in rows:
            self.rows += 1
            self._sum += int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=16).digest(), "big")

    def digest(self) -> str:
        return f"{self._sum % (1 << 128):032x}"
