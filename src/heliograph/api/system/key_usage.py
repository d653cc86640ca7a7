"""Has written down when keys were last used, for `heliograph keys list`.

Promise: no request waits for it, and none fails with it. Known weakness: a kill forgets the last minute.
"""

import asyncio
from collections.abc import Callable

from heliograph.ports.clock import Clock
from heliograph.ports.job_store import Accounts

INTERVAL_S = 60.0
LAST_S = 1.0  # for the last write: a stop does not wait for a database that is away


async def record_key_usage(accounts: Accounts, clock: Clock, log: Callable[..., None]) -> None:
    """Until cancelled; then once more."""

    async def write() -> None:
        try:
            await accounts.write_key_uses()
        except Exception as error:  # noqa: BLE001 - supervised: it is kept, and written with the next
            log("key_uses_not_written", error=f"{type(error).__name__}: {error}")

    try:
        while True:
            await clock.sleep(INTERVAL_S)
            await write()
    finally:
        try:
            async with asyncio.timeout(LAST_S):
                await write()
        except TimeoutError:
            log("key_uses_not_written", error=f"not within {LAST_S:g} s")
