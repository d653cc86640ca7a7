"""Tests of query plans: each hot query is an index search by organisation, on both databases.

On PostgreSQL also with plans that were made while the tables were empty, which is what a connection keeps until the
next ANALYZE; with plans made on full tables that were never analysed; and with fresh statistics. Under exactly the
settings that the database gives to each transaction.
"""

import asyncio
import contextlib
import json
import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from heliograph.store.database.postgresql import BEGIN, PostgresDatabase
from heliograph.store.database.queries import NamedQuery, queries
from heliograph.store.database.sqlite import SqliteDatabase, encode_rows
from tests.conftest import _psql
from tests.kit.clocks import ManualClock
from tests.store.large_backlog import BIG, call, fill


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _of(dialect: str, *plans: str) -> dict[str, NamedQuery]:
    return {name: query for name, query in sorted(queries(dialect).items()) if query.plan in plans}


DISTRIBUTED = _words("""
    jobs lanes queue_counters events chats provider_message_ids unmatched_receipts inbound idempotency leases phones
    holds pace_log broadcasts broadcast_counts broadcast_recipients schedules schedule_runs suppressions audit_log
    provider_inbox fanouts signing_keys streams deliveries delivery_bodies delivery_attempts
""")
PAGES = 400  # read for a call of three rows or ten results, however much waits


# of all organisations, by an index of age: so many rows are read and no more
BY_AGE = _words("idempotency_old unmatched_receipts_old inbound_old")


def test_both_twins_of_a_query_have_the_same_class() -> None:
    lite, postgres = queries("sqlite"), queries("postgresql")
    assert {name for name in lite.keys() & postgres if lite[name].plan != postgres[name].plan} == set()


# -- SQLite


@pytest.fixture(scope="module")
def crowded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "heliograph.db"

    async def make() -> None:
        clock = ManualClock()
        database = SqliteDatabase(str(path), lambda _seconds, _units: None, clock.monotonic)
        await database.open()
        await database.close()

    asyncio.run(make())
    with contextlib.closing(sqlite3.connect(path)) as direct:
        direct.execute("PRAGMA synchronous=OFF")
        for statement in fill("sqlite"):
            direct.execute(statement)
        direct.commit()
    return path


def _plan_of_sqlite(direct: sqlite3.Connection, query: NamedQuery) -> list[str]:
    made = call(query, BIG)
    params = dict(made.params)
    if query.each and made.rows is not None:
        params |= dict(zip(query.columns, made.rows[0], strict=True))
    elif made.rows is not None:
        params["rows"] = encode_rows(query, made.rows)
    return [row[3] for row in direct.execute(f"EXPLAIN QUERY PLAN {query.sql}", params)]


def test_sqlite_searches_and_never_scans(crowded_file: Path) -> None:
    wrong = []
    with contextlib.closing(sqlite3.connect(crowded_file)) as direct:
        for name, query in _of("sqlite", "hot").items():
            wrong += [f"{name}: {line}" for line in _plan_of_sqlite(direct, query) if _scans(line, query.sql)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(_of("sqlite", "background")))
def test_what_runs_in_the_background_searches_too(crowded_file: Path, name: str) -> None:
    query = queries("sqlite")[name]
    with contextlib.closing(sqlite3.connect(crowded_file)) as direct:
        steps = _plan_of_sqlite(direct, query)
    assert [step for step in steps if step.startswith("SCAN") and _scans(step, query.sql)] == []


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_what_runs_in_the_background_names_its_organisation(dialect: str) -> None:
    bare = {name for name, query in _of(dialect, "background").items() if "org_no" not in query.sql}
    assert bare <= BY_AGE


def _scans(line: str, sql: str) -> bool:
    """A line that walks over a table, or searches one without its organisation."""
    found = re.match(r"(SCAN|SEARCH) (\w+)(.*)", line)
    if found is None or found[2] in ("json_each", "r", "CONSTANT", "SUBQUERY") or found[2].isdigit():
        return False
    if found[2] in _aliases_of_results(sql):
        return False
    if found[1] == "SCAN":
        return True
    return "AUTOMATIC" in line or ("org_no=?" not in line and "rowid=?" not in line)


def _aliases_of_results(sql: str) -> set[str]:
    """Names of sub-selects, which are read whole because all of them is wanted."""
    return set(re.findall(r"\)\s+AS\s+(\w+)", sql))


def test_sqlite_answers_as_fast_on_the_big_phone_as_on_a_small_one(crowded_file: Path) -> None:
    """Counted in steps of SQLite's own machine, not in seconds."""
    slow = []
    with contextlib.closing(sqlite3.connect(crowded_file, isolation_level=None)) as direct:
        for name, query in _of("sqlite", "hot").items():
            made = call(query, BIG)
            steps = 0

            def count() -> int:
                nonlocal steps
                steps += 100
                return 0

            params = dict(made.params)
            if query.each and made.rows is not None:
                params |= dict(zip(query.columns, made.rows[0], strict=True))
            elif made.rows is not None:
                params["rows"] = encode_rows(query, made.rows)
            direct.execute("BEGIN")
            direct.set_progress_handler(count, 100)
            direct.execute(query.sql, params).fetchall()
            direct.set_progress_handler(None, 0)
            direct.execute("ROLLBACK")
            if steps > 5_000:
                slow.append(f"{name}: {steps} steps")
    assert slow == [], "\n".join(slow)


# -- PostgreSQL


@dataclass(frozen=True)
class Found:
    """A plan as it ran. `when`: stale (made while all was empty), no (made on full tables that were never analysed) or
    fresh."""

    when: str
    name: str
    phone_no: int
    plan: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} ({self.when} statistics, phone {self.phone_no})"


@pytest.fixture(scope="module")
def plans(postgres_server: str) -> Iterator[list[Found]]:
    name = f"heliograph_{secrets.token_hex(6)}"
    _psql(postgres_server, f"CREATE DATABASE {name}")
    url = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    yield asyncio.run(_measure(url))
    _psql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


async def _measure(url: str) -> list[Found]:
    clock = ManualClock()
    database = PostgresDatabase(url, lambda _seconds, _units: None, clock.monotonic)
    await database.open()
    await database.close()
    loader = await asyncpg.connect(url)
    kept = await asyncpg.connect(url)
    late = await asyncpg.connect(url)
    hot = _of("postgresql", "hot")
    try:
        for row in await loader.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            await loader.execute(f"ALTER TABLE {row[0]} SET (autovacuum_enabled = off)")
        await _prepare(kept, hot)  # the plans that a connection makes on its first day
        for statement in fill("postgresql"):
            await loader.execute(statement)
        found = await _run(kept, hot, "stale")
        await _prepare(late, hot)
        found += await _run(late, hot, "no")
        await loader.execute("ANALYZE")
        return found + await _run(kept, hot, "fresh")
    finally:
        await loader.close()
        await kept.close()
        await late.close()


async def _prepare(connection: Any, hot: dict[str, NamedQuery]) -> None:
    await connection.execute(BEGIN)
    for name, query in hot.items():
        await connection.execute(f"PREPARE {name} AS {query.sql}")
        await connection.execute("SAVEPOINT one")
        await connection.fetch(_execute(query, BIG))
        await connection.execute("ROLLBACK TO one")
    await connection.execute("COMMIT")


async def _run(connection: Any, hot: dict[str, NamedQuery], when: str) -> list[Found]:
    found = []
    for name, query in hot.items():
        for phone_no in (1, BIG):
            await connection.execute(BEGIN)
            text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_execute(query, phone_no)}")
            await connection.execute("ROLLBACK")
            found.append(Found(when, name, phone_no, json.loads(text)[0]["Plan"]))
    return found


def _execute(query: NamedQuery, phone_no: int) -> str:
    made = call(query, phone_no)
    values = [_literal(made.params[name]) for name in query.params]
    if made.rows is not None:
        values += [_literal(_array(column)) for column in zip(*made.rows, strict=True)]
    return f"EXECUTE {query.name}({', '.join(values)})" if values else f"EXECUTE {query.name}"


def _array(values: Sequence[Any]) -> str:
    return "{" + ",".join("NULL" if one is None else json.dumps(str(one)) for one in values) + "}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def test_postgresql_searches_and_never_scans(plans: list[Found]) -> None:
    wrong = []
    for found in plans:
        for node in _nodes(found.plan):
            if node["Node Type"] in ("Seq Scan", "Sample Scan", "Tid Scan"):
                wrong.append(f"{found}: {node['Node Type']} of {node.get('Relation Name')}")
            if "Index" in node["Node Type"] and not node.get("Index Cond"):
                wrong.append(f"{found}: reads {node.get('Index Name')} from end to end")
    assert wrong == [], "\n".join(wrong)


def test_postgresql_reads_few_pages_whatever_waits(plans: list[Found]) -> None:
    wrong = []
    for found in plans:
        pages = found.plan["Shared Hit Blocks"] + found.plan["Shared Read Blocks"]
        passed = sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in _nodes(found.plan))
        if pages > PAGES or passed > PAGES:
            wrong.append(f"{found}: {pages} pages, {passed} rows passed over")
    assert wrong == [], "\n".join(wrong)


def test_every_hot_search_names_the_organisation(plans: list[Found]) -> None:
    """The key by which tables can be distributed over several servers."""
    wrong = set()
    for found in plans:
        for node in _nodes(found.plan):
            table, named = node.get("Relation Name"), node.get("Index Cond", "org_no")
            if table == "phones":  # found by its own number, which no other organisation has
                named += node.get("Filter", "")
            if table in DISTRIBUTED and "org_no" not in named:
                wrong.add(f"{found}: {node['Relation Name']} by {node['Index Cond']}")
    assert sorted(wrong) == [], "\n".join(sorted(wrong))


async def _plan_beside_other_jobs(url: str, query: NamedQuery, values: str) -> dict[str, Any]:
    database = PostgresDatabase(url, lambda _seconds, _units: None, ManualClock().monotonic)
    await database.open()
    await database.close()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, performed_by, "
            "queued_at) SELECT 1, n, n % 100, 'c' || n % 100 || '@c.us', 1, n, 'queued', '{}', 'api', 0 "
            "FROM generate_series(1, 20000) AS g(n)"
        )
        await connection.execute(BEGIN)
        await connection.execute(f"PREPARE asked AS {query.sql}")
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({values})")
        await connection.execute("ROLLBACK")
        plan: dict[str, Any] = json.loads(text)[0]["Plan"]
        return plan
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("name", "values"),
    [("lanes_heads", "'{1}', '{7}', '{c7@c.us}', '{1}', '{7}'"), ("jobs_start_next", "0, 0, '{1}', '{7}', '{1}'")],
)
def test_the_head_of_a_lane_is_found_without_reading_its_phones_jobs(
    postgres_server: str, name: str, values: str
) -> None:
    """With no statistics at all and some thousand jobs, every index over phones looks as good as the right one."""
    database = f"heliograph_{secrets.token_hex(6)}"
    _psql(postgres_server, f"CREATE DATABASE {database}")
    url = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{database}"))
    try:
        plan = asyncio.run(_plan_beside_other_jobs(url, queries("postgresql")[name], values))
    finally:
        _psql(postgres_server, f"DROP DATABASE {database} WITH (FORCE)")
    searched = [node for node in _nodes(plan) if node.get("Relation Name") == "jobs" and "Index Name" in node]
    assert "jobs_in_lane" in {node["Index Name"] for node in searched}
    assert sum(node.get("Rows Removed by Filter", 0) for node in searched) == 0
    assert [node["Node Type"] for node in _nodes(plan) if "Sort" in node["Node Type"]] == []


def test_every_distributed_table_has_the_organisation_at_the_head_of_its_key() -> None:
    text = "\n".join(
        path.read_text() for path in sorted((files("heliograph.store") / "migrations").iterdir(), key=lambda p: p.name)
        if path.name.endswith(".sql")
    )  # fmt: skip
    for table in sorted(DISTRIBUTED - {"phones"}):
        body = re.search(rf"CREATE TABLE {table} \((.*?)\n\)", text, re.DOTALL)
        assert body is not None, table
        assert re.search(r"PRIMARY KEY \(org_no\b|^\s*org_no BIGINT PRIMARY KEY", body[1]), table
