"""The PostgreSQL shell: a pool of connections, one explicit transaction a unit.

Promise: a write that returned is committed (`synchronous_commit=on`, set for each transaction). While the database is
away a call fails within a few seconds as `Unavailable`, and works again by itself when it is back.
Weakness: when the connection breaks during COMMIT nobody knows what came of it; callers re-read by key (see
`gather.py`).

Every transaction sets its own time-outs and planner switches with SET LOCAL, so that a pooler in transaction mode
works. The switches make each statement an index search, whatever the statistics say: plans made while a table was empty
would otherwise halve the pace until the next ANALYZE.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.store.migrate import TABLE, pending
from heliograph.store.statements import queries
from heliograph.store.unit import Rows, Statement, Unit

T = TypeVar("T")
POOL = 12
ACQUIRE_S = 3.0
CONNECT_S = 5
COMMAND_S = 3.5  # a server that hangs is as good as away: callers hear of it within 5 s
LONG_S = 3600.0  # migrations and moves
TRIES = 4
_SETTINGS = "; ".join(
    f"SET LOCAL {setting}"
    for setting in (
        "statement_timeout = '3s'",
        "lock_timeout = '2s'",
        "idle_in_transaction_session_timeout = '30s'",
        "enable_seqscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
        "enable_bitmapscan = off",
        "enable_material = off",
        "jit = off",
        "plan_cache_mode = force_generic_plan",
    )
)
BEGIN = f"BEGIN; SET LOCAL synchronous_commit = on; {_SETTINGS}"
BEGIN_READ = f"BEGIN READ ONLY; {_SETTINGS}"
MIGRATION_LOCK = 0x48454C494F  # "HELIO"
AWAY = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, TimeoutError, asyncio.TimeoutError)
_QUERIES = queries("postgresql")


def split_url(url: str) -> tuple[str, dict[str, Any]]:
    """asyncpg's part of the URL, and our own: `?statement_cache_size=0` for poolers that know no prepared
    statements."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options: dict[str, Any] = {}
    for name, value in pairs:
        if name == "statement_cache_size":
            if not value.isdecimal():
                raise CannotStart(f"The database URL's statement_cache_size must be a number, not {value!r}.")
            options[name] = int(value)
    try:
        _ = parts.port
    except ValueError:
        raise CannotStart("The database URL's port must be a number up to 65535.") from None
    rest = urlencode([pair for pair in pairs if pair[0] not in options])
    return urlunsplit(parts._replace(query=rest)), options


async def execute(connection: Any, statement: Statement) -> Rows:
    query = _QUERIES.get(statement.name)
    if query is None:
        return []  # the other database's only
    arguments = [statement.params[name] for name in query.params]
    if statement.rows is not None:
        arguments += list(zip(*statement.rows, strict=True))
    rows: Rows = await connection.fetch(query.sql, *arguments)
    return rows


class PostgresShell:
    """Runs units on one server. `committed(seconds, units)` is told of every commit."""

    dialect = "postgresql"

    def __init__(self, url: str, committed: Callable[[float, int], None], monotonic: Callable[[], float]) -> None:
        self._url, self._options = split_url(url)
        self._committed = committed
        self._monotonic = monotonic
        self._pool: Any = None
        self.trouble: str | None = None

    async def open(self, *, migrate: bool = True) -> None:
        """Connects and brings the schema up to date, under a lock. Raises CannotStart."""
        try:
            self._pool = await asyncio.wait_for(
                asyncpg.create_pool(
                    self._url, min_size=1, max_size=POOL, command_timeout=COMMAND_S, reset=_leave, **self._options
                ),
                CONNECT_S,
            )
            await _migrate(self._pool, migrate)
        except CannotStart:
            await self.close()
            raise
        except AWAY as error:
            why = str(error).rstrip(".") or f"it did not answer within {CONNECT_S} s"
            raise CannotStart(f"The database server cannot be reached: {why}.") from None
        except asyncpg.InsufficientPrivilegeError as error:
            await self.close()
            raise CannotStart(f"The database user lacks a right: {error}. Grant it CREATE on the schema.") from None
        except (asyncpg.PostgresError, ValueError) as error:
            await self.close()
            raise CannotStart(f"The database server refused: {error}.") from None

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except (TimeoutError, *AWAY):
                pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """One connection of its own, for long work that is no unit (moving an installation)."""
        connection = await asyncpg.connect(self._url, timeout=10, command_timeout=LONG_S, **self._options)
        try:
            yield connection
        finally:
            await connection.close()

    async def write(self, make: Callable[[], Unit[T]]) -> T:
        began = self._monotonic()
        try:
            value = await self._run(make, BEGIN)
        except Unavailable as refusal:
            self.trouble = refusal.message
            raise
        self._committed(self._monotonic() - began, 1)
        return value

    async def read(self, make: Callable[[], Unit[T]]) -> T:
        return await self._run(make, BEGIN_READ)

    async def _run(self, make: Callable[[], Unit[T]], begin: str) -> T:
        for last in (*[False] * (TRIES - 1), True):
            try:
                return await self._once(make, begin)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError) as error:
                if last:  # rolled back whole: it may be tried again
                    raise Unavailable(f"The database is too busy now ({error}).", retry_after_s=1) from None
            except asyncpg.PostgresError as error:
                raise _plain(error) from error
            except AWAY as error:
                raise Unavailable(
                    f"The database cannot be reached now ({type(error).__name__}).", retry_after_s=2
                ) from None
        raise AssertionError

    async def _once(self, make: Callable[[], Unit[T]], begin: str) -> T:
        if self._pool is None:
            raise Unavailable("The gateway is stopping.", retry_after_s=2)
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            unit = make()
            try:
                await connection.execute(begin)
                try:
                    statement = next(unit)
                    while True:
                        statement = unit.send(await execute(connection, statement))
                except StopIteration as end:
                    await connection.execute("COMMIT")
                    value: T = end.value
                    return value
            except AWAY:
                connection.terminate()  # whatever state it is in, the server rolls back
                raise
            except BaseException:
                with contextlib.suppress(*AWAY, asyncpg.PostgresError):
                    if not connection.is_closed():
                        await asyncio.wait_for(connection.execute("ROLLBACK"), 2)
                raise


async def _leave(_connection: Any) -> None:
    """Nothing to reset between two uses: all settings are local to a transaction."""


def _plain(error: asyncpg.PostgresError) -> Exception:
    """A server that goes away, is full or refuses for now becomes a refusal that may be tried again."""
    code: str = error.sqlstate or ""
    if code.startswith(("08", "53", "57", "58")) or code in ("25006", "55P03"):
        return Unavailable(f"The database cannot write now ({error}).", retry_after_s=2)
    plain: Exception = error
    return plain


async def _migrate(pool: Any, allowed: bool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK, timeout=LONG_S)
        there = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
        if not there and allowed:
            await connection.execute(TABLE)
        rows = await connection.fetch("SELECT version, checksum, compatible FROM schema_migrations") if (
            there or allowed
        ) else []  # fmt: skip
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
