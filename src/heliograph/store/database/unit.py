"""The unit of work: a generator that yields queries with their values and is sent their rows; it returns the result.

Promise: a unit runs wholly in one transaction, or not at all. It may be run again from the start if its batch failed,
so it must not act on anything but the database.
"""

from collections.abc import Generator, Sequence
from typing import Any, Generic, Never, TypeVar

import msgspec

T = TypeVar("T")
R = TypeVar("R", covariant=True)  # a row, read by the names of its columns
V = TypeVar("V", covariant=True)  # the same row, read by position or unpacked


class Statement(msgspec.Struct, Generic[R, V], frozen=True):
    """A named query of `sql/`, its parameters, and (for `$rows(...)` queries) its batch of rows in column order.

    The functions of `named/` make them. `R` and `V` are types only: the rows are those of the driver.
    """

    name: str
    params: dict[str, object] = {}
    rows: Sequence[Sequence[object]] | None = None


Command = Statement[Never, Never]  # gives no rows
Rows = Sequence[Any]
Unit = Generator[Statement[Any, Any], Rows, T]


def query(statement: Statement[R, V]) -> Unit[Sequence[R]]:
    """`rows = yield from query(named.jobs_by_id([(1, 2), (1, 3)]))`; an empty batch is not sent and gives no rows."""
    if statement.rows is not None and not statement.rows:
        return ()
    return (yield statement)


def query_values(statement: Statement[R, V]) -> Unit[Sequence[V]]:
    """Gives the rows of `query` for use by position."""
    if statement.rows is not None and not statement.rows:
        return ()
    return (yield statement)


def query_one(statement: Statement[R, V]) -> Unit[R | None]:
    """Gives the first row, or None."""
    rows = yield statement
    return rows[0] if rows else None


def query_row(statement: Statement[R, V]) -> Unit[R]:
    """Gives the first row of a query that always has one."""
    rows = yield statement
    row: R = rows[0]
    return row
