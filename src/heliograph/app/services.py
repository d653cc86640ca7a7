"""The loop of the background services.

Promise: a step that fails is logged and repeated; it ends no other service.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from heliograph.ports.clock import Clock
from heliograph.ports.logger import Logger


async def run_every(
    clock: Clock,
    interval_s: float,
    step: Callable[[], Awaitable[float | object]],
    log: Logger,
    event: str,
    *,
    wait_first: bool = True,
    last_s: float = 0.0,
) -> None:
    """Repeats a step until cancelled. A step that returns a float shortens or lengthens the next pause.

    `event`: the log line of a failed step. `last_s`: the time for one more step when the service is cancelled.
    """
    pause_s = interval_s if wait_first else 0.0
    try:
        while True:
            if pause_s:
                await clock.sleep(pause_s)
            result = await _logged(step, log, event)
            pause_s = result if isinstance(result, float) else interval_s
    finally:
        if last_s:
            await _logged(partial(asyncio.wait_for, step(), last_s), log, event)


async def _logged(step: Callable[[], Awaitable[object]], log: Logger, event: str) -> object:
    try:
        return await step()
    except Exception as error:  # noqa: BLE001 - supervised: the database may be away, or another process was first
        log.warning(event, error=f"{type(error).__name__}: {error}")
        return None
