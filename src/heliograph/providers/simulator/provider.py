"""Sends through the simulated network, in this process or in one of its own: what the network answers, as outcomes.

Promise: never raises for what the network may do; a receipt is confirmed only after the sink stored it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, SessionDown, Throttled, Unknown
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.clock import Clock
from heliograph.ports.provider import Capabilities, Inbound, Phone, Receipt, SendRequest, SessionState, Sink
from heliograph.ports.simulated_network import (
    Device,
    DeviceConnection,
    Network,
    NetworkReply,
    OutboundMessage,
    ReplyKind,
)
from heliograph.providers.simulator.spec import SPEC

_ACCEPTED = Accepted()
_KINDS = frozenset(Kind) - {Kind.TEMPLATE, Kind.INTERACTIVE}


@dataclass(frozen=True, slots=True)
class _PhoneLine:
    """ports.network.Line of one phone. `waiting`: sends that wait for an acknowledgement, by unique_id."""

    phone_no: int
    sink: Sink
    waiting: dict[str, asyncio.Future[None]]

    async def receipts(self, receipts: Sequence[Receipt]) -> None:
        await self.sink.receipts(self.phone_no, receipts)
        if self.waiting:
            for receipt in receipts:
                waiter = self.waiting.get(receipt.unique_id or "")
                if waiter and not waiter.done() and receipt.ack > 0:
                    waiter.set_result(None)

    async def inbound(self, messages: Sequence[Inbound]) -> None:
        await self.sink.inbound(self.phone_no, messages)

    async def session(self, state: SessionState, detail: str) -> None:
        await self.sink.session(self.phone_no, state, detail)


class Nowhere:
    """ports.network.Network of a process that only accepts messages: it opens no phone and sends nothing."""

    async def connect(self, device: Device, line: DeviceConnection) -> None:
        raise NotImplementedError(f"{device.device_id}: this process does not send")

    async def disconnect(self, device_id: str) -> None: ...

    async def reconnect(self, device_id: str) -> None: ...

    async def transmit(self, frame: OutboundMessage) -> NetworkReply:
        return NetworkReply(ReplyKind.DOWN, "not_a_sender", f"{frame.device_id}: this process does not send.")

    def recognises(self, chat_id: str) -> bool:
        return False


class SimulatorProvider:
    """ports.provider.Provider over a ports.network.Network."""

    name = SPEC.name
    capabilities = Capabilities(kinds=_KINDS, in_flight=32, test_recipients=True)

    def __init__(self, network: Network, clock: Clock, *, ack_timeout_s: float = 20.0) -> None:
        self._network = network
        self._clock = clock
        self._ack_timeout_s = ack_timeout_s
        self._phones: dict[int, tuple[Phone, Sink]] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def open(self, phone: Phone, sink: Sink) -> None:
        if self._phones.get(phone.phone_no) == (phone, sink):
            return
        self._phones[phone.phone_no] = (phone, sink)
        device = Device(phone.phone_id, phone.number, self._ack_timeout_s)
        await self._network.connect(device, _PhoneLine(phone.phone_no, sink, self._waiting))

    async def close(self, phone_no: int) -> None:
        if known := self._phones.pop(phone_no, None):
            await self._network.disconnect(known[0].phone_id)

    async def restart(self, phone_no: int) -> None:
        if known := self._phones.get(phone_no):
            await self._network.reconnect(known[0].phone_id)

    async def send(self, request: SendRequest) -> Outcome:
        phone = request.phone
        frame = OutboundMessage(
            phone.phone_id, phone.number, request.chat_id, request.unique_id, request.content, request.quoted_id
        )
        answer = await self._network.transmit(frame)
        if answer.word is ReplyKind.ACKNOWLEDGED:
            return _ACCEPTED
        if answer.word is ReplyKind.SILENT:
            return await self._acknowledgement(request.unique_id, answer)
        return _outcome(answer)

    def honours_client_id(self, content: Content, chat_id: str) -> bool:
        return self._network.recognises(chat_id)

    def refuses(self, content: Content, chat_id: str) -> tuple[str, str] | None:
        if content.type not in _KINDS:
            field = content.type.value  # the kinds it lacks are named like the fields that hold them
            return field, f"A simulator phone cannot send messages of type {field}."
        return None

    async def shutdown(self) -> None:
        for phone_no in list(self._phones):
            await self.close(phone_no)

    async def _acknowledgement(self, unique_id: str, answer: NetworkReply) -> Outcome:
        """The message was taken: waits for the word of it, at most the acknowledgement time-out."""
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[unique_id] = came
        timer = asyncio.ensure_future(self._clock.sleep(self._ack_timeout_s))
        try:
            await asyncio.wait([came, timer], return_when=asyncio.FIRST_COMPLETED)
            if came.done():
                return _ACCEPTED
            return Unknown(answer.code, answer.detail, taken=True, waited=True)
        finally:
            timer.cancel()
            self._waiting.pop(unique_id, None)


def _outcome(answer: NetworkReply) -> Outcome:
    match answer.word:
        case ReplyKind.NOT_TAKEN:
            return NotSent(answer.code, answer.detail)
        case ReplyKind.REFUSED:
            return Rejected(answer.code, answer.detail)
        case ReplyKind.WAIT:
            return Throttled(answer.code, answer.detail, max(answer.retry_after_s or 0.0, 0.0), answer.scope)
        case ReplyKind.DOWN:
            return SessionDown(answer.code, answer.detail, answer.retry_after_s)
        case _:
            return Unknown(answer.code, answer.detail)
