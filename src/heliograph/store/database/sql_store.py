"""The base of all stores, and methods that run one unit as it is."""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.clock import Clock
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit

P = ParamSpec("P")
T = TypeVar("T")


class SqlStore:
    """A store on a database. `clock` stamps its rows, `ids` numbers them."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        self.database = database
        self._clock = clock
        self._ids = ids


Method = Callable[Concatenate[SqlStore, P], Coroutine[Any, Any, T]]


def read_by(unit: Callable[P, Unit[T]]) -> Method[P, T]:
    """Makes a method of a unit that only reads: same arguments, same result."""

    async def method(store: SqlStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await store.database.read(unit, *args, **kwargs)

    return method


def write_by(unit: Callable[P, Unit[T]]) -> Method[P, T]:
    """Makes a method of a unit that writes: same arguments, same result."""

    async def method(store: SqlStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await store.database.write(unit, *args, **kwargs)

    return method
