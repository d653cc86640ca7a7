"""Fixtures: `senders` for one phone on a SQLite file, `fleet` for four phones on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sender.senders import Senders, open_senders


@pytest.fixture
async def senders(tmp_path: Path) -> AsyncIterator[Senders]:
    async with open_senders(tmp_path / "heliograph.db", tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
async def fleet(tmp_path: Path, postgres_url: str) -> AsyncIterator[Senders]:
    async with open_senders(postgres_url, tmp_path / "journal.db", phones=4) as opened:
        yield opened
