from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.simulator.network_client import Client, network_client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with network_client(tmp_path / "network.db") as built:
        yield built
