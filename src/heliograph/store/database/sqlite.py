"""The SQLite driver: one writer thread that commits all queued units as one transaction, and reader threads.

Promise: a write that returned is on disk (`synchronous=FULL`, read back on every connection). A unit that fails rolls
back to its own savepoint and harms no other of its group. One process owns the file (`sqlite_lock.py`).
Weakness: a very long unit delays all others; none may scan a backlog.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

import msgspec

from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.ports.faultpoint import faultpoint
from heliograph.store.database.driver_errors import reason_of_sqlite
from heliograph.store.database.migrate import TABLE, pending
from heliograph.store.database.queries import Catalogue, NamedQuery
from heliograph.store.database.sqlite_lock import check_names, disk_full, is_full, real_path, take_lock
from heliograph.store.database.unit import Rows, Statement, Unit

P = ParamSpec("P")
T = TypeVar("T")
GROUP = 256  # units in one commit
READERS = 2
_CHECKPOINT_PAGES = 4000
# small on purpose: the page cache of the system is as fast, and memory must not grow with the backlog
WRITER_KIB = 2048
READER_KIB = 512

_json = msgspec.json.Encoder()
_QUERIES = Catalogue("sqlite")


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Opens a connection with every pragma set and read back."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA cache_size=-{READER_KIB if read_only else WRITER_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit=67108864")
    if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise CannotStart(f"{path}: SQLite did not accept synchronous=FULL")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        raise CannotStart(f"{path}: SQLite did not accept journal_mode=WAL; is it on a network file system?")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
    return connection


def execute(connection: sqlite3.Connection, statement: Statement[object, object]) -> Rows:
    query = _QUERIES[statement.name]
    if query is None:
        return []  # the query exists only for the other database
    if statement.rows is None:
        return connection.execute(query.sql, statement.params).fetchall()
    if query.each:
        found: list[object] = []
        for row in statement.rows:
            params = statement.params | dict(zip(query.columns, row, strict=True))
            found += connection.execute(query.sql, params).fetchall()
        return found
    rows = encode_rows(query, statement.rows)
    return connection.execute(query.sql, {**statement.params, "rows": rows}).fetchall()


def encode_rows(query: NamedQuery, rows: Sequence[Sequence[object]]) -> str:
    """Encodes the parameter `:rows` as JSON: a list of lists, or of plain values if the query uses one column."""
    return _json.encode(rows if query.one is None else [row[query.one] for row in rows]).decode()


def drive(connection: sqlite3.Connection, unit: Unit[T]) -> T:
    """Runs a unit to its end on an open transaction."""
    try:
        statement = next(unit)
        while True:
            statement = unit.send(execute(connection, statement))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


@dataclass(slots=True)
class _Work:
    make: Callable[[], Unit[Any]]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class SqliteDatabase:
    """Runs units on one file. `committed(seconds, units)` is called after every commit."""

    dialect = "sqlite"

    def __init__(
        self, path: str, committed: Callable[[float, int], None], monotonic: Callable[[], float], *, lock: bool = True
    ) -> None:
        self._path = real_path(path)
        self._committed = committed
        self._monotonic = monotonic
        self._writes: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.write_error: str | None = None
        self._lock = lock
        self._lock_file: int | None = None
        self._closed = False
        self._identity = (0, 0)  # device and inode of the file

    async def open(self, *, migrate: bool = True) -> None:
        """Takes the lock file, updates the schema, starts the threads. Raises CannotStart."""
        check_names(self._path)
        if self._lock:
            self._lock_file = take_lock(self._path)
        try:
            writer = connect(self._path)
            _migrate(writer, migrate, self._path)
            readers = [connect(self._path, read_only=True) for _ in range(READERS)]
            status = os.stat(self._path)
            self._identity = (status.st_dev, status.st_ino)
        except sqlite3.Error as error:
            self._release_lock()
            if is_full(self._path, error):
                raise disk_full(self._path) from None
            raise CannotStart(f"The database {self._path} cannot be opened: {error}.") from None
        except CannotStart:
            self._release_lock()
            raise
        self._threads = [threading.Thread(target=self._write, args=(writer,), name="sqlite-writer", daemon=True)]
        self._threads += [
            threading.Thread(target=self._read, args=(each,), name=f"sqlite-reader-{n}", daemon=True)
            for n, each in enumerate(readers)
        ]
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Commits everything handed in before; later units are refused."""
        self._closed = True
        self._writes.put(None)
        for _ in range(READERS):
            self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads = []
        self._release_lock()

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(self._writes, partial(unit, *args, **kwargs))

    async def write_within(
        self, _seconds: float, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Writes without a limit: the file is this machine's own."""
        return await self._submit(self._writes, partial(unit, *args, **kwargs))

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(self._reads, partial(unit, *args, **kwargs))

    def _submit(self, to: "queue.SimpleQueue[_Work | None]", make: Callable[[], Unit[T]]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(Unavailable("The gateway is stopping.", retry_after_s=2))
        else:
            to.put(_Work(make, loop, future))
        return future

    def _if_in_place(self, results: list["_Result"]) -> list["_Result"]:
        """Refuses what was written into a file that is no longer at its path: nobody would find it there."""
        try:
            status = os.stat(self._path)
            in_place = (status.st_dev, status.st_ino) == self._identity
        except OSError:
            in_place = False
        if in_place:
            return results
        away = Unavailable(f"The database file {self._path} was moved, replaced or deleted: stop the gateway.")
        self._refused(away)
        return [(work, None, away) for work, _, _ in results]

    def _write(self, connection: sqlite3.Connection) -> None:
        ended = False
        while not ended:
            work = self._writes.get()
            if work is None:
                break
            group = [work]
            while len(group) < GROUP:
                try:
                    more = self._writes.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                group.append(more)
            began = self._monotonic()
            _answer(self._if_in_place(_commit(connection, group, self._refused)))
            self._committed(self._monotonic() - began, len(group))
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def _refused(self, error: BaseException) -> None:
        if isinstance(error, Unavailable):
            self.write_error = error.message

    def _read(self, connection: sqlite3.Connection) -> None:
        while (work := self._reads.get()) is not None:
            try:
                connection.execute("BEGIN")
                value: Any = drive(connection, work.make())
                error: BaseException | None = None
            except Exception as raised:  # noqa: BLE001 - supervised: the caller gets it
                value, error = None, _plain(raised)
            with contextlib.suppress(sqlite3.Error):
                connection.execute("COMMIT")
            _answer(self._if_in_place([(work, value, error)]))
        connection.close()

    def _release_lock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


_Result = tuple[_Work, Any, BaseException | None]


def _ignore(_error: BaseException) -> None: ...


def _commit(
    connection: sqlite3.Connection, group: list[_Work], refused: Callable[[BaseException], None] = _ignore
) -> list[_Result]:
    """Runs the whole group in one transaction; units that fail do so alone, and `refused` gets their errors."""
    results: list[_Result] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work in group:
            connection.execute("SAVEPOINT unit")
            try:
                results.append((work, drive(connection, work.make()), None))
            except Exception as raised:
                if not connection.in_transaction:  # SQLite itself rolled back (disk full): the whole group is undone
                    raise
                connection.execute("ROLLBACK TO unit")
                results.append((work, None, _plain(raised)))
                refused(_plain(raised))
            connection.execute("RELEASE unit")
        faultpoint("commit.before")
        connection.execute("COMMIT")
        faultpoint("commit.after")
    except Exception as raised:  # noqa: BLE001 - supervised: nothing of the group was committed
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        refused(_plain(raised))
        return [(work, None, _plain(raised)) for work in group]
    return results


def _plain(error: Exception) -> BaseException:
    """Turns a full disk or a damaged file into an error that may be tried again. A defect stays as it is."""
    if reason := reason_of_sqlite(error):
        return Unavailable(f"The database cannot write now ({reason}).", retry_after_s=2)
    return error


def _answer(results: list[_Result]) -> None:
    """Hands all results over with one wake-up of the event loop."""
    loops = {work.loop for work, _, _ in results}
    for loop in loops:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits for the result
            loop.call_soon_threadsafe(_settle, [each for each in results if each[0].loop is loop])


def _settle(results: list[_Result]) -> None:
    for work, value, error in results:
        if work.future.done():
            continue
        if error is None:
            work.future.set_result(value)
        else:
            work.future.set_exception(error)


def _migrate(connection: sqlite3.Connection, allowed: bool, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(TABLE)
        rows = connection.execute("SELECT version, checksum, compatible FROM schema_migrations").fetchall()
        todo = pending({row[0]: (row[1], row[2] == 1) for row in rows})
        if todo and not allowed:
            raise CannotStart(f"The database {path} has an older schema: run `heliograph migrate`.")
        for migration in todo:
            for text in migration.statements("sqlite"):
                connection.execute(text)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?, ?, CAST(unixepoch('subsec') * 1000000 AS INTEGER))"
                if sqlite3.sqlite_version_info >= (3, 42)
                else "INSERT INTO schema_migrations VALUES (?, ?, ?, ?, CAST(strftime('%s') AS INTEGER) * 1000000)",
                (migration.version, migration.name, migration.checksum, int(migration.compatible)),
            )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll back by itself
            connection.execute("ROLLBACK")
        raise
