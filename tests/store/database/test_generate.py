"""The generated functions agree with the SQL files, and the headers of the SQL files with both databases."""

import sqlite3
from pathlib import Path

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.store.database import generate
from heliograph.store.database.generate import columns_of, generated
from heliograph.store.database.migrate import migrations
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.queries import NamedQuery, queries, query_names

FOLDER = Path(generate.__file__).parent
# a text that both databases take for the value of any column that is checked
VALUES = {"state": "queued", "every": "day", "missed": "late", "outcome": "queued"}


@pytest.mark.parametrize("name", ["named/__init__.py", "named/rows.py"])
def test_the_generated_modules_are_those_of_the_sql_files(name: str) -> None:
    assert (FOLDER / name).read_text() == generated()[name], "run `python -m heliograph.store.database.generate`"


def test_no_line_of_sql_has_more_than_120_characters() -> None:
    folder = FOLDER.parent / "sql"
    long = [
        f"{path.name}:{n}"
        for path in sorted(folder.iterdir())
        for n, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert long == []


def test_a_query_takes_the_parameters_that_its_header_names() -> None:
    wrong = []
    for name in sorted(query_names()):
        twins = [queries(dialect)[name] for dialect in ("sqlite", "postgresql") if name in queries(dialect)]
        used = {param for query in twins for param in query.params} - {"rows"}
        used -= {column for query in twins if query.each for column in query.columns}
        if any({column.name for column in columns_of(query.takes)} != used for query in twins):
            wrong.append(f"{name} takes {sorted(used)}")
    assert wrong == []


def test_both_twins_of_a_query_take_the_same_batch_and_have_a_promise() -> None:
    lite, postgres = queries("sqlite"), queries("postgresql")
    assert {name for name in lite.keys() & postgres if lite[name].columns != postgres[name].columns} == set()
    assert {query.name for query in (*lite.values(), *postgres.values()) if not query.promise.endswith(".")} == set()


def test_sqlite_gives_the_columns_that_headers_name() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for migration in migrations():
            for statement in migration.statements("sqlite"):
                connection.execute(statement)
        connection.execute("PRAGMA foreign_keys = OFF")
        wrong = []
        for name, query in queries("sqlite").items():
            connection.execute("BEGIN")
            given = _columns_on_sqlite(connection, query)
            connection.execute("ROLLBACK")
            if query.returns and given != [column.name for column in columns_of(query.returns)]:
                wrong.append(f"{name}: {given}")
        assert wrong == []
    finally:
        connection.close()


def _columns_on_sqlite(connection: sqlite3.Connection, query: NamedQuery) -> list[str]:
    params: dict[str, object] = dict.fromkeys((*query.params, *query.columns), 1)
    params |= {name: VALUES[name] for name in VALUES if name in params}
    params |= {"rows": "[]"} if "rows" in params else {}
    cursor = connection.execute(query.sql, params)
    names = [column[0] for column in cursor.description or ()]
    cursor.close()
    return names


async def test_postgresql_gives_the_columns_and_takes_the_types_that_headers_name(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url, lambda _seconds, _units: None, SystemClock().monotonic)
    await database.open()
    await database.close()
    connection = await asyncpg.connect(postgres_url)
    kinds = {"int8": "int", "int4": "int", "bool": "int", "text": "str"}
    wrong = []
    try:
        for name, query in queries("postgresql").items():
            prepared = await connection.prepare(query.sql)
            given = [(column.name, kinds.get(column.type.name)) for column in prepared.get_attributes()]
            if query.returns and given != [(column.name, _bare(column.type)) for column in columns_of(query.returns)]:
                wrong.append(f"{name} gives {given}")
            types = {column.name: _bare(column.type) for column in columns_of(query.takes)}
            asked = [kinds[parameter.name] for parameter in prepared.get_parameters()[: len(query.params)]]
            if [types[param] for param in query.params] != asked:
                wrong.append(f"{name} takes {dict(zip(query.params, asked, strict=True))}")
    finally:
        await connection.close()
    assert wrong == []


def _bare(kind: str) -> str:
    return kind.removesuffix(" | None").replace("JobId", "int")
