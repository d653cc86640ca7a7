"""Leases: which sender may send for which phone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.accounts.phone import PhoneRow


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as it was read. `owner` None: free."""

    org_no: int
    phone_no: int
    owner: str | None
    token: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Heartbeats of all senders, and all leases. `alive` False: this sender was removed as dead."""

    alive: bool
    beats: Mapping[str, int]
    leases: Sequence[LeaseRow]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for a phone. `token` rises with each owner; the lease lasts while heartbeats are seen."""

    phone: PhoneRow
    token: int


class LeaseStore(Protocol):
    """Senders and the phones that they own."""

    async def heartbeat(self, owner: str, *, first: bool = False) -> Fleet:
        """Counts the heartbeat of `owner` up, and reads the fleet.

        Each sender judges others by changes of their counter on its own monotonic clock; machines' clocks may differ.
        """
        ...

    async def claim_leases(self, owner: str, phones: Sequence[LeaseRow]) -> list[Lease]:
        """Takes the leases that are unchanged since they were read, and returns those that were taken."""
        ...

    async def release_leases(self, owner: str, phones: Sequence[LeaseRow]) -> None:
        """Frees leases that are still of `owner`."""
        ...

    async def remove_sender(self, owner: str) -> None:
        """Removes a sender that left or died from the fleet."""
        ...
