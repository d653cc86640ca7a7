"""The same tests on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.steering.world import World, open_world, path_in


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return path_in(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with open_world(database) as found:
        yield found
