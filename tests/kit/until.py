"""Waiting for a condition with a bound: `until` on the event loop, `wait_for` in a thread that may block."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

POLL_S = 0.005


async def until(condition: Callable[[], Any], *, limit_s: float = 20.0, why: str = "") -> None:
    """Polls until the condition, or what it can be awaited for, is true; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while True:
        held = condition()
        if await held if inspect.isawaitable(held) else held:
            return
        assert time.monotonic() < end, f"not within {limit_s:g} s: {why or condition}"
        await asyncio.sleep(POLL_S)


def wait_for(condition: Callable[[], Any], *, limit_s: float = 20.0, why: str = "") -> Any:
    """Polls until the condition gives something true, and returns it; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {limit_s:g} s: {why or condition}"
        time.sleep(0.02)
    return found
