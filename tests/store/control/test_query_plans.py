"""No act and no explanation may scan what waits: each query of steering is an index search by organisation."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import heliograph.store
from heliograph.store.database.queries import queries
from heliograph.store.database.sqlite import SqliteDatabase

FOLDER = Path(heliograph.store.__file__).parent / "sql"
FILES = ("broadcasts", "schedules", "steering", "holds")
NAMES = sorted(name for file in FILES for name in re.findall(r"-- name: (\w+)", (FOLDER / f"{file}.sql").read_text()))
# once a second for a whole installation, each by an index of what is due; they have no organisation to name
SWEEPS = {"broadcasts_due", "next_broadcast", "schedules_due", "next_schedule", "phones_expiring"}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    import asyncio
    import time

    path = str(tmp_path_factory.mktemp("plans") / "h.db")

    async def make() -> None:
        shell = SqliteDatabase(path, lambda _s, _n: None, time.monotonic)
        await shell.open()
        await shell.close()

    asyncio.run(make())
    with sqlite3.connect(path) as opened:
        yield opened
    opened.close()


@pytest.mark.parametrize("name", [name for name in NAMES if name in queries("sqlite")])
def test_a_query_of_steering_searches_and_never_scans(name: str, connection: sqlite3.Connection) -> None:
    query = queries("sqlite")[name]
    params = dict.fromkeys((*query.params, *query.columns), 1) | ({"rows": "[]"} if "rows" in query.params else {})
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", params)]
    own = re.compile(r"^SCAN (json_each|CONSTANT|earlier|late|heads|waiting|known|fresh|\(subquery|\d+ CONSTANT)")
    allowed = (
        {"SCAN broadcasts USING INDEX broadcasts_due", "SCAN p USING INDEX phones_number"} if name in SWEEPS else set()
    )
    assert [step for step in plan if step.startswith("SCAN") and not own.match(step) and step not in allowed] == []


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_every_query_of_steering_names_its_organisation(dialect: str) -> None:
    found = queries(dialect)
    bare = {name for name in NAMES if name in found and "org_no" not in found[name].sql}
    assert bare <= SWEEPS
