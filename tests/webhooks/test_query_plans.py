"""Tests of query plans: deliveries are found by their keys, with any planner statistics."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.store.database.migrate import migrations
from heliograph.store.database.postgresql import BEGIN
from heliograph.store.database.queries import queries
from tests.kit.database import open_database

FAMILIES = {"webhooks", "deliveries", "streams", "org_events"}
SOURCES = ("_to_fan_out", "_set_fanned_out", "_by_key", "phones_by_no", "jobs_by_id")
NAMES = sorted(
    {
        name
        for dialect in ("sqlite", "postgresql")
        for name, query in queries(dialect).items()
        if query.family in FAMILIES or name.endswith(SOURCES)
    }
)
DISTRIBUTED = {
    "deliveries", "streams", "delivery_bodies", "delivery_attempts", "events", "jobs", "inbound", "org_events",
    "fanouts", "signing_keys", "endpoints", "hooks",
}  # fmt: skip
# tables that hold a backlog; a search in a partial index that holds only what is due is no scan of it
LARGE = ("deliveries", "streams", "events", "jobs", "inbound", "delivery_bodies", "delivery_attempts")


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "plans.db")
    for migration in migrations():
        for statement in migration.statements("sqlite"):
            connection.execute(statement)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", [name for name in NAMES if name in queries("sqlite")])
def test_no_hot_statement_scans_a_large_table_on_sqlite(sqlite_file: sqlite3.Connection, name: str) -> None:
    query = queries("sqlite")[name]
    params = dict.fromkeys((*query.params, *query.columns, "rows"))
    plan = sqlite_file.execute(f"EXPLAIN QUERY PLAN {query.sql}", params).fetchall()
    large = {
        *LARGE,
        *(alias for table, alias in re.findall(r"\b(?:FROM|JOIN) (\w+) (\w)\b", query.sql) if table in LARGE),
    }
    for *_, step in plan:
        word = re.match(r"SCAN (\w+)", step)
        assert not (word and word[1] in large), f"{name}: {[step for *_, step in plan]}"


async def test_every_search_names_the_organisation_except_sweeps_without_locks(
    postgres_url: str,
) -> None:
    """A locking read over all shards does not work on a distributed PostgreSQL."""
    wrong = []
    async with open_database(postgres_url, SystemClock()):
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute(BEGIN)
            for name in [name for name in NAMES if name in queries("postgresql")]:
                query = queries("postgresql")[name]
                if query.plan == "small":
                    continue
                given = ", ".join(["NULL"] * (len(query.params) + len(query.columns)))
                await connection.execute(f"PREPARE {name} AS {query.sql}")
                text = await connection.fetchval(
                    f"EXPLAIN (FORMAT JSON) EXECUTE {name}" + (f"({given})" if given else "")
                )
                nodes = list(_nodes(json.loads(text)[0]["Plan"]))
                bare = [node for node in nodes if _without_organisation(node)]
                if query.plan == "whole":  # plain reads over all organisations: what they find is locked afterwards
                    assert bare, f"{name} need not be named here"
                    bare = [node for node in nodes if node["Node Type"] in ("LockRows", "ModifyTable")]
                wrong += [f"{name}: {node}" for node in bare]
        finally:
            await connection.close()
    assert wrong == [], "\n".join(wrong)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _without_organisation(node: dict[str, Any]) -> bool:
    named = f"{node.get('Index Cond', '')} {node.get('Filter', '')}"
    return node.get("Relation Name") in DISTRIBUTED and node["Node Type"] != "ModifyTable" and "org_no" not in named


@pytest.mark.parametrize("analysed", [False, True], ids=["stale statistics", "fresh statistics"])
async def test_a_claim_and_a_settlement_cost_the_same_with_a_backlog_on_postgresql(
    postgres_url: str, analysed: bool
) -> None:
    async with open_database(postgres_url, SystemClock()):
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute("INSERT INTO orgs (org_id, name, created_at) VALUES ('o', 'o', 1)")
            await connection.execute(
                "INSERT INTO endpoints (org_no, url) SELECT 1, 'http://x/' || g FROM generate_series(1, 50) g"
            )
            await connection.execute(
                "INSERT INTO deliveries (org_no, no, place, hook_no, endpoint_no, stream, event, source, job_id, n,"
                " ack, ack_before, sequence, state, created_at)"
                " SELECT 1, g, g, g % 50, g % 50 + 1, 'chat ' || g % 20000, 'message.sent',"
                " 'job', g % 50000, 1, 1, 0, 1, 'pending', g FROM generate_series(1, 100000) g"
            )
            await connection.execute(
                "INSERT INTO streams (org_no, endpoint_no, stream, status, head_no) SELECT org_no, endpoint_no, stream,"
                " 'ready', min(no) FROM deliveries GROUP BY 1, 2, 3"
            )
            if analysed:
                await connection.execute("ANALYZE")
            for name, args in (
                ("streams_heads", ([1], [7], ["chat 6"])),
                ("deliveries_of_streams", ([1], [7], ["chat 6"], [16])),
                ("streams_ready", ([1], [7], [8])),
                ("deliveries_settle", (5, [1], [6], ["delivered"], [1], [1], ["delivered"], ["chat 6"], [None])),
                ("deliveries_of_hook", (1, 6, 10**9, None, 50)),
                ("streams_due", (5, 500)),
                ("jobs_without_deliveries", ([1, 1], [7, 60_000])),
                ("inbound_prune", ([1], [1], ["M1"])),
                ("org_events_prune", (1, 5, 500)),
                ("deliveries_page", (1, 50, 500)),
                ("deliveries_waiting_for_endpoint", (1, 7, 500)),
                ("endpoints_given_up", (5,)),
            ):
                query = queries("postgresql")[name]
                await connection.execute(BEGIN)
                plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.sql}", *args)
                await connection.execute("ROLLBACK")
                read = _rows_read(json.loads(plan))
                assert read <= 2000, (name, read)
        finally:
            await connection.close()


def _rows_read(plan: object) -> float:
    """Rows that any step read or threw away."""
    if isinstance(plan, list):
        return max((_rows_read(each) for each in plan), default=0)
    if not isinstance(plan, dict):
        return 0
    loops = plan.get("Actual Loops", 1)
    own = float((plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)) * loops)
    return max(own, *(_rows_read(each) for each in plan.values()), 0)
