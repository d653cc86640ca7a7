"""The unit of work: a generator that yields statements and is sent their rows; its return value is the result.

Promise: a unit runs wholly in one transaction, or not at all. It may be run again from the start if its batch failed,
so it must not act on anything but the database.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Statement(msgspec.Struct, frozen=True):
    """A named query of `sql/`, its parameters, and (for `$rows(...)` queries) its batch of rows in column order.

    An empty batch is not sent: the answer is no rows.
    """

    name: str
    params: Mapping[str, Any] = {}
    rows: Sequence[Sequence[Any]] | None = None


class ResultRow(Protocol):
    """A result row: by column name, or iterated in column order."""

    def __getitem__(self, key: str, /) -> Any: ...

    def __iter__(self) -> Any: ...


Rows = Sequence[Any]
Unit = Generator[Statement, Rows, T]


def query(name: str, /, **params: Any) -> Generator[Statement, Rows, Rows]:
    """`rows = yield from run("job_by_id", org_no=1, job_id=2)`"""
    return (yield Statement(name, params))


def query_batch(name: str, rows: Sequence[Sequence[Any]], /, **params: Any) -> Generator[Statement, Rows, Rows]:
    """Runs a `$rows(...)` query once for all rows; nothing is sent for none."""
    if not rows:
        return []
    return (yield Statement(name, params, rows))


def query_one(name: str, /, **params: Any) -> Generator[Statement, Rows, Any]:
    """The first row, or None."""
    rows = yield Statement(name, params)
    return rows[0] if rows else None
