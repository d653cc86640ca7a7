from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heliograph.clock import SystemClock
from heliograph.store.sqlite import SqliteShell
from tests.webhooks.world import World, world


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[World]:
    shell = SqliteShell(str(tmp_path / "heliograph.db"), lambda _seconds, _units: None, SystemClock().monotonic)
    await shell.open()
    try:
        async with world(shell) as made:
            yield made
    finally:
        await shell.close()
