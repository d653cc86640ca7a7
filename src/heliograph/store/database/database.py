"""What the store asks of a database: units of work, each a transaction."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from heliograph.store.database.unit import Unit

T = TypeVar("T")


class Database(Protocol):
    """What runs units: `sqlite.SqliteShell` or `postgresql.PostgresShell`.

    `trouble`: why a write was refused, until `pulse.py` finds that one goes through again.
    """

    dialect: str
    write_error: str | None

    async def open(self, *, migrate: bool = True) -> None: ...

    async def close(self) -> None: ...

    async def write(self, make: Callable[[], Unit[T]], *, within_s: float | None = None) -> T:
        """`within_s`: given up as Unavailable after so long, where the database may be away without a word."""
        ...

    async def read(self, make: Callable[[], Unit[T]]) -> T: ...
