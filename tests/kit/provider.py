"""Providers under test: a sink that records, and the case that a provider gives to the contract tests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Outcome
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.clock import Clock
from heliograph.ports.provider import Inbound, Phone, Provider, Receipt, SendRequest, SessionState


class Unsupported(Exception):
    """A network cannot do that; the text says why, and the test is skipped with it."""


@dataclass
class RecordingSink:
    """Implements ports.provider.Sink. `broken`: it cannot store now. `times`: when each receipt came."""

    clock: Clock | None = None
    got: list[Receipt] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    messages: list[Inbound] = field(default_factory=list)
    sessions: list[tuple[int, SessionState, str]] = field(default_factory=list)
    calls: int = 0
    broken: bool = False
    refused: int = 0

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        self.calls += 1
        self._refuse_if_broken()
        self.got += receipts
        if self.clock is not None:
            self.times += [self.clock.monotonic()] * len(receipts)

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None:
        self._refuse_if_broken()
        self.messages += messages

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
        self.sessions.append((phone_no, state, detail))

    def state(self, phone_no: int | None = None) -> SessionState | None:
        """The last state of this phone, or of any."""
        return next((state for no, state, _ in reversed(self.sessions) if phone_no in (no, None)), None)

    def acks(self, *names: str) -> list[int]:
        """The ack levels of the message with one of these ids or trackers."""
        return [one.ack for one in self.got if one.unique_id in names or one.tracker in names]

    def _refuse_if_broken(self) -> None:
        if self.broken:
            self.refused += 1
            raise OSError("the store is away")


@dataclass
class ProviderCase:
    """A provider with one phone that is open and connected, on a network that follows the test's instructions.

    `prepare(kind)` gives a chat; the next send there ends as that outcome (its class name in small letters), or raises
    Unsupported. `shown(request)`: how often the person would see it. `unhonoured`: a chat where ids are not honoured.
    `redelivers`: whether this network hands over again what the sink did not store.
    """

    provider: Provider
    phone: Phone
    sink: RecordingSink
    prepare: Callable[[str], Awaitable[str]]
    shown: Callable[[SendRequest], Awaitable[int]]
    unhonoured: str | None = None
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
        return self.sink.acks(request.unique_id, request.queue_id)
