"""A clock that tests turn, a sink that remembers, and a phone on the simulated network."""

import asyncio
import contextlib
import heapq
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Outcome
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound, Phone, Receipt, SendRequest, SessionState
from heliograph.providers.simulator.provider import SimulatorProvider
from heliograph.simulator.network import SimulatedNetwork, open_network

START_US = 1_760_000_000_000_000


class TurnedClock:
    """Stands still until `turn`."""

    def __init__(self) -> None:
        self._now = 0  # microseconds
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now_us(self) -> int:
        return START_US + self._now

    def monotonic(self) -> float:
        return self._now / 1e6

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + round(max(seconds, 0) * 1e6), next(self._numbers), woken))
        await woken

    def turn(self, seconds: float) -> None:
        self._now += round(seconds * 1e6)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)


@dataclass
class Sink:
    """ports.provider.Sink that keeps what came. `broken`: it cannot store now."""

    clock: TurnedClock
    got: list[tuple[float, Receipt]] = field(default_factory=list)
    messages: list[Inbound] = field(default_factory=list)
    states: list[tuple[SessionState, str]] = field(default_factory=list)
    calls: int = 0
    broken: bool = False

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        self.calls += 1
        if self.broken:
            raise OSError("the store is away")
        self.got += [(self.clock.monotonic(), receipt) for receipt in receipts]

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None:
        if self.broken:
            raise OSError("the store is away")
        self.messages += messages

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
        self.states.append((state, detail))

    def acks(self, unique_id: str) -> list[int]:
        return [receipt.ack for _, receipt in self.got if receipt.unique_id == unique_id]

    @property
    def state(self) -> SessionState | None:
        return self.states[-1][0] if self.states else None


@dataclass
class World:
    """A network, a provider on it and phone 1, whose line is open."""

    clock: TurnedClock
    network: SimulatedNetwork
    provider: SimulatorProvider
    sink: Sink
    phone: Phone
    path: Path
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def request(self, chat_id: str, body: str = "hello", *, unique_id: str = "", attempt: int = 1) -> SendRequest:
        n = next(self._ids)
        unique_id = unique_id or f"3EB0{n:018X}"
        return SendRequest(self.phone, JobId(n), unique_id, chat_id, Content(Kind.TEXT, body), attempt)

    async def send(self, chat_id: str, body: str = "hello", *, unique_id: str = "") -> Outcome:
        """Sends once and turns the clock until the answer is there."""
        outcome: Outcome = await self.finish(self.provider.send(self.request(chat_id, body, unique_id=unique_id)))
        return outcome

    async def finish(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        await self.until(task.done)
        return task.result()

    async def until(self, true: Callable[[], bool], *, limit_s: float = 120.0) -> None:
        """Turns the clock in small steps until something is true; ends the test when `limit_s` have been turned."""
        deadline = self.clock.monotonic() + limit_s
        while not true():
            assert self.clock.monotonic() < deadline, "it did not come true in time"
            for _ in range(6):
                await asyncio.sleep(0)
            while not self.network.journal.idle:  # its thread works in real time: let it, before time goes on
                await asyncio.sleep(0.0002)
            if not true():
                self.clock.turn(0.02)

    async def pass_time(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        await self.until(lambda: self.clock.monotonic() >= end, limit_s=seconds + 1)

    async def journal(self, **query: str) -> list[dict[str, Any]]:
        from heliograph.simulator.journal_reads import messages

        rows: list[dict[str, Any]] = await self.network.journal.call(
            lambda db: messages(db, chat_id=query.get("chat_id"), number=query.get("number"), limit=1000)
        )
        return rows


@contextlib.asynccontextmanager
async def world(path: Path, *, clock: TurnedClock | None = None, connected: bool = True) -> AsyncIterator[World]:
    clock = clock or TurnedClock()
    async with open_network(path, clock, random.Random(7)) as network:
        provider = SimulatorProvider(network, clock, ack_timeout_s=20)
        phone = Phone(1, "phone-one", "919876543210", "simulator")
        built = World(clock, network, provider, Sink(clock), phone, path)
        if connected:
            await provider.open(phone, built.sink)
            await built.until(lambda: built.sink.state is not None)
        yield built
        await provider.shutdown()
