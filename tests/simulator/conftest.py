from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.simulator.setup import World, world


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "network.db") as built:
        yield built
