"""Checks a PostgreSQL database and updates its schema before anything uses it.

Promise: the schema is updated in one transaction, under a lock. Whatever prevents work here is one line of error, and
nothing is left half done.
"""

import re

import asyncpg

from heliograph.domain.errors import CannotStart
from heliograph.store.database.migrate import TABLE, migrations, pending
from heliograph.store.database.queries import queries

LOCK = 0x48454C494F  # "HELIO"
LONG_S = 3600.0
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_OTHERS = (
    "The database holds tables of another program, or of a start that was not this program's: "
    "name an empty database or schema"
)


async def prepare(connection: asyncpg.Connection, *, allowed: bool) -> None:
    """Checks the database and migrates it if `allowed`. Raises CannotStart."""
    if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
        raise CannotStart(f"The database keeps text as {encoding}: make one with ENCODING 'UTF8', from template0.")
    if await connection.fetchval("SHOW transaction_read_only") == "on":
        raise CannotStart("The database takes no writes: it is a standby, or set to read-only.")
    try:
        async with connection.transaction():
            await _migrate(connection, allowed=allowed)
    except asyncpg.InsufficientPrivilegeError as error:
        what = "SELECT on schema_migrations" if "schema_migrations" in str(error) else "CREATE on the schema"
        raise CannotStart(f"The database user lacks a right: {error}. Grant it {what}.") from None
    except (asyncpg.DuplicateTableError, asyncpg.UndefinedColumnError) as error:
        raise CannotStart(f"{_OTHERS} ({error}).") from None
    await _check_rights(connection)


async def _migrate(connection: asyncpg.Connection, *, allowed: bool) -> None:
    await connection.execute("SET LOCAL lock_timeout = '60s'")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=LONG_S)
    there = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
    if not there and allowed:
        await connection.execute(TABLE)
    rows = []
    if there or allowed:
        rows = await connection.fetch("SELECT version, checksum, compatible FROM schema_migrations")
    todo = pending({row[0]: (row[1], row[2] == 1) for row in rows})
    if todo and not allowed:
        raise CannotStart("The database has no schema, or an older one: run `heliograph migrate`.")
    for migration in todo:
        for text in migration.statements("postgresql"):
            await connection.execute(text, timeout=LONG_S)
        await connection.execute(
            "INSERT INTO schema_migrations VALUES ($1, $2, $3, $4, (extract(epoch FROM now()) * 1000000)::bigint)",
            migration.version,
            migration.name,
            migration.checksum,
            int(migration.compatible),
        )


async def _check_rights(connection: asyncpg.Connection) -> None:
    """Checks the rights on all tables: a gateway that may read but not write would be ready and refuse everything."""
    tables = [name for migration in migrations() for name in _TABLE.findall(migration.text)]
    lacking = await connection.fetch(queries("postgresql")["missing_rights"].sql, tables)
    if lacking:
        tables_named = sorted({row[0] for row in lacking})
        rights = ", ".join(sorted({row[1] for row in lacking}))
        more = f" and {len(tables_named) - 1} more" if len(tables_named) > 1 else ""
        raise CannotStart(
            f"The database user lacks {rights} on the table {tables_named[0]}{more}: "
            "grant it SELECT, INSERT, UPDATE and DELETE on all tables of the schema."
        )
