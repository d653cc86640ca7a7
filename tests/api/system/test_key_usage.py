"""When a key was last used: written by a service, a while later, and when it ends."""

import asyncio
from functools import partial
from typing import Any

from heliograph.app.services import run_every
from heliograph.store.database.postgresql import PostgresDatabase
from tests.api.setup import World

INTERVAL_S = 60.0
# nobody has opened it
AWAY = PostgresDatabase("postgresql://127.0.0.1/none", lambda _seconds, _units: None, lambda: 0.0)


class Turned:
    """Stands still until `turn`; `asleep`: for how long somebody waits."""

    def __init__(self) -> None:
        self.asleep: list[float] = []
        self._turned = asyncio.Event()

    def now_us(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.asleep.append(seconds)
        await self._turned.wait()
        self._turned.clear()

    async def turn(self) -> None:
        """Until whoever waited waits again."""
        before = len(self.asleep)
        self._turned.set()
        async with asyncio.timeout(10):
            while len(self.asleep) == before:
                await asyncio.to_thread(int)


async def last_use(gateway: World) -> int | None:
    [key] = await gateway.store.keys(gateway.org.org_no)
    return key.last_used_at_us


async def started(gateway: World, clock: Turned, log: Any) -> "asyncio.Task[None]":
    write, failed = gateway.store.write_key_uses, partial(log, "key_uses_not_written")
    service = asyncio.create_task(run_every(clock, INTERVAL_S, write, failed, last_s=1.0))
    async with asyncio.timeout(10):
        while not clock.asleep:
            await asyncio.to_thread(int)
    return service


async def ended(service: "asyncio.Task[None]") -> None:
    service.cancel()
    await asyncio.wait([service], timeout=10)
    assert service.cancelled()


async def test_uses_are_written_a_minute_later_and_when_the_service_ends(gateway: World) -> None:
    clock = Turned()
    service = await started(gateway, clock, lambda *_, **__: None)
    first = gateway.clock.now_us()
    assert (await gateway.send()).status_code == 200
    assert await last_use(gateway) is None
    await clock.turn()
    assert (await last_use(gateway), clock.asleep) == (first, [INTERVAL_S, INTERVAL_S])
    gateway.clock.now_s += 30
    assert (await gateway.http.get("/v1/phones")).status_code == 200
    assert await last_use(gateway) == first
    await ended(service)
    assert await last_use(gateway) == gateway.clock.now_us()


async def test_a_database_that_is_away_ends_neither_the_service_nor_its_end(gateway: World) -> None:
    clock, said = Turned(), list[str]()
    service = await started(gateway, clock, lambda event, **_: said.append(event))
    await gateway.send()
    used = gateway.clock.now_us()
    there, gateway.store.shell = gateway.store.shell, AWAY
    await clock.turn()
    assert said == ["key_uses_not_written"]
    gateway.store.shell = there
    await clock.turn()
    assert await last_use(gateway) == used
    gateway.clock.now_s += 30
    await gateway.http.get("/v1/phones")
    gateway.store.shell = AWAY
    await ended(service)
    assert said == ["key_uses_not_written"] * 2
    gateway.store.shell = there
