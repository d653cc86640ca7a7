"""Simulated network as a provider uses it, in this process or in another one.

The network speaks of devices: one login of a number (`phone_id`). It keeps what a device has not confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from heliograph.domain.jobs.outcome import Scope
from heliograph.domain.messages.content import Content
from heliograph.ports.provider import Inbound, Receipt, SessionState


class Device(msgspec.Struct, frozen=True, array_like=True):
    """`ack_timeout_s`: how long its gateway waits for an acknowledgement, so that a late one can come after it."""

    device_id: str
    number: str
    ack_timeout_s: float = 20.0


class OutboundMessage(msgspec.Struct, frozen=True, array_like=True):
    """A message as a device sends it; `message_id` is chosen by the device and the same when it is sent again."""

    device_id: str
    number: str
    chat_id: str
    message_id: str
    content: Content
    quoted_id: str | None = None


class ReplyKind(StrEnum):
    """Reply of the network to a message."""

    ACKNOWLEDGED = "acknowledged"
    SILENT = "silent"  # taken, but its acknowledgement does not come with the answer
    NOT_TAKEN = "not_taken"
    REFUSED = "refused"
    WAIT = "wait"
    DOWN = "down"
    LOST = "lost"  # the connection closed before the answer: it may have been taken


class NetworkReply(msgspec.Struct, frozen=True, omit_defaults=True):
    word: ReplyKind
    code: str = ""
    detail: str = ""
    retry_after_s: float | None = None
    scope: Scope = Scope.CHAT


@dataclass(frozen=True, slots=True)
class DeviceScope:
    """Devices of one organisation at the network. `devices` None: all. `alone`: nobody else has a device now."""

    devices: tuple[str, ...] | None = None
    alone: bool = True

    def __contains__(self, device_id: str) -> bool:
        return self.devices is None or device_id in self.devices


class DeviceConnection(Protocol):
    """Connection through which the network reaches a device. A call that returns confirms; others are repeated."""

    async def receipts(self, receipts: Sequence[Receipt]) -> None: ...

    async def inbound(self, messages: Sequence[Inbound]) -> None: ...

    async def session(self, state: SessionState, detail: str) -> None: ...


class Network(Protocol):
    async def connect(self, device: Device, line: DeviceConnection) -> None:
        """Opens the device's line: its state and what it has not confirmed come through. A newer line replaces."""
        ...

    async def disconnect(self, device_id: str) -> None:
        """Closes the connection; nothing arrives after this returns. Idempotent."""
        ...

    async def reconnect(self, device_id: str) -> None:
        """Logs a device in again that was logged out or replaced."""
        ...

    async def transmit(self, frame: OutboundMessage) -> NetworkReply:
        """Hands a message over. It is in the network's journal before the answer says that it was taken."""
        ...

    def recognises(self, chat_id: str) -> bool:
        """True: a message that arrives again with the same id is shown once in this chat."""
        ...
