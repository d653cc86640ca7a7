"""Webhooks of a provider on their way in: stored before they are confirmed, applied by the owner of the phone.

Applying is idempotent (the ladder never goes down, an inbound message is kept once), so a row may be applied twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from heliograph.ports.provider import Inbound, Phone, Receipt


@dataclass(frozen=True, slots=True)
class NewInboxItem:
    """One provider webhook as it came, for one phone it speaks of."""

    org_no: int
    phone_no: int
    received_at_us: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A stored one. `inbox_no` rises with time within a phone."""

    org_no: int
    phone_no: int
    inbox_no: int
    received_at_us: int
    payload: bytes


class ProviderInbox(Protocol):
    async def keep_deliveries(self, deliveries: Sequence[NewInboxItem]) -> None:
        """Returns only after the commit is synced to disk: the provider is told 200 after this."""
        ...

    async def deliveries(self, phones: Sequence[tuple[int, int]], limit: int) -> list[InboxItem]:
        """Gives up to `limit` items of each (org_no, phone_no), oldest first. It uses index probes only."""
        ...

    async def drop_deliveries(self, deliveries: Sequence[InboxItem]) -> None:
        """After they were applied."""
        ...

    async def prune_deliveries(self, before_us: int) -> None:
        """Deletes older items that were never applied, as their phones were deleted."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderUpdate:
    """Content of one webhook about one phone."""

    receipts: tuple[Receipt, ...] = ()
    inbound: tuple[Inbound, ...] = ()


class PayloadReader(Protocol):
    def __call__(self, phone: Phone, payload: bytes, received_at_us: int) -> ProviderUpdate:
        """Reads a stored payload for one phone. Never raises: what it does not understand is left out.

        `received_at_us` helps where the network's own stamps are coarse.
        """
        ...


class ReceiveStatus(StrEnum):
    """Answer to a provider's webhook."""

    STORED = "stored"
    FORGED = "forged"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class ReceiveResult:
    answer: ReceiveStatus
    detail: str = ""
    phone_nos: tuple[int, ...] = field(default=())


class WebhookReceiver(Protocol):
    """The provider's side of its webhook route: who may come in, and what is kept."""

    async def challenge(self, mode: str, token: str, challenge: str) -> str | None:
        """The text to echo when the token is one of ours; None: refuse."""
        ...

    async def receive(self, raw: bytes, signature: str) -> ReceiveResult:
        """Checks the signature over the raw bytes, then stores. STORED means it is on disk."""
        ...
