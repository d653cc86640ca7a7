"""Tests of both drivers: a unit is all or nothing, alone or in a group, and a failed start has one clear line."""

import asyncio
from typing import Any

import pytest

from heliograph.domain.errors import CannotStart, Unavailable
from heliograph.domain.jobs.job import Enqueued
from heliograph.store.database import named
from heliograph.store.database.queries import Catalogue, queries
from heliograph.store.database.sqlite import encode_rows
from heliograph.store.database.unit import Statement, Unit, query
from tests.kit.clocks import ManualClock
from tests.kit.database import make_database
from tests.kit.phone_queue import PhoneQueue


def _org(name: Any, then: Exception | None = None) -> Unit[int]:
    (row,) = yield from query(named.org_insert(org_id=f"id of {name}", name=name, now=0))
    if then is not None:
        raise then
    return int(row["org_no"])


async def _names(queue: PhoneQueue) -> set[str]:
    return {org.name for org in await queue.stores.accounts.orgs()} - {"an organisation"}


async def test_a_unit_that_fails_leaves_nothing_and_harms_no_other(queue: PhoneQueue) -> None:
    units = [_Make("good 1"), _Make("bad", ValueError("a defect")), _Make(None), _Make("good 2")]
    results = await asyncio.gather(*(queue.stores.database.write(unit) for unit in units), return_exceptions=True)
    assert [isinstance(one, Exception) for one in results] == [False, True, True, False]
    assert isinstance(results[1], ValueError)
    assert await _names(queue) == {"good 1", "good 2"}


class _Make:
    def __init__(self, name: str | None, then: Exception | None = None) -> None:
        self._unit: Any = (name, then)

    def __call__(self) -> Unit[int]:
        return _org(*self._unit)


async def test_a_reader_changes_nothing(queue: PhoneQueue) -> None:
    with pytest.raises(Exception, match=r"read.?only"):
        await queue.stores.database.read(_Make("sneaked in"))
    assert await _names(queue) == set()
    assert await queue.stores.database.write(_Make("written")) > 0


async def test_a_schema_that_is_too_new_is_refused_unless_it_says_that_it_fits(queue: PhoneQueue) -> None:
    newer = "INSERT INTO schema_migrations VALUES (9999, 'later', 'x', {compatible}, 0)"
    await queue.execute(newer.format(compatible=0))
    with pytest.raises(CannotStart, match=r"(has version 9999|belongs to another)"):
        await _open_again(queue)
    await queue.execute("UPDATE schema_migrations SET compatible = 1 WHERE version = 9999")
    await _open_again(queue)


async def test_a_migration_that_was_changed_is_refused(queue: PhoneQueue) -> None:
    await queue.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    with pytest.raises(CannotStart, match="differs from this program's"):
        await _open_again(queue)


async def test_an_older_schema_is_left_alone_where_migrating_is_not_allowed(queue: PhoneQueue) -> None:
    await queue.execute("DELETE FROM schema_migrations WHERE version > 1")
    with pytest.raises(CannotStart, match="heliograph migrate"):
        await _open_again(queue, migrate=False)


async def _open_again(queue: PhoneQueue, *, migrate: bool = True) -> None:
    beside = make_database(queue.location, ManualClock(), lock=False)
    await beside.open(migrate=migrate)
    await beside.close()


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/nothing", "postgresql://nobody@/nothing?host=/nonexistent"]
)
async def test_a_server_that_cannot_be_reached_is_one_clear_line_within_seconds(url: str) -> None:
    with pytest.raises(CannotStart, match="cannot be reached"):
        await asyncio.wait_for(make_database(url, ManualClock()).open(), 10)


async def test_a_store_that_closes_answers_every_caller(queue: PhoneQueue) -> None:
    making = [asyncio.ensure_future(queue.stores.jobs.enqueue(queue.new_job(f"chat{n}"))) for n in range(150)]
    await asyncio.sleep(0)
    await queue.stores.database.close()
    made = await asyncio.gather(*making, return_exceptions=True)
    assert all(isinstance(one, Enqueued | Unavailable) for one in made)
    accepted = {one.job_id for one in made if isinstance(one, Enqueued)}
    assert accepted <= {row["job_id"] for row in await queue.rows("SELECT job_id FROM jobs")}
    with pytest.raises(Unavailable):
        await queue.stores.accounts.orgs()


def test_a_batch_of_which_one_column_is_asked_for_is_handed_to_sqlite_as_plain_values() -> None:
    rows = [(7, 8, 1, 1, None), (7, 9, 1, 1, None)]
    assert encode_rows(queries("sqlite")["jobs_sent"], rows) == "[8,9]"
    assert encode_rows(queries("sqlite")["fence"], [(7, 1, 2)]) == "[[7,1,2]]"


async def test_a_query_name_that_no_file_knows_is_refused(queue: PhoneQueue) -> None:
    with pytest.raises(LookupError, match="'lanes_lokc'"):
        await queue.stores.database.write(query, Statement("lanes_lokc", {"org_no": 1}))


def test_a_query_of_the_other_database_is_known_and_has_no_text() -> None:
    assert Catalogue("sqlite")["seed_lock"] is None
    assert Catalogue("postgresql")["seed_lock"] is not None
