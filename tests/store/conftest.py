"""Fixtures of the store's tests: each test that asks for `queue` or `location` runs on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.database import Location
from tests.kit.phone_queue import PhoneQueue, phone_queue


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """A database that does not exist yet, or is empty."""
    if request.param == "sqlite":
        return tmp_path / "heliograph.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def queue(location: Location) -> AsyncIterator[PhoneQueue]:
    """A phone owned by sender-a; its database is audited when the test is done."""
    async with phone_queue(location) as opened:
        yield opened
