"""The database as the store needs it: it runs units of work, each in a transaction."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from heliograph.store.database.unit import Unit

T = TypeVar("T")


class Database(Protocol):
    """A database that runs units: `sqlite.SqliteDatabase` or `postgresql.PostgresDatabase`.

    `write_error`: why a write was refused, until `write_probe.py` finds that writes succeed again.
    """

    dialect: str
    write_error: str | None

    async def open(self, *, migrate: bool = True) -> None: ...

    async def close(self) -> None: ...

    async def write(self, make: Callable[[], Unit[T]], *, within_s: float | None = None) -> T:
        """Runs a unit that may write; raises Unavailable after `within_s` if the database may hang."""
        ...

    async def read(self, make: Callable[[], Unit[T]]) -> T: ...
