"""Processes due items, each in its own transaction, so that one failing item does not block the others.

Promise: the items of one phone run in the order given, so no transaction locks counters of two phones. An item that
cannot be decoded is stopped. The first error is raised when all items had their turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Literal, Protocol, TypeVar

from heliograph.domain.errors import Unavailable
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Statement, Unit, query, query_one

MAX_CONCURRENT = 8  # phones; the store's connections are for requests too

Step = Callable[[], Awaitable[None]]


class _Soonest(Protocol):
    def __getitem__(self, key: Literal["at"], /) -> int: ...


class _Item(Protocol):
    def __getitem__(self, key: Literal["phone_no"], /) -> int: ...


Item = TypeVar("Item", bound=_Item)


class UndecodableRow(Exception):
    """A stored row that this program cannot decode; a retry would not help."""


async def process_due_items(
    database: Database,
    now_us: int,
    *,
    soonest: Statement[_Soonest, object],
    due: Statement[Item, object],
    do: Callable[[Item], Unit[bool]],
    stop: Callable[[Item, str], Unit[str]],
) -> tuple[set[int], int | None]:
    """Gives the phones that got work, and when the next item is due (None: none is).

    `soonest` and `due` find the time of the next item and the due items. `do` tells whether the phone got work; `stop`
    ends an item that cannot be decoded, and gives its name.
    """
    first = await database.read(query_one, soonest)
    if first is None or first["at"] > now_us:
        return set(), None if first is None else first["at"]
    phones: set[int] = set()

    async def step(row: Item) -> None:
        try:
            if await database.write(do, row):
                phones.add(row["phone_no"])
        except UndecodableRow as error:
            why = f"It cannot be read, and was stopped: {error}"
            name = await database.write(stop, row, why)
            raise UndecodableRow(f"{name}: {why}") from error

    rows = await database.read(query, due)
    await run_isolated((row["phone_no"], partial(step, row)) for row in rows)
    first = await database.read(query_one, soonest)
    return phones, None if first is None else first["at"]


async def run_isolated(steps: Iterable[tuple[int, Step]]) -> None:
    """Runs (phone_no, step) pairs: those of one phone in order, phones at the same time."""
    phones: dict[int, list[Step]] = {}
    for phone_no, step in steps:
        phones.setdefault(phone_no, []).append(step)
    room = asyncio.Semaphore(MAX_CONCURRENT)
    errors: list[Exception] = []

    async def turn(theirs: list[Step]) -> None:
        async with room:
            for step in theirs:
                if any(isinstance(error, Unavailable) for error in errors):
                    return  # the database is away: nobody has to find that out again
                try:
                    await step()
                except Exception as error:  # noqa: BLE001 - raised below
                    errors.append(error)

    async with asyncio.TaskGroup() as group:
        for theirs in phones.values():
            group.create_task(turn(theirs))
    if errors:
        raise errors[0]
