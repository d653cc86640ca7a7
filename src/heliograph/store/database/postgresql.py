"""The PostgreSQL driver: a pool of connections, one explicit transaction for each unit.

Promise: a write that returned is committed (`synchronous_commit=on`, set for each transaction). While the database is
away, a call fails within a few seconds as `Unavailable`; it works again when the database is back.
Weakness: if the connection breaks during COMMIT, its outcome is unknown; callers read again by key (see
`group_commit.py`).

Every transaction sets its own time-outs and planner switches with SET LOCAL, so that a pooler in transaction mode
works. The switches make each query an index search, whatever the statistics say: plans made while a table was empty
would otherwise halve the speed until the next ANALYZE.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.store.database.driver_errors import CACHED_PLAN, reason_of_state
from heliograph.store.database.postgresql_setup import prepare
from heliograph.store.database.queries import Catalogue
from heliograph.store.database.unit import Rows, Statement, Unit

P = ParamSpec("P")
T = TypeVar("T")
POOL = 12
ACQUIRE_S = 3.0
CONNECT_S = 5
COMMAND_S = 3.5  # a server that hangs counts as away: callers get an error within 5 s
LONG_S = 3600.0  # migrations and copies
TRIES = 4
_SETTINGS = "; ".join(
    f"SET LOCAL {setting}"
    for setting in (
        "statement_timeout = '3s'",
        "lock_timeout = '2s'",
        # a process that hangs in a transaction loses its row locks well before its lease ends
        "idle_in_transaction_session_timeout = '4s'",
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
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # a connection that broke in the middle of a message
)
NO_STATEMENTS = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
POOLER = "The pooler before the database keeps no prepared statements: add ?statement_cache_size=0 to its URL"
_QUERIES = Catalogue("postgresql")


def split_url(url: str) -> tuple[str, dict[str, int]]:
    """Splits the URL into asyncpg's part and ours: `?statement_cache_size=0`, for poolers without prepared queries."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CannotStart(f"The database URL cannot be read: {error}.") from None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options: dict[str, int] = {}
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


async def execute(connection: asyncpg.Connection, statement: Statement[object, object]) -> Rows:
    query = _QUERIES[statement.name]
    if query is None:
        return []  # the query exists only for the other database
    arguments: list[object] = [statement.params[name] for name in query.params]
    if statement.rows is not None:
        arguments += list(zip(*statement.rows, strict=True))
    rows: Rows = await connection.fetch(query.sql, *arguments)
    return rows


class PostgresDatabase:
    """Runs units on one server. `committed(seconds, units)` is called after every commit."""

    dialect = "postgresql"

    def __init__(self, url: str, committed: Callable[[float, int], None], monotonic: Callable[[], float]) -> None:
        self._url, self._options = split_url(url)
        self._committed = committed
        self._monotonic = monotonic
        self._pool: asyncpg.Pool | None = None
        self.write_error: str | None = None

    async def open(self, *, migrate: bool = True) -> None:
        """Connects, updates the schema under a lock, and checks the rights. Raises CannotStart."""
        try:
            self._pool = await asyncio.wait_for(
                asyncpg.create_pool(
                    self._url, min_size=1, max_size=POOL, command_timeout=COMMAND_S, reset=_leave, **self._options
                ),
                CONNECT_S,
            )
            assert self._pool is not None
            async with self._pool.acquire() as connection:
                await prepare(connection, allowed=migrate)
        except CannotStart:
            await self.close()
            raise
        except AWAY as error:
            await self.close()
            why = _one_line(error).rstrip(".") or f"it did not answer within {CONNECT_S} s"
            raise CannotStart(f"The database server cannot be reached: {why}.") from None
        except NO_STATEMENTS:
            await self.close()
            raise CannotStart(f"{POOLER}.") from None
        except (asyncpg.PostgresError, ValueError) as error:
            await self.close()
            raise CannotStart(f"The database server refused: {_one_line(error).rstrip('.')}.") from None

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except (TimeoutError, *AWAY):
                pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Opens a separate connection, for long work that is no unit (copying an installation)."""
        connection = await asyncpg.connect(self._url, timeout=10, command_timeout=LONG_S, **self._options)
        try:
            yield connection
        finally:
            await connection.close()

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._write(None, partial(unit, *args, **kwargs))

    async def write_within(self, seconds: float, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._write(seconds, partial(unit, *args, **kwargs))

    async def _write(self, within_s: float | None, make: Callable[[], Unit[T]]) -> T:
        began = self._monotonic()
        try:
            async with asyncio.timeout(within_s):
                value = await self._run(make, BEGIN)
        except TimeoutError:
            self.write_error = "The database does not answer in time now."
            raise Unavailable(self.write_error, retry_after_s=2) from None
        except Unavailable as refusal:
            self.write_error = refusal.message
            raise
        self._committed(self._monotonic() - began, 1)
        return value

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(partial(unit, *args, **kwargs), BEGIN_READ)

    async def _run(self, make: Callable[[], Unit[T]], begin: str) -> T:
        for last in (*[False] * (TRIES - 1), True):
            try:
                return await self._once(make, begin)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError) as error:
                if last:  # rolled back: it may be tried again
                    raise Unavailable(f"The database is too busy now ({error}).", retry_after_s=1) from None
            except asyncpg.PostgresError as error:
                if last or error.sqlstate != CACHED_PLAN:  # a plan of changed tables is made anew
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
            except (*AWAY, asyncio.CancelledError):
                connection.terminate()  # the server rolls back, whatever state it is in
                raise
            except asyncpg.ReadOnlySQLTransactionError:
                await self._pool.expire_connections()  # a session that began read-only stays so
                connection.terminate()
                raise
            except BaseException:
                with contextlib.suppress(*AWAY, asyncpg.PostgresError):
                    if not connection.is_closed():
                        await asyncio.wait_for(connection.execute("ROLLBACK"), 2)
                raise


async def _leave(_connection: asyncpg.Connection) -> None:
    """Resets nothing between two uses of a connection: all settings are local to a transaction."""


def _one_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _plain(error: asyncpg.PostgresError) -> Exception:
    """Turns the error of a server that stops, is full or refuses for now into one that may be tried again."""
    code: str = error.sqlstate or ""
    if isinstance(error, NO_STATEMENTS):
        return Unavailable(f"{POOLER}.", retry_after_s=2)
    if reason := reason_of_state(code):
        return Unavailable(f"The database cannot be used now: {reason} ({_one_line(error)}).", retry_after_s=2)
    plain: Exception = error
    return plain
