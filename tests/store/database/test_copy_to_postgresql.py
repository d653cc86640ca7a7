"""Tests of copying an installation from SQLite to PostgreSQL: everything arrives, or nothing."""

import time
from pathlib import Path

import pytest

from heliograph.app.database import move_store, open_stores
from heliograph.domain.errors import CannotStart
from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.jobs.job import Enqueued, NewJob
from heliograph.domain.messages.content import Content, Kind
from heliograph.settings import Settings
from heliograph.store.database.copy_to_postgresql import TableCopied
from tests.kit.factories import create_phone


async def _fill(path: Path, jobs: int) -> None:
    ids = JobIds(lambda: time.time_ns() // 1000)
    async with open_stores(Settings(database_url=f"sqlite:///{path}")) as stores:
        org = await stores.accounts.create_org("moving")
        phone = await create_phone(stores, org.org_no, "919876543210")
        for n in range(jobs):
            content = Content(Kind.TEXT, f"parcel {n} — «ü» 🚚")
            made = await stores.jobs.enqueue(
                NewJob(ids.make(), org.org_no, phone.phone_no, f"4477009001{n:02d}@c.us", content)
            )
            assert isinstance(made, Enqueued)


async def test_an_installation_is_copied_whole_and_continues_there(tmp_path: Path, postgres_url: str) -> None:
    old = tmp_path / "old.db"
    await _fill(old, 25)
    reported: list[TableCopied] = []
    moved = await move_store(old, postgres_url, reported.append)
    assert reported == list(moved)
    rows = {one.table: one.rows for one in moved}
    assert rows["jobs"] == rows["events"] == rows["lanes"] == 25
    async with open_stores(Settings(database_url=postgres_url)) as stores:
        (org,) = await stores.accounts.orgs()
        assert [job.content.body for job in await stores.jobs.jobs(org.org_no, None)][-1] == "parcel 0 — «ü» 🚚"
        assert (await stores.jobs.health(org.org_no, None)).waiting == 25
        second = await stores.accounts.create_org("made after the move")
        assert second.org_no > org.org_no


async def test_a_database_that_holds_an_installation_is_not_overwritten(tmp_path: Path, postgres_url: str) -> None:
    old = tmp_path / "old.db"
    await _fill(old, 1)
    await move_store(old, postgres_url, lambda _: None)
    with pytest.raises(CannotStart, match="already holds an installation"):
        await move_store(old, postgres_url, lambda _: None)


async def test_a_running_server_keeps_its_file_from_being_moved(tmp_path: Path, postgres_url: str) -> None:
    old = tmp_path / "old.db"
    async with open_stores(Settings(database_url=f"sqlite:///{old}")):
        with pytest.raises(CannotStart, match="belongs to another heliograph process"):
            await move_store(old, postgres_url, lambda _: None)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(CannotStart, match=r"no database file .*nowhere\.db"):
        await move_store(tmp_path / "nowhere.db", postgres_url, lambda _: None)
