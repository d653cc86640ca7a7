"""Loads the named queries of `sql/*.sql` and spells each for SQLite and for PostgreSQL.

A file consists of paragraphs. A query begins with `-- name: NAME`; then come its promise, its header and its text. A
header line may continue in lines that begin with `--` and three spaces:
  -- plan: CLASS            what is expected of its plan (see below)
  -- takes: a int, b text?  its parameters; `?`: may be NULL. `generate.py` makes a typed function of them
  -- returns: a int, *NAME  the columns of its rows; `*NAME` stands for a list of columns, `id` for a JobId
  -- only: DATABASE         exists for one database; twins have the same name, elsewhere it gives no rows
  -- each: a, b             SQLite runs it once for each row of the batch, the row's columns as parameters
Texts that several queries share are paragraphs too:
  -- columns: NAME: a int, t.b text?   used as $columns(NAME), or as $columns(u.NAME) with `u.` before bare names
  -- part: NAME: …                     used as $part(NAME), or as $part(NAME, x, y) with x for `$1` and y for `$2`
Within a text:
  $rows(a bigint, b text?)  a batch handed in as table `r`: json_each on SQLite, unnest on PostgreSQL
  /*index NAME*/            INDEXED BY on SQLite, which otherwise takes the primary key for the better search
  /*lock*/, /*lock skip*/   FOR UPDATE, FOR UPDATE SKIP LOCKED on PostgreSQL; `/*lock of t*/` names the table

Tests hold each query to its plan class:
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

PLANS = ("hot", "whole", "small", "background")
_HEADER = re.compile(r"^(name|plan|takes|returns|only|each|columns|part): *(.*)$", re.DOTALL)
_COLUMNS = re.compile(r"\$columns\((?:(\w+)\.)?(\w+)\)")
_PART = re.compile(r"\$part\((\w+)((?:, *\w+)*)\)")
_ROWS = re.compile(r"\$rows\(([^)]*)\)")
_LOCK = re.compile(r"/\*lock( skip)?( of \w+)?\*/")
_INDEX = re.compile(r"/\*index (\w+)\*/")
_PARAM = re.compile(r"(?<![:\w]):(\w+)")
# jsonb is never used: JSON is text on both
_CASTS = {"bigint": "bigint", "int": "int", "text": "text"}


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query for one database. `params` are in the order of `$1…` on PostgreSQL, the batch's columns last.

    `takes`, `returns`, `rows`: the types as its file says them.
    """

    name: str
    family: str  # the name of its file
    sql: str
    plan: str  # one of PLANS
    promise: str
    takes: str
    returns: str
    rows: str
    params: tuple[str, ...]
    columns: tuple[str, ...]  # of the batch
    each: bool
    one: int | None  # SQLite: the only column of the batch that is asked for, handed in as plain values


@dataclass(frozen=True, slots=True)
class _Paragraph:
    family: str
    headers: Mapping[str, str]
    promise: str
    sql: str


@cache
def queries(dialect: str) -> Mapping[str, NamedQuery]:
    """Loads all queries for `sqlite` or `postgresql`, by name."""
    found: dict[str, NamedQuery] = {}
    for paragraph in _paragraphs():
        name = paragraph.headers.get("name")
        if name is None or paragraph.headers.get("only", dialect) != dialect:
            continue
        if name in found:
            raise ValueError(f"the query {name} is there twice for {dialect}")
        found[name] = _spell(name, paragraph, dialect)
    return found


class Catalogue(dict[str, NamedQuery | None]):
    """All query names with their query for one database; None: the query exists only for the other one."""

    def __init__(self, dialect: str) -> None:
        super().__init__({name: queries(dialect).get(name) for name in query_names()})

    def __missing__(self, name: str) -> NamedQuery | None:
        raise LookupError(f"No file of sql/ has a query named {name!r}.")


@cache
def query_names() -> frozenset[str]:
    """Gives the names of all queries, for either database."""
    return frozenset(queries("sqlite")) | frozenset(queries("postgresql"))


def shared(kind: str) -> dict[str, str]:
    """Gives the lists of columns (`columns`) or pieces of text (`part`) that queries share, by name."""
    texts = [paragraph.headers[kind] for paragraph in _paragraphs() if kind in paragraph.headers]
    return {name: text.strip() for name, _, text in (each.partition(":") for each in texts)}


@cache
def _paragraphs() -> list[_Paragraph]:
    folder = files("heliograph.store").joinpath("sql")
    return [
        _read(path.name.partition(".")[0], text)
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
        for text in path.read_text().strip().split("\n\n")
    ]


def _read(family: str, text: str) -> _Paragraph:
    comments: list[str] = []
    sql: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            sql.append(line)
        elif line.startswith("--   "):
            comments[-1] += f"\n{line[5:]}"
        else:
            comments.append(line[2:].strip())
    heads = [match for each in comments if (match := _HEADER.match(each))]
    promise = " ".join(each for each in comments if not _HEADER.match(each))
    return _Paragraph(family, {match[1]: match[2] for match in heads}, promise, "\n".join(sql).strip())


def _expand(sql: str) -> str:
    """Inserts the shared pieces and columns into a text."""
    parts, lists = shared("part"), shared("columns")

    def part(match: re.Match[str]) -> str:
        text = parts[match[1]]
        for n, word in enumerate(match[2].split(",")):
            text = text.replace(f"${n}", word.strip())
        return text

    def columns(match: re.Match[str]) -> str:
        names = [pair.rpartition(" ")[0].strip() for pair in lists[match[2]].split(",")]
        return ", ".join(name if match[1] is None or "." in name else f"{match[1]}.{name}" for name in names)

    return _COLUMNS.sub(columns, _PART.sub(part, sql))


def _spell(name: str, paragraph: _Paragraph, dialect: str) -> NamedQuery:
    headers = paragraph.headers
    if headers.get("plan") not in PLANS:
        raise ValueError(f"the query {name} has no `-- plan:` of {', '.join(PLANS)}")
    sql = _expand(paragraph.sql)
    each = headers.get("each", "")
    batch = _ROWS.search(sql)
    pairs = [pair.replace("?", "").split() for pair in batch[1].split(",")] if batch else []
    names = tuple(pair[0] for pair in pairs)
    sql = _INDEX.sub(r"INDEXED BY \1" if dialect == "sqlite" else "", sql)
    one = None
    if dialect == "sqlite":
        used = [n for n, column in enumerate(names) if re.search(rf"\br\.{column}\b", sql)]
        one = used[0] if len(used) == 1 and not each else None
        table = ", ".join(f"json_extract(value, '$[{n}]') AS {column}" for n, column in enumerate(names))
        table = table if one is None else f"value AS {names[one]}"
        sql = _ROWS.sub(lambda _: f"(SELECT {table} FROM json_each(:rows)) AS r", sql)
        names = tuple(column.strip() for column in each.split(",")) if each else names
        params = tuple(dict.fromkeys(_PARAM.findall(sql)))
        sql = _LOCK.sub("", sql)
    else:
        params = tuple(dict.fromkeys(_PARAM.findall(_ROWS.sub("", sql))))
        numbers = {param: n for n, param in enumerate(params, 1)}
        arrays = ", ".join(f"${len(params) + n}::{_CASTS[pair[1]]}[]" for n, pair in enumerate(pairs, 1))
        sql = _PARAM.sub(lambda match: f"${numbers[match[1]]}", sql)
        sql = _ROWS.sub(lambda _: f"unnest({arrays}) AS r({', '.join(names)})", sql)
        sql = _LOCK.sub(lambda match: f"FOR UPDATE{match[2] or ''}{' SKIP LOCKED' if match[1] else ''}", sql)
    return NamedQuery(
        name, paragraph.family, sql, headers["plan"], paragraph.promise, headers.get("takes", ""),
        headers.get("returns", ""), batch[1] if batch else "", params, names, bool(each), one,
    )  # fmt: skip
