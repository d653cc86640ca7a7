"""The network's own file: every message it took, and what it still owes to the phones.

Promise: what was awaited is written before the answer (not synced): it survives a kill of the process, not of the
machine. Whatever arrives while a batch is written goes into the next one, as one statement.
Messages are kept in a log and folded into the indexed tables when nothing arrives for a while, when somebody reads, or
when the log is very long. Weakness: a read right after a burst of 100,000 messages takes a second or two.
"""

import asyncio
import contextlib
import functools
import os
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from heliograph.domain.messages.content import Content

IDLE_S = 0.1  # without arrivals before a part of the log is folded
FOLD_STEP = 1_000  # messages folded at once then: what arrives meanwhile waits for about 20 ms
LOG_LIMIT = 200_000  # messages in the log before it is folded between two batches
LOCK_WAIT_S = 2.0  # a process that is ending still gives up its lock
_TEXT = files(__package__).joinpath("journal.sql").read_text("utf-8")
_, *_PARTS = re.split(r"^-- name: (\w+)$", _TEXT, flags=re.MULTILINE)
SQL: Mapping[str, str] = dict(zip(_PARTS[::2], _PARTS[1::2], strict=True))
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class JournalInUse(Exception):
    """Another process has this file: its numbers and ours would clash."""


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that was taken. The order of the fields is the one that `fold_arrivals` reads."""

    no: int
    device_id: str
    number: str
    chat_id: str
    message_id: str
    behaviour: str
    since_us: int
    next_us: int
    owed: int
    ack: int
    received_at_us: int
    content: Content
    quoted_id: str | None


class Settled(msgspec.Struct, frozen=True):
    """Messages that have reached `ack`; `owed` steps are left of them, the first after `next` microseconds."""

    nos: list[int]
    owed: int
    next: int
    ack: int


@dataclass(slots=True)
class _Arrivals:
    rows: list[Arrival] = field(default_factory=list)
    answers: list[asyncio.Future[None]] = field(default_factory=list)


@dataclass(slots=True)
class _Call:
    work: Callable[[sqlite3.Connection], Any]
    answer: asyncio.Future[Any]


class _Fold(msgspec.Struct, frozen=True):
    """Request to fold a part of the log into the tables, made when nobody has written for a while."""


_Item = _Arrivals | _Call | Settled | _Fold


class Journal:
    """One thread writes; all other state is the event loop's. Use between `open` and `close`."""

    def __init__(self, path: Path, written: Callable[[Sequence[Arrival]], None]) -> None:
        """`written` hears of each batch of arrivals, on the event loop, once it is in the file."""
        self._path = path
        self._written = written
        self._thread = ThreadPoolExecutor(1, "simulator-journal")
        self._reader = ThreadPoolExecutor(1, "simulator-reader")
        self._pending: list[_Item] = []
        self._busy: asyncio.Future[Any] | None = None
        self._connection: sqlite3.Connection | None = None
        self._lock: sqlite3.Connection | None = None
        self._log_size = 0
        self._fold_timer: asyncio.TimerHandle | None = None
        self._put_at = 0.0
        self._closing = False

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(self._thread, self._connect)

    async def close(self) -> None:
        self._closing = True
        if self._fold_timer:
            self._fold_timer.cancel()
        while self._busy or self._pending:
            await asyncio.wait([self._busy] if self._busy else [self._start()])
        await self._loop.run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()
        self._reader.shutdown()

    def arrive(self, row: Arrival) -> asyncio.Future[None]:
        """Done when the message is in the file."""
        last = self._pending[-1] if self._pending else None
        if not isinstance(last, _Arrivals):
            last = _Arrivals()
            self._put(last)
        answer: asyncio.Future[None] = self._loop.create_future()
        last.rows.append(row)
        last.answers.append(answer)
        return answer

    def settle(self, settled: Settled) -> None:
        """Hands in a progress that is not awaited: if it is lost, it is delivered again."""
        self._put(settled)

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` in a transaction of its own, after all that was handed in before."""
        answer: asyncio.Future[T] = self._loop.create_future()
        self._put(_Call(work, answer))
        return await answer

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """`call` with one named statement."""
        return await self.call(lambda db: db.execute(SQL[statement], values or {}).fetchall())

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a long `work` beside the writer, on what was handed in before."""
        await self.call(lambda _: None)
        return await self._loop.run_in_executor(self._reader, self._read, work)

    @property
    def log_size(self) -> int:
        """Messages and confirmations that are not folded yet."""
        return self._log_size

    @property
    def idle(self) -> bool:
        return self._busy is None and not self._pending

    def _put(self, item: _Item) -> None:
        self._put_at = self._loop.time()
        self._pending.append(item)
        if self._busy is None and len(self._pending) == 1:
            self._loop.call_soon(self._start_if_idle)  # others of this round of the loop join the batch

    def _start_if_idle(self) -> None:
        if self._busy is None and self._pending:
            self._start()

    def _start(self) -> asyncio.Future[Any]:
        items, self._pending = self._pending, []
        self._busy = self._loop.run_in_executor(self._thread, self._write, items)
        self._busy.add_done_callback(lambda done: self._finish(items, done.result()))
        return self._busy

    def _finish(self, items: list[_Item], results: list[Any]) -> None:
        self._busy = None
        for item, result in zip(items, results, strict=True):
            failed = isinstance(result, BaseException)
            if isinstance(item, _Arrivals):
                if not failed:
                    self._written(item.rows)
                for answer in item.answers:
                    if not answer.done():
                        answer.set_exception(result) if failed else answer.set_result(None)
            elif isinstance(item, _Call) and not item.answer.done():
                item.answer.set_exception(result) if failed else item.answer.set_result(result)
        self._start_if_idle()
        if self._log_size and self._fold_timer is None and not self._closing:
            self._fold_timer = self._loop.call_later(IDLE_S, self._fold_if_idle)

    def _fold_if_idle(self) -> None:
        self._fold_timer = None
        left_s = IDLE_S - (self._loop.time() - self._put_at)
        if left_s > 0 or not self.idle:
            self._fold_timer = self._loop.call_later(max(left_s, IDLE_S / 2), self._fold_if_idle)
        else:
            self._put(_Fold())

    # ---- in the thread ----

    def _connect(self) -> None:
        self._lock = _locked(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -8000")
        connection.executescript(SQL["schema"])
        self._connection = connection
        self._log_size = connection.execute(SQL["log_size"]).fetchone()[0]
        self._fold(None)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None, timeout=10)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return work(connection)

    def _disconnect(self) -> None:
        if self._connection:
            self._fold(None)
            self._connection.close()
            self._connection = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _write(self, items: list[_Item]) -> list[Any]:
        results: list[Any] = []
        for item in items:
            try:
                results.append(self._write_one(item))
            except Exception as error:  # noqa: BLE001 - handed to whoever awaits it
                results.append(error)
        if self._log_size >= LOG_LIMIT:
            with contextlib.suppress(sqlite3.Error):  # a full disk: the log stays as it is until the next batch
                self._fold(FOLD_STEP)
        return results

    def _write_one(self, item: _Item) -> Any:
        assert self._connection
        if isinstance(item, _Call):
            self._fold(None)
            return self._transaction(item.work)
        if isinstance(item, _Fold):
            return self._fold(FOLD_STEP)
        body: Any = item.rows if isinstance(item, _Arrivals) else item
        size = len(item.rows) if isinstance(item, _Arrivals) else len(item.nos)
        kind = "arrivals" if isinstance(item, _Arrivals) else "settled"
        self._connection.execute(SQL["append"], {"kind": kind, "size": size, "body": _encode(body).decode()})
        self._log_size += size
        return None

    def _fold(self, limit: int | None) -> None:
        """Moves the oldest part of the log into the tables: about `limit` messages, or all."""
        left = self._log_size if limit is None else min(limit, self._log_size)
        while left > 0:
            done = self._transaction(functools.partial(_fold_page, limit=min(left, FOLD_STEP)))
            self._log_size -= done
            left -= done
            if not done:
                self._log_size = 0

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        assert self._connection
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result


def _locked(path: Path) -> sqlite3.Connection:
    """Holds a lock beside the file for as long as it is open; a kill gives it up. Raises JournalInUse."""
    lock = sqlite3.connect(
        f"{os.path.realpath(path)}-lock", isolation_level=None, check_same_thread=False, timeout=LOCK_WAIT_S
    )
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise (JournalInUse(str(error)) if "locked" in str(error) else error) from None
    return lock


def _fold_page(connection: sqlite3.Connection, *, limit: int) -> int:
    done = 0
    last = 0
    for row_id, kind, size, body in connection.execute(SQL["log_page"]).fetchall():
        connection.execute(SQL[f"fold_{kind}"], {"body": body})
        last = row_id
        done += size
        if done >= limit:
            break
    connection.execute(SQL["log_trim"], {"id": last})
    return done
