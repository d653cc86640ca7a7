"""Tests of the time of a key's last use: a service writes it a minute later, and when the service ends."""

import asyncio

from heliograph.app.services import run_every
from heliograph.clock import SystemClock
from heliograph.ports.logger import Logger
from tests.api.gateway import Gateway
from tests.kit.database import make_database
from tests.kit.log import RecordedLog

INTERVAL_S = 60.0
# nobody has opened it
AWAY = make_database("postgresql://127.0.0.1/none", SystemClock())


class SteppedClock:
    """A clock whose sleeper wakes at each `step`. `asleep`: the length of each sleep."""

    def __init__(self) -> None:
        self.asleep: list[float] = []
        self._woken = asyncio.Event()

    def now_us(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.asleep.append(seconds)
        await self._woken.wait()
        self._woken.clear()

    async def step(self) -> None:
        """Wakes the sleeper, and waits until it sleeps again."""
        before = len(self.asleep)
        self._woken.set()
        async with asyncio.timeout(10):
            while len(self.asleep) == before:
                await asyncio.to_thread(int)


async def last_use(gateway: Gateway) -> int | None:
    [key] = await gateway.stores.accounts.keys(gateway.org.org_no)
    return key.last_used_at_us


async def started(gateway: Gateway, clock: SteppedClock, log: Logger) -> "asyncio.Task[None]":
    write = gateway.stores.accounts.write_key_uses
    service = asyncio.create_task(run_every(clock, INTERVAL_S, write, log, "key_uses_not_written", last_s=1.0))
    async with asyncio.timeout(10):
        while not clock.asleep:
            await asyncio.to_thread(int)
    return service


async def ended(service: "asyncio.Task[None]") -> None:
    service.cancel()
    await asyncio.wait([service], timeout=10)
    assert service.cancelled()


async def test_uses_are_written_a_minute_later_and_when_the_service_ends(gateway: Gateway) -> None:
    clock = SteppedClock()
    service = await started(gateway, clock, RecordedLog())
    first = gateway.clock.now_us()
    assert (await gateway.send()).status_code == 200
    assert await last_use(gateway) is None
    await clock.step()
    assert (await last_use(gateway), clock.asleep) == (first, [INTERVAL_S, INTERVAL_S])
    gateway.clock.advance(30)
    assert (await gateway.http.get("/v1/phones")).status_code == 200
    assert await last_use(gateway) == first
    await ended(service)
    assert await last_use(gateway) == gateway.clock.now_us()


async def test_a_database_that_is_away_ends_neither_the_service_nor_its_end(gateway: Gateway) -> None:
    clock, log = SteppedClock(), RecordedLog()
    service = await started(gateway, clock, log)
    await gateway.send()
    used = gateway.clock.now_us()
    there, gateway.stores.accounts.database = gateway.stores.accounts.database, AWAY
    await clock.step()
    assert log.events == ["key_uses_not_written"]
    gateway.stores.accounts.database = there
    await clock.step()
    assert await last_use(gateway) == used
    gateway.clock.advance(30)
    await gateway.http.get("/v1/phones")
    gateway.stores.accounts.database = AWAY
    await ended(service)
    assert log.events == ["key_uses_not_written"] * 2
    gateway.stores.accounts.database = there
