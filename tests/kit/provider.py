"""What the contract needs of a provider under test, which joins by adding its ground to `GROUNDS` in conftest.py."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Outcome
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound, Phone, Provider, Receipt, SendRequest, SessionState

LIMIT_S = 15.0


class MachineClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Unsupported(Exception):
    """This provider's network cannot do that; the text says why, and the case is skipped by name."""


@dataclass
class Notes:
    """ports.provider.Sink that keeps what came. `broken`: it cannot store now."""

    got: list[Receipt] = field(default_factory=list)
    messages: list[Inbound] = field(default_factory=list)
    states: list[SessionState] = field(default_factory=list)
    broken: bool = False
    refused: int = 0

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        if self.broken:
            self.refused += 1
            raise OSError("the store is away")
        self.got += receipts

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None:
        if self.broken:
            self.refused += 1
            raise OSError("the store is away")
        self.messages += messages

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
        self.states.append(state)


@dataclass
class Ground:
    """A provider with one phone that is open and connected, on a network that does as it is asked.

    `prepare(kind)` gives a chat; the next send there ends as that outcome (its class name in small letters), or raises
    Unsupported. `shown(request)`: how often the person would see it. `another`: a chat where ids are not honoured.
    `redelivers`: whether this network hands over again what the sink did not store.
    """

    provider: Provider
    phone: Phone
    notes: Notes
    prepare: Callable[[str], Awaitable[str]]
    shown: Callable[[SendRequest], Awaitable[int]]
    another: str | None = None
    redelivers: bool = True
    _jobs: int = 0

    def request(self, chat_id: str, body: str = "hello") -> SendRequest:
        self._jobs += 1
        unique_id = f"3EB0{self._jobs:018X}"
        content = Content(Kind.TEXT, body)
        return SendRequest(self.phone, JobId(self._jobs), unique_id, chat_id, content, 1)

    async def send(self, chat_id: str) -> Outcome:
        return await self.provider.send(self.request(chat_id))

    def acks(self, request: SendRequest) -> list[int]:
        mine = (request.unique_id, request.queue_id)
        return [one.ack for one in self.notes.got if one.unique_id in mine or one.tracker in mine]


async def until(true: Callable[[], bool]) -> None:
    """Waits for something to come true; fails after 15 s."""
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0.005)
