"""Loads the named queries of `sql/*.sql` and spells each for SQLite and for PostgreSQL.

A query begins with `-- name: NAME` and a line of promise. What differs between the databases is said in six ways:
  $rows(a bigint, b text)   a batch handed in as table `r`: json_each on SQLite, unnest on PostgreSQL
  $columns(NAME), $part(NAME)  a list of columns, or another piece of text, that several queries share; given by
                            `-- columns: NAME: a, b, c` or `-- part: NAME: …`, up to the end of the line
  /*index NAME*/            INDEXED BY on SQLite, which otherwise takes the primary key for the better search
  /*lock*/, /*lock skip*/   FOR UPDATE, FOR UPDATE SKIP LOCKED on PostgreSQL; `/*lock of t*/` names the table
  -- only: DATABASE         the query exists for one database; twins have the same name, elsewhere it gives no rows
  -- each: a, b             SQLite runs it once for each row of the batch, the row's columns as parameters

`-- plan: CLASS` says what may be expected of its plan; tests hold each query to its class:
  hot          runs for a request, round, receipt or delivery: few rows by index, found by organisation
  whole        reads one narrow row for each phone, endpoint or organisation, or what is due, over all of them
  small        a table of few rows (organisations, keys, phones, processes), or none
  background   a bounded number of rows at a time, for services and for what an operator does
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_QUERY = re.compile(r"^-- name: *(\w+)[^\n]*\n", re.MULTILINE)
_SHARED = re.compile(r"^-- (columns|part): *(\w+): *(.+)$", re.MULTILINE)
_USED = re.compile(r"\$(columns|part)\((\w+)\)")
_ROWS = re.compile(r"\$rows\(([^)]*)\)")
_LOCK = re.compile(r"/\*lock( skip)?( of \w+)?\*/")
_INDEX = re.compile(r"/\*index (\w+)\*/")
PLANS = ("hot", "whole", "small", "background")
_PARAM = re.compile(r"(?<![:\w]):(\w+)")
# jsonb is never used: JSON is text on both
_CASTS = {"bigint": "bigint", "int": "int", "text": "text"}


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One query for one database. `params` are in the order of `$1…` on PostgreSQL, the batch's columns last."""

    name: str
    sql: str
    plan: str  # one of PLANS
    promise: str
    params: tuple[str, ...]
    columns: tuple[str, ...]  # of the batch
    each: bool
    one: int | None  # SQLite: the only column of the batch that is asked for, handed in as plain values


@cache
def queries(dialect: str) -> Mapping[str, NamedQuery]:
    """All queries for `sqlite` or `postgresql`, by name."""
    found: dict[str, NamedQuery] = {}
    texts = [
        path.read_text()
        for path in sorted(files("heliograph.store").joinpath("sql").iterdir(), key=lambda path: path.name)
    ]
    shared = {(kind, name): said.strip() for text in texts for kind, name, said in _SHARED.findall(text)}
    for text in texts:
        parts = _QUERY.split(text)[1:]
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            query = _spell(name, body, shared, dialect)
            if query is None:
                continue
            if name in found:
                raise ValueError(f"the query {name} is there twice for {dialect}")
            found[name] = query
    return found


def query_for(name: str, dialect: str) -> NamedQuery | None:
    """The query of this name, or None where it exists only for the other database. Raises LookupError for others."""
    query = queries(dialect).get(name)
    if query is None and name not in query_names():
        raise LookupError(f"No file of sql/ has a query named {name!r}.")
    return query


@cache
def query_names() -> frozenset[str]:
    """The names of all queries, for whichever database."""
    return frozenset(queries("sqlite")) | frozenset(queries("postgresql"))


def _spell(name: str, body: str, shared: Mapping[tuple[str, str], str], dialect: str) -> NamedQuery | None:
    comments = [line[2:].strip() for line in body.splitlines() if line.startswith("--")]
    sql = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
    only = next((line.removeprefix("only:").strip() for line in comments if line.startswith("only:")), dialect)
    if only != dialect:
        return None
    each = next((line.removeprefix("each:") for line in comments if line.startswith("each:")), "")
    plan = next((line.removeprefix("plan:").strip() for line in comments if line.startswith("plan:")), "")
    if plan not in PLANS:
        raise ValueError(f"the query {name} has no `-- plan:` of {', '.join(PLANS)}")
    heads = ("plan:", "only:", "each:", "columns:", "part:")
    promise = next((line for line in comments if not line.startswith(heads)), "")
    sql = _USED.sub(lambda match: shared[match[1], match[2]], sql)
    batch = _ROWS.search(sql)
    pairs = [pair.split() for pair in batch[1].split(",")] if batch else []
    names = tuple(pair[0] for pair in pairs)
    sql = _INDEX.sub(r"INDEXED BY \1" if dialect == "sqlite" else "", sql)
    if dialect == "sqlite":
        used = [n for n, column in enumerate(names) if re.search(rf"\br\.{column}\b", sql)]
        one = used[0] if len(used) == 1 and not each else None
        table = ", ".join(f"json_extract(value, '$[{n}]') AS {column}" for n, column in enumerate(names))
        table = table if one is None else f"value AS {names[one]}"
        sql = _ROWS.sub(lambda _: f"(SELECT {table} FROM json_each(:rows)) AS r", sql)
        names = tuple(column.strip() for column in each.split(",")) if each else names
        params = tuple(dict.fromkeys(_PARAM.findall(sql)))
        return NamedQuery(name, _LOCK.sub("", sql), plan, promise, params, names, bool(each), one)
    params = tuple(param for param in dict.fromkeys(_PARAM.findall(_ROWS.sub("", sql))))
    numbers = {param: n for n, param in enumerate(params, 1)}
    arrays = ", ".join(f"${len(params) + n}::{_CASTS[pair[1]]}[]" for n, pair in enumerate(pairs, 1))
    sql = _PARAM.sub(lambda match: f"${numbers[match[1]]}", sql)
    sql = _ROWS.sub(lambda _: f"unnest({arrays}) AS r({', '.join(names)})", sql)
    sql = _LOCK.sub(lambda match: f"FOR UPDATE{match[2] or ''}{' SKIP LOCKED' if match[1] else ''}", sql)
    return NamedQuery(name, sql, plan, promise, params, names, False, None)
