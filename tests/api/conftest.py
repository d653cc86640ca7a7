from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.setup import World, world


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made
