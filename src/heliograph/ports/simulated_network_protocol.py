"""Protocol between a gateway and a simulated network in another process: JSON arrays over one WebSocket.

Each WebSocket message is a list of these; `n` ties an answer or a confirmation to what it is for.
"""

import msgspec

from heliograph.ports.provider import Inbound, Receipt, SessionState
from heliograph.ports.simulated_network import Device, NetworkReply, OutboundMessage

PATH = "/simulator/line"
BATCH = 256  # at most this many in a WebSocket message
MAX_MESSAGE_BYTES = 64 << 20


class Connect(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    device: Device


class Disconnect(msgspec.Struct, frozen=True, array_like=True, tag="shut"):
    device_id: str


class Reconnect(msgspec.Struct, frozen=True, array_like=True, tag="again"):
    """Log in again."""

    device_id: str


class Transmit(msgspec.Struct, frozen=True, array_like=True, tag="sent"):
    n: int
    frame: OutboundMessage


class Confirm(msgspec.Struct, frozen=True, array_like=True, tag="confirmed"):
    """Confirms that the message `n` is stored."""

    n: int


class TransmitReply(msgspec.Struct, frozen=True, array_like=True, tag="answered"):
    n: int
    answer: NetworkReply


class Receipts(msgspec.Struct, frozen=True, array_like=True, tag="receipts"):
    n: int
    device_id: str
    receipts: list[Receipt]


class InboundMessages(msgspec.Struct, frozen=True, array_like=True, tag="written"):
    """People wrote to the device."""

    n: int
    device_id: str
    messages: list[Inbound]


class SessionChanged(msgspec.Struct, frozen=True, array_like=True, tag="stands"):
    n: int
    device_id: str
    state: SessionState
    detail: str


class ContactBehaviours(msgspec.Struct, frozen=True, array_like=True, tag="contacts"):
    """Every chat that was given a behaviour by hand, and its suffix."""

    behaviours: dict[str, str]


FromGateway = Connect | Disconnect | Reconnect | Transmit | Confirm
FromNetwork = TransmitReply | Receipts | InboundMessages | SessionChanged | ContactBehaviours
Event = Receipts | InboundMessages | SessionChanged

encode = msgspec.json.Encoder().encode
decode_from_gateway = msgspec.json.Decoder(list[FromGateway]).decode
decode_from_network = msgspec.json.Decoder(list[FromNetwork]).decode
