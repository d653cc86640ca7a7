"""Tests of processes that only deliver: other processes wake them, and a sweep makes up for a lost wake-up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest

from heliograph.clock import SystemClock
from heliograph.store.notify import CHANNEL, EVENTS, PostgresWake
from heliograph.webhooks import worker as workers
from tests.kit.database import make_database, open_database
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, delivering, open_gateway, receiving


class Notifier:
    """A process that does not deliver: its store sends a wake-up after each commit."""

    def __init__(self, url: str) -> None:
        self.hints: PostgresWake | None = None
        clock = SystemClock()
        self.database = make_database(url, clock, committed=self._committed)
        self.wake = PostgresWake(url, self.database, clock)

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
async def notifier(postgres_url: str) -> AsyncIterator[Notifier]:
    made = Notifier(postgres_url)
    await made.database.open()
    async with _running(made.wake):
        yield made
    await made.database.close()


@pytest.fixture
async def gateway(notifier: Notifier) -> AsyncIterator[Gateway]:
    async with open_gateway(notifier.database) as made:
        yield made


@contextmanager
def _without_sweeps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(workers, "SWEEP_S", 3600.0)
        yield


async def test_a_wake_reaches_a_worker_in_another_process(
    gateway: Gateway, notifier: Notifier, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver, open_database(postgres_url, SystemClock()) as database:
        listening = PostgresWake(postgres_url, database, SystemClock())
        await gateway.hook(receiver.url, "message.created")
        with _without_sweeps(monkeypatch):
            async with delivering(gateway, alone=False, database=database) as worker:
                listening.serve_events(worker.wake)
                async with _running(listening):
                    notifier.hints = notifier.wake
                    await gateway.enqueue()

                    async def told() -> bool:
                        await gateway.stores.leases.heartbeat(
                            "test"
                        )  # each commit hints; the first may find nobody listening
                        return len(receiver.got) == 1

                    await until(told)


async def test_a_lost_wake_costs_only_the_time_to_the_sweep(gateway: Gateway, postgres_url: str) -> None:
    async with (
        receiving() as receiver,
        open_database(postgres_url, SystemClock()) as database,
        delivering(gateway, alone=False, database=database),
    ):
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        await until(lambda: len(receiver.got) == 1)


async def test_only_events_with_webhooks_wake_workers_and_a_wake_causes_no_other(
    gateway: Gateway, notifier: Notifier, postgres_url: str
) -> None:
    heard: list[object] = []
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.add_listener(CHANNEL, lambda *told: heard.append(told[3]))
        notifier.hints = notifier.wake
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
