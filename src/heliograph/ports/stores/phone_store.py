"""Phones as the API and the command line need them."""

from collections.abc import Sequence
from typing import Protocol

from heliograph.domain.accounts.phone import NewPhone, PhonePatch, PhoneRow
from heliograph.domain.jobs.job import Idempotency
from heliograph.ports.simulated_network import DeviceScope


class PhoneStore(Protocol):
    """Sending phones, and the chats that they know."""

    async def create_phone(self, phone: NewPhone, idempotency: Idempotency | None = None) -> tuple[PhoneRow, bool]:
        """Adds a phone; returns it, and whether this is a replay of an earlier request.

        Raises Conflict if the organisation has the number already, Invalid for the key of another request.
        """
        ...

    async def phones(self, org_no: int | None) -> list[PhoneRow]:
        """Lists the phones of an organisation, or of all, oldest first; without deleted ones."""
        ...

    async def phone(self, org_no: int, number_or_id: str) -> PhoneRow | None:
        """Finds a phone by its number (digits) or phone_id; None if unknown, deleted or another organisation's."""
        ...

    async def phone_row(self, org_no: int, phone_no: int) -> PhoneRow | None:
        """Finds a phone by its number in the store, deleted or not: jobs outlive their phone."""
        ...

    async def update_phone(self, org_no: int, phone_no: int, patch: PhonePatch) -> PhoneRow | None:
        """Changes a phone and returns it as stored; None: there is no such phone."""
        ...

    async def delete_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        """Deletes a phone and cancels its waiting jobs, in steps. Returns False if there is none."""
        ...

    async def request_restart(self, org_no: int, phone_no: int) -> None:
        """Asks the phone's owner, in whatever process, to restart the session."""
        ...

    async def phones_of_chat(self, org_no: int, phone_nos: Sequence[int], chat_id: str) -> set[int]:
        """Returns those of the given phones that wrote to the chat or received from it."""
        ...

    async def device_scope(self, org_no: int, provider: str) -> DeviceScope:
        """Returns the phones of a provider that the organisation may see on the simulated network.

        All, if no other organisation ever had one; else its own and its deleted ones.
        """
        ...
