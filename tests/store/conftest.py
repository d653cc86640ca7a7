"""Every test here that asks for `desk` runs on both databases; a difference is a skip with its reason."""

from collections.abc import AsyncIterator

import pytest

from tests.store.world import Desk, open_desk


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
