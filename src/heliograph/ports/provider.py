"""Provider: a way to WhatsApp. One contract test holds every provider to this page.

A session lives where the phone's lease is: `open` when the lease is taken, `close` when it is given up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.outcome import Outcome
from heliograph.domain.messages.content import Content, Kind


class SessionState(StrEnum):
    """`wa_state` on the wire is CONNECTED for the first and DISCONNECTED for the others."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    OFFLINE = "offline"
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    RESTRICTED = "restricted"
    UNAUTHORIZED = "unauthorized"  # credentials refused: a person must act


@dataclass(frozen=True, slots=True)
class Phone:
    """A sending phone as a provider sees it. `config` is the provider's own, with secrets already decrypted."""

    phone_no: int
    phone_id: str
    number: str
    provider: str
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)


class SendRequest(msgspec.Struct, frozen=True):
    """One attempt. `unique_id` and the bytes are the same on every attempt of a job.

    `media_path` is the file of `content.media`, complete on disk before the first attempt.
    `quoted_id` is the bare WhatsApp id of the message that is replied to. `typing_s`: show "typing…" for so long first.
    """

    phone: Phone
    job_id: JobId
    unique_id: str
    chat_id: str
    content: Content
    attempt: int
    media_path: Path | None = None
    quoted_id: str | None = None
    typing_s: float = 0.0

    @property
    def queue_id(self) -> str:
        return queue_id(self.job_id)


class Receipt(msgspec.Struct, frozen=True):
    """The network's word on a message. Found by `unique_id` (ours), else by `provider_message_id`, else by `tracker`
    (our queue_id, handed back). `ack` -1 with a code and detail: refused after it was accepted.
    """

    ack: int
    at_us: int
    unique_id: str | None = None
    provider_message_id: str | None = None
    tracker: str | None = None
    participant: str | None = None
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message a person wrote to the phone. `message_id` is the network's bare id; a repeat has the same."""

    message_id: str
    chat_id: str
    author: str
    at_us: int
    type: str
    body: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


class Sink(Protocol):
    """Sink for what happens in a session. `receipts` and `inbound` return after it is stored: confirm only then."""

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None: ...

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None: ...

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Abilities of a provider. `in_flight`: the most sends of a phone at once, one per chat."""

    kinds: frozenset[Kind]
    in_flight: int = 1
    groups: bool = True
    reply: bool = True
    typing: bool = False
    media_max_bytes: Mapping[Kind, int] = field(default_factory=dict)
    test_recipients: bool = False  # may write to the chats that ask for a fault


class Provider(Protocol):
    name: str
    capabilities: Capabilities

    async def open(self, phone: Phone, sink: Sink) -> None:
        """Begins the phone's session; returns soon, the state comes through `sink.session`. Idempotent."""
        ...

    async def close(self, phone_no: int) -> None:
        """Ends the session here (not the login). After it returns nothing more comes through the sink. Idempotent."""
        ...

    async def restart(self, phone_no: int) -> None:
        """Drops and remakes the connection, as POST /phones/restart asks."""
        ...

    async def send(self, request: SendRequest) -> Outcome:
        """One attempt, no retry inside, no exception for what the network may do. Cancelled = outcome unknown."""
        ...

    def honours_client_id(self, content: Content, chat_id: str) -> bool:
        """True: the same `unique_id` sent again to this chat is shown once, so a lost answer may be tried again."""
        ...

    def refuses(self, content: Content, chat_id: str) -> tuple[str, str] | None:
        """(field, reason) if this provider can never send it: asked at accept, becomes a 422."""
        ...

    async def shutdown(self) -> None:
        """Closes what all phones share. Nothing may be sent afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class PhoneCheck:
    """One thing that was looked at on a phone. `advice`: what a person should do if it is not `ok`."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


class Setup(Protocol):
    """Set-up of a provider whose phones need credentials: used when a phone is made, shown and checked."""

    def accept_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The checked configuration as it is to be sealed and stored. Raises Invalid naming the field."""
        ...

    def show_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Gives the part of the configuration that may be shown, which holds no secret."""
        ...

    async def check(self, phone: Phone) -> list[PhoneCheck]:
        """Asks the network about the phone without sending a message."""
        ...
