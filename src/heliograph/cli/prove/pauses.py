"""Someone who pauses a phone now and then, while everything is killed around it.

Promise: when `run` returns, the phone goes on again. A silence lies strictly within what the API confirmed: it begins
after the pause was answered, and ends a margin before going on was asked for.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field

import aiohttp

from heliograph.cli.prove.load import PATIENCE_S
from heliograph.cli.prove.processes import ProofFailed
from heliograph.domain.history_checker import PausedInterval

MARGIN_S = 0.3
RETRY_S = 0.1


@dataclass
class Pauses:
    base: str
    key: str
    phone: str
    chance: random.Random
    silences: list[PausedInterval] = field(default_factory=list)

    async def run(self, http: aiohttp.ClientSession, closing: asyncio.Event) -> None:
        while not closing.is_set():
            await self._ask(http, "pause")
            from_us = time.time_ns() // 1000
            await asyncio.sleep(self.chance.uniform(0.6, 1.5))
            until_us = time.time_ns() // 1000 - round(MARGIN_S * 1e6)
            self.silences.append(PausedInterval(self.phone, from_us, until_us, "paused"))
            await self._ask(http, "resume")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), self.chance.uniform(1, 3))

    async def _ask(self, http: aiohttp.ClientSession, what: str) -> None:
        """Until it is answered."""
        headers = {"Authorization": f"Bearer {self.key}", "x-phone": self.phone}
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                url = f"{self.base}/v1/phones/{what}"
                async with http.post(url, headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(RETRY_S)
        raise ProofFailed(f"{what} of a phone was not answered within {PATIENCE_S:.0f} s")
