"""Webhooks of a provider on their way in: stored before they are confirmed, applied by the owner of the phone.

Applying is idempotent (the ladder never goes down, an inbound message is kept once), so a row may be applied twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from heliograph.ports.provider import Inbound, Phone, Receipt, SessionState


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One provider webhook as it came, for one phone it speaks of."""

    phone_no: int
    received_at_us: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    inbox_no: int
    phone_no: int
    received_at_us: int
    payload: bytes


class Inbox(Protocol):
    async def keep_deliveries(self, deliveries: Sequence[NewDelivery]) -> None:
        """Returns only after the commit is synced to disk: the provider is told 200 after this."""
        ...

    async def deliveries(self, phone_nos: Sequence[int], limit: int) -> list[Delivery]:
        """Of these phones, the oldest first."""
        ...

    async def drop_deliveries(self, inbox_nos: Sequence[int]) -> None:
        """After they were applied."""
        ...


@dataclass(frozen=True, slots=True)
class News:
    """What one webhook says of one phone. `session` None: nothing about the phone itself."""

    receipts: tuple[Receipt, ...] = ()
    inbound: tuple[Inbound, ...] = ()
    session: tuple[SessionState, str] | None = None


class Reader(Protocol):
    def __call__(self, phone: Phone, payload: bytes) -> News:
        """Reads a stored payload for one phone. Never raises: what it does not understand is left out."""
        ...


class Answer(StrEnum):
    """What a provider's webhook is told."""

    STORED = "stored"
    FORGED = "forged"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Verdict:
    answer: Answer
    detail: str = ""
    phone_nos: tuple[int, ...] = field(default=())


class Door(Protocol):
    """The provider's side of its webhook route: who may come in, and what is kept."""

    async def challenge(self, mode: str, token: str, challenge: str) -> str | None:
        """The text to echo when the token is one of ours; None: refuse."""
        ...

    async def receive(self, raw: bytes, signature: str) -> Verdict:
        """Checks the signature over the raw bytes, then stores. STORED means it is on disk."""
        ...
