"""The same promises on both databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from heliograph.clock import SystemClock
from heliograph.store.database.database import Database
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.sqlite import SqliteDatabase
from tests.webhooks.setup import World, world


def unheard(_seconds: float, _units: int) -> None: ...


@asynccontextmanager
async def opened(shell: Database) -> AsyncIterator[Database]:
    await shell.open()
    try:
        yield shell
    finally:
        await shell.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = SystemClock()
    shell: Database
    if request.param == "sqlite":
        shell = SqliteDatabase(str(tmp_path / "heliograph.db"), unheard, clock.monotonic)
    else:
        shell = PostgresDatabase(request.getfixturevalue("postgres_url"), unheard, clock.monotonic)
    async with opened(shell), world(shell) as made:
        yield made
