"""Many things that are due, each in a transaction of its own: one that cannot be done keeps no other from its turn.

Promise: those of one phone in the order given, so no transaction locks the places of two phones. One that cannot be
read is stopped; what went wrong is raised when all others had their turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from heliograph.domain.errors import Unavailable
from heliograph.store.database.unit import Unit, query, query_one

MAX_CONCURRENT = 8  # phones; the store's connections are for requests too

Step = Callable[[], Awaitable[None]]


class UndecodableRow(Exception):
    """What is stored makes no sense to this program: to do it again would not help."""


async def process_due_items(
    shell: Any,
    now_us: int,
    *,
    soonest: str,
    due: str,
    limit: int,
    do: Callable[[Any], Unit[bool]],
    stop: Callable[[Any, str], Unit[str]],
) -> tuple[set[int], int | None]:
    """Does what is due. Gives the phones that got work, and when the next is due (None: none is).

    `soonest`, `due`: the queries for when (`at`) and what. `do` says whether the phone got work; `stop` ends what
    cannot be read, and names it.
    """
    first = await shell.read(lambda: query_one(soonest))
    if first is None or first["at"] > now_us:
        return set(), None if first is None else first["at"]
    phones: set[int] = set()

    async def step(row: Any) -> None:
        try:
            if await shell.write(lambda: do(row)):
                phones.add(row["phone_no"])
        except UndecodableRow as error:
            why = f"It cannot be read, and was stopped: {error}"
            name = await shell.write(lambda: stop(row, why))
            raise UndecodableRow(f"{name}: {why}") from error

    rows = await shell.read(lambda: query(due, now=now_us, limit=limit))
    await run_isolated((row["phone_no"], partial(step, row)) for row in rows)
    first = await shell.read(lambda: query_one(soonest))
    return phones, None if first is None else first["at"]


async def run_isolated(steps: Iterable[tuple[int, Step]]) -> None:
    """(phone_no, step) for each."""
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
