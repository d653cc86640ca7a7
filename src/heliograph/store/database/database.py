"""The database as the store uses it: it runs units of work, each in one transaction."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from heliograph.store.database.unit import Unit

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """Runs units: `sqlite.SqliteDatabase` or `postgresql.PostgresDatabase`.

    A unit is handed over as a function and its arguments, because it may be called again after a failed commit. The
    call happens inside the transaction. All methods raise Unavailable while the database is away or closing.
    `write_error`: the text of the last refused write, until `write_probe.py` finds that a write goes through again.
    """

    dialect: str
    write_error: str | None

    async def open(self, *, migrate: bool = True) -> None:
        """Brings the schema up to date and gets ready for units. Raises CannotStart."""
        ...

    async def close(self) -> None:
        """Commits what was handed in before, and refuses everything after."""
        ...

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns the unit's result after its commit is synced to disk."""
        ...

    async def write_within(self, seconds: float, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Writes, but raises Unavailable after `seconds` where the database is a server; it may still commit."""
        ...

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a unit that changes nothing, on a snapshot of what is committed."""
        ...
