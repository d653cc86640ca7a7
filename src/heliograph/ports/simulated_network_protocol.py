"""What a gateway and a simulated network in another process say to each other: JSON arrays over one WebSocket.

Each WebSocket message is a list of these; `n` ties an answer or a confirmation to what it is for.
"""

import msgspec

from heliograph.ports.provider import Inbound, Receipt, SessionState
from heliograph.ports.simulated_network import Answer, Device, Frame

PATH = "/simulator/line"
BATCH = 256  # at most this many in a WebSocket message
MAX_MESSAGE_BYTES = 64 << 20


class Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    device: Device


class Shut(msgspec.Struct, frozen=True, array_like=True, tag="shut"):
    device_id: str


class Again(msgspec.Struct, frozen=True, array_like=True, tag="again"):
    """Log in again."""

    device_id: str


class Sent(msgspec.Struct, frozen=True, array_like=True, tag="sent"):
    n: int
    frame: Frame


class Confirmed(msgspec.Struct, frozen=True, array_like=True, tag="confirmed"):
    """What came as `n` is stored."""

    n: int


class Answered(msgspec.Struct, frozen=True, array_like=True, tag="answered"):
    n: int
    answer: Answer


class Receipts(msgspec.Struct, frozen=True, array_like=True, tag="receipts"):
    n: int
    device_id: str
    receipts: list[Receipt]


class Written(msgspec.Struct, frozen=True, array_like=True, tag="written"):
    """People wrote to the device."""

    n: int
    device_id: str
    messages: list[Inbound]


class Stands(msgspec.Struct, frozen=True, array_like=True, tag="stands"):
    n: int
    device_id: str
    state: SessionState
    detail: str


class Contacts(msgspec.Struct, frozen=True, array_like=True, tag="contacts"):
    """Every chat that was given a behaviour by hand, and its suffix."""

    behaviours: dict[str, str]


FromGateway = Open | Shut | Again | Sent | Confirmed
FromNetwork = Answered | Receipts | Written | Stands | Contacts
Event = Receipts | Written | Stands

encode = msgspec.json.Encoder().encode
decode_from_gateway = msgspec.json.Decoder(list[FromGateway]).decode
decode_from_network = msgspec.json.Decoder(list[FromNetwork]).decode
