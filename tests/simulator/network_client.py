"""A phone on the simulated network, under a virtual clock, with a sink that records."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Outcome
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Phone, SendRequest
from heliograph.providers.simulator.provider import SimulatorProvider
from heliograph.simulator.journal import Journal
from heliograph.simulator.journal_reads import messages
from heliograph.simulator.network import SimulatedNetwork, open_network
from tests.kit.clocks import VirtualClock
from tests.kit.provider import RecordingSink


@dataclass
class Client:
    """A simulated network, a provider on it, and phone 1 with an open session."""

    clock: VirtualClock
    network: SimulatedNetwork
    provider: SimulatorProvider
    sink: RecordingSink
    phone: Phone
    path: Path
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def request(self, chat_id: str, body: str = "hello", *, unique_id: str = "", attempt: int = 1) -> SendRequest:
        n = next(self._ids)
        unique_id = unique_id or f"3EB0{n:018X}"
        return SendRequest(self.phone, JobId(n), unique_id, chat_id, Content(Kind.TEXT, body), attempt)

    async def send(self, chat_id: str, body: str = "hello", *, unique_id: str = "") -> Outcome:
        """Sends once, and lets time pass until the outcome is there."""
        outcome: Outcome = await self.finish(self.provider.send(self.request(chat_id, body, unique_id=unique_id)))
        return outcome

    async def finish(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        await self.until(task.done)
        return task.result()

    async def until(self, true: Callable[[], bool], *, limit_s: float = 120.0) -> None:
        """Lets time pass until the condition holds."""
        await self.clock.until(true, limit_s=limit_s)

    async def pass_time(self, seconds: float) -> None:
        await self.clock.forward(seconds)

    async def journal(self, **query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.network.journal.call(
            lambda db: messages(db, chat_id=query.get("chat_id"), number=query.get("number"), limit=1000)
        )
        return rows


def _count_reads(journal: Journal) -> Callable[[], bool]:
    """A check for long reads, which a thread of their own does beside the writer."""
    running, read = 0, journal.read

    async def counted(work: Any) -> Any:
        nonlocal running
        running += 1
        try:
            return await read(work)
        finally:
            running -= 1

    journal.read = counted  # type: ignore[method-assign]
    return lambda: running > 0


@contextlib.asynccontextmanager
async def network_client(
    path: Path, *, clock: VirtualClock | None = None, connected: bool = True
) -> AsyncIterator[Client]:
    clock = clock or VirtualClock()
    async with open_network(path, clock, random.Random(7)) as network:
        provider = SimulatorProvider(network, clock, ack_timeout_s=20)
        phone = Phone(1, "phone-one", "919876543210", "simulator")
        clock.busy.append(lambda: not network.journal.idle)
        clock.busy.append(_count_reads(network.journal))
        client = Client(clock, network, provider, RecordingSink(clock), phone, path)
        if connected:
            await provider.open(phone, client.sink)
            await client.until(lambda: client.sink.state() is not None)
        yield client
        await provider.shutdown()
