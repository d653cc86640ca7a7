"""Opens the database that the settings name: for the server, and for the commands that work on it alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from heliograph.clock import SystemClock
from heliograph.domain.errors import CannotStart
from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.stores.account_store import AccountStore
from heliograph.settings import Settings
from heliograph.store.database.database import Database
from heliograph.store.database.sqlite import SqliteDatabase
from heliograph.store.stores import Stores

if TYPE_CHECKING:
    from heliograph.store.database.copy_to_postgresql import TableCopied
    from heliograph.store.notify import PostgresWake

Committed = Callable[[float, int], None]  # seconds, units


def _ignore_commit(_seconds: float, _units: int) -> None: ...


def _database(settings: Settings, committed: Committed, clock: SystemClock, *, lock: bool) -> Database:
    if settings.sqlite_path is not None:
        return SqliteDatabase(str(settings.sqlite_path), committed, clock.monotonic, lock=lock)
    from heliograph.store.database.postgresql import (
        PostgresDatabase,  # its driver is loaded only when it is used
    )

    return PostgresDatabase(settings.database_url, committed, clock.monotonic)


def fleet_wake(settings: Settings, stores: Stores, clock: SystemClock) -> "PostgresWake | None":
    """Returns the wake-ups between processes on PostgreSQL, None on SQLite."""
    if settings.sqlite_path is not None:
        return None
    from heliograph.store.notify import PostgresWake

    return PostgresWake(settings.wake_database_url or settings.database_url, stores.database, clock)


@asynccontextmanager
async def open_stores(
    settings: Settings, *, committed: Committed | None = None, migrate: bool = True, lock: bool = True
) -> AsyncIterator[Stores]:
    """Opens the database and migrates its schema. Raises CannotStart."""
    clock = SystemClock()
    database = _database(settings, committed or _ignore_commit, clock, lock=lock)
    await database.open(migrate=migrate)
    try:
        yield Stores(database, clock, JobIds(clock.now_us))
    finally:
        await database.close()


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[AccountStore]:
    """Opens the accounts for `keys` and `orgs`, also while a server runs."""
    async with open_stores(settings, lock=False) as stores:
        yield stores.accounts


async def check_store(settings: Settings) -> str:
    """Returns one line about the database for `doctor`. Raises CannotStart."""
    async with open_stores(settings, migrate=False, lock=False) as stores:
        phones, orgs = await stores.phones.phones(None), await stores.accounts.orgs()
    return f"{settings.database_label}: {len(orgs)} organisations, {len(phones)} phones"


async def move_store(path: Path, url: str, told: "Callable[[TableCopied], None]") -> "Sequence[TableCopied]":
    """Copies a SQLite installation to an empty PostgreSQL database for `migrate --from --to`. Raises CannotStart."""
    from heliograph.store.database.copy_to_postgresql import transfer
    from heliograph.store.database.postgresql import PostgresDatabase

    if not await asyncio.to_thread(path.exists):
        raise CannotStart(f"There is no database file {path}.")
    clock = SystemClock()
    old = SqliteDatabase(str(path), _ignore_commit, clock.monotonic)
    new = PostgresDatabase(url, _ignore_commit, clock.monotonic)
    await old.open()
    try:
        await new.open()
        try:
            return await transfer(new, path=str(path), told=told)
        finally:
            await new.close()
    finally:
        await old.close()
