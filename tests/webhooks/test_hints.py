"""Processes that only deliver hear from the others that there is something to tell; a lost hint costs a sweep."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.notify import CHANNEL, EVENTS, PostgresWake
from heliograph.webhooks import worker as workers
from tests.webhooks.conftest import opened, unheard
from tests.webhooks.setup import World, receiving, until, working, world


class Teller:
    """What a process without the role has: its store tells the hints of each commit."""

    def __init__(self, url: str) -> None:
        self.hints: PostgresWake | None = None
        clock = SystemClock()
        self.shell = PostgresDatabase(url, self._committed, clock.monotonic)
        self.wake = PostgresWake(url, self.shell, clock)

    def _committed(self, _seconds: float, _units: int) -> None:
        if self.hints is not None:
            self.hints.stored()


@asynccontextmanager
async def _running(wake: PostgresWake) -> AsyncIterator[None]:
    task = asyncio.create_task(wake.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def teller(postgres_url: str) -> AsyncIterator[Teller]:
    made = Teller(postgres_url)
    async with opened(made.shell), _running(made.wake):
        yield made


@pytest.fixture
async def gateway(teller: Teller) -> AsyncIterator[World]:
    async with world(teller.shell) as made:
        yield made


@contextmanager
def _without_sweeps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(workers, "SWEEP_S", 3600.0)
        yield


async def test_a_hint_reaches_a_worker_in_another_process(
    gateway: World, teller: Teller, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = PostgresDatabase(postgres_url, unheard, SystemClock().monotonic)
    listening = PostgresWake(postgres_url, shell, SystemClock())
    async with receiving() as receiver, opened(shell):
        await gateway.hook(receiver.url, "message.created")
        with _without_sweeps(monkeypatch):
            async with working(gateway, alone=False, shell=shell) as worker:
                listening.serve_events(worker.wake)
                async with _running(listening):
                    teller.hints = teller.wake
                    await gateway.enqueue()

                    async def told() -> bool:
                        await gateway.store.heartbeat("test")  # each commit hints; the first may find nobody listening
                        return len(receiver.got) == 1

                    await until(told)


async def test_a_hint_that_is_lost_costs_only_the_sweep(gateway: World, postgres_url: str) -> None:
    shell = PostgresDatabase(postgres_url, unheard, SystemClock().monotonic)
    async with receiving() as receiver, opened(shell), working(gateway, alone=False, shell=shell):
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        await until(lambda: len(receiver.got) == 1)


async def test_only_what_webhooks_want_is_hinted_and_no_hint_calls_for_another(
    gateway: World, teller: Teller, postgres_url: str
) -> None:
    heard: list[object] = []
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.add_listener(CHANNEL, lambda *told: heard.append(told[3]))
        teller.hints = teller.wake
        await gateway.enqueue()
        await asyncio.sleep(0.2)
        assert heard == []
        await gateway.hook("http://127.0.0.1:9/", "message.created")
        await gateway.enqueue()
        await until(lambda: len(heard) > 0)
        await asyncio.sleep(0.3)
        assert set(heard) == {EVENTS} and len(heard) <= 2
    finally:
        await connection.close()
