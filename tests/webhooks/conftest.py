"""Fixtures of the webhook tests: each test that asks for `gateway` runs on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heliograph.clock import SystemClock
from tests.kit.database import Location, open_database
from tests.webhooks.gateway import Gateway, open_gateway


@pytest.fixture(params=["sqlite", "postgresql"])
async def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gateway]:
    sqlite = request.param == "sqlite"
    location: Location = tmp_path / "heliograph.db" if sqlite else request.getfixturevalue("postgres_url")
    async with open_database(location, SystemClock()) as database, open_gateway(database) as opened:
        yield opened
