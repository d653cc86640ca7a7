"""Many things that are due, each in a transaction of its own: one that cannot be done keeps no other from its turn.

Promise: those of one phone in the order given, so no transaction locks the places of two phones. What went wrong is
raised when all others had their turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from heliograph.domain.errors import Unavailable

AT_ONCE = 8  # phones; the store's connections are for requests too

Step = Callable[[], Awaitable[None]]


class Unreadable(Exception):
    """What is stored makes no sense to this program: to do it again would not help."""


async def apart(steps: Iterable[tuple[int, Step]]) -> None:
    """(phone_no, step) for each."""
    phones: dict[int, list[Step]] = {}
    for phone_no, step in steps:
        phones.setdefault(phone_no, []).append(step)
    room = asyncio.Semaphore(AT_ONCE)
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
