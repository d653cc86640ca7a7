"""`world`: one phone on a SQLite file. `fleet`: four phones on PostgreSQL, for several senders."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sender.setup import World, sending


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sending(tmp_path / "heliograph.db", tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
async def fleet(tmp_path: Path, postgres_url: str) -> AsyncIterator[World]:
    async with sending(postgres_url, tmp_path / "journal.db", phones=4) as opened:
        yield opened
