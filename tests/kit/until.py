"""Waiting for a condition with a bound: `until` on the event loop, `wait_for` in a thread that may block."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.005


async def until(condition: Callable[[], T | Awaitable[T]], *, limit_s: float = 20.0, why: str = "") -> T:
    """Polls until the condition gives something true, and returns it; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while True:
        found = condition()
        value: T = await found if inspect.isawaitable(found) else found
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit_s:g} s: {why or condition}"
        await asyncio.sleep(POLL_S)


def wait_for(condition: Callable[[], T], *, limit_s: float = 20.0, why: str = "") -> T:
    """Polls like `until`, for tests of other processes."""
    end = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {limit_s:g} s: {why or condition}"
        time.sleep(0.02)
    return found
