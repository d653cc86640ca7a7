"""Waits for an event, with a time-out."""

import asyncio

from heliograph.ports.clock import Clock


async def pause(until: asyncio.Event, clock: Clock, most_s: float) -> None:
    """Returns when `until` is set, which it clears, or after `most_s`."""
    timer = asyncio.ensure_future(clock.sleep(most_s))
    waiter = asyncio.ensure_future(until.wait())
    try:
        await asyncio.wait((timer, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        waiter.cancel()
    until.clear()
