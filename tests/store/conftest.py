"""Every test here that asks for `desk` runs on both databases; a difference is a skip with its reason."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.store import Desk, open_desk
from tests.store.control_setup import World, open_world, path_in


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """An open store with one phone, owned by sender-a; audited when the test is done."""
    if request.param == "sqlite":
        opened = await open_desk(tmp_path_factory.mktemp("store") / "heliograph.db")
    else:
        opened = await open_desk(request.getfixturevalue("postgres_url"))
    yield opened
    await opened.store.shell.close()
    await opened.audit()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return path_in(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with open_world(database) as found:
        yield found
