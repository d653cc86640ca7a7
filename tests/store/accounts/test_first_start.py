"""Tests of the first start: an empty database gets one organisation, key and phone, with any number of processes."""

import asyncio
from pathlib import Path

from heliograph.app.database import open_stores
from heliograph.domain.accounts.api_key import given_key
from heliograph.domain.accounts.phone import NewPhone
from heliograph.settings import Settings

KEY = given_key("0123456789abcdef")


async def start(url: str, n: int) -> bool:
    phone = NewPhone(0, f"phone-{n:016d}", "919876543210", "simulator")
    async with open_stores(Settings(database_url=url), lock=False) as stores:
        return await stores.accounts.seed(KEY.digest, KEY.prefix, phone)


async def check(url: str, processes: int) -> None:
    made = await asyncio.gather(*(start(url, n) for n in range(processes)))
    assert sorted(made) == [False] * (processes - 1) + [True]
    async with open_stores(Settings(database_url=url), lock=False) as stores:
        (org,), (key,), (phone,) = (
            await stores.accounts.orgs(),
            await stores.accounts.keys(None),
            await stores.phones.phones(None),
        )
    assert (org.name, key.org_no, phone.org_no, phone.number) == ("default", org.org_no, org.org_no, "919876543210")


async def test_processes_that_start_together_on_postgresql_make_one_organisation(postgres_url: str) -> None:
    await check(postgres_url, 5)


async def test_a_second_start_on_sqlite_makes_nothing_new(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'seed.db'}"
    assert await start(url, 0) is True
    assert await start(url, 1) is False


async def test_without_a_phone_number_no_phone_is_made(tmp_path: Path) -> None:
    async with open_stores(Settings(database_url=f"sqlite:///{tmp_path / 'seed.db'}")) as stores:
        assert await stores.accounts.seed(KEY.digest, KEY.prefix, None) is True
        assert await stores.phones.phones(None) == []
