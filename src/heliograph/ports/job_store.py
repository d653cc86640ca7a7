"""What the API and the command line need of the store. Every verb is one transaction; a raised Refusal stored nothing.

`Unavailable` may come out of any of them (disk full, database away).
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import NewPhone, PhonePatch, PhoneRow
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued, EnqueueResult, Event, Idempotency, Job, KeyReused, NewJob, QueueCounts
from heliograph.ports.simulated_network import DeviceScope


class JobStore(Protocol):
    def enqueue(self, job: NewJob) -> Awaitable[EnqueueResult]:
        """TX1: idempotency key, seq, counters, row, event. Returns only after the commit is synced to disk.

        Calls that are under way at the same time share a commit. Raises Invalid, with nothing stored, for a message in
        the bulk lane to a chat on the organisation's suppression list.
        """
        ...

    async def replay(self, org_no: int, key: Idempotency) -> Enqueued | KeyReused | None:
        """What a message sent with this idempotency key was answered; None: the key is free."""
        ...

    async def job(self, org_no: int, handle: str) -> Job | None:
        """By queue_id, unique_id, message_id, or an id the provider gave (alias). O(1).

        A message_id with another chat or author names nothing; to a group it may leave out the author.
        """
        ...

    async def quotable(self, org_no: int, phone_no: int, handle: str) -> str | None:
        """The message_id, as it is now, of a message that this phone sent or received; None: there is none. O(1).

        By any id that `job` takes, or the message_id or bare id of what a person wrote to the phone.
        """
        ...

    async def jobs(self, org_no: int, phone_no: int | None, *, limit: int = 2000, offset: int = 0) -> list[Job]:
        """Newest first, of the phone or the whole organisation."""
        ...

    def broadcast_jobs(self, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
        """All jobs of a broadcast, oldest first, a chunk at a time."""
        ...

    async def history(self, org_no: int, job_id: JobId) -> list[Event]: ...

    async def ahead(self, job: Job) -> int:
        """How many jobs of the same phone and lane were accepted earlier and are not settled."""
        ...

    async def health(self, org_no: int, phone_no: int | None) -> QueueCounts:
        """From counters: no scan."""
        ...

    async def health_of_phones(self, org_no: int) -> dict[int, QueueCounts]:
        """By phone_no, with how many are uncertain; a phone that nothing was sent by may be absent."""
        ...

    async def purge(
        self,
        org_no: int,
        phone_no: int | None,
        *,
        job_ids: Sequence[JobId] | None = None,
        broadcast_id: str | None = None,
        actor: str = "api",
    ) -> list[JobId]:
        """Cancels what has not started (never what may have been sent) and gives the ids it cancelled.

        Without job_ids and broadcast_id: everything waiting. Works in steps; each step is one transaction.
        """
        ...


class Accounts(Protocol):
    async def create_org(self, name: str) -> OrgRow:
        """Conflict if the name is taken: commands name an organisation by it."""
        ...

    async def orgs(self) -> list[OrgRow]: ...

    async def create_key(self, org_no: int, name: str, digest: bytes, prefix: str) -> KeyRow:
        """`digest` = SHA-256 of the secret, which is never stored."""
        ...

    async def keys(self, org_no: int | None) -> list[KeyRow]: ...

    async def revoke_key(self, org_no: int, prefix: str) -> KeyRow | None: ...

    async def key_by_digest(self, digest: bytes) -> KeyRow | None:
        """None if unknown or revoked. When a key was found is remembered until `write_key_uses`."""
        ...

    async def write_key_uses(self) -> None:
        """Stores when keys were last found, if any was since the last time. Another process's later use stays."""
        ...

    async def create_phone(self, phone: NewPhone, idempotency: Idempotency | None = None) -> tuple[PhoneRow, bool]:
        """The row, and whether it is a replay. Conflict if the organisation has the number already."""
        ...

    async def phones(self, org_no: int | None) -> list[PhoneRow]: ...

    async def share(self, org_no: int, provider: str) -> DeviceScope:
        """What of a provider's phones the organisation has: all, if no other ever had one; else its own, deleted ones
        too, as a network may remember what they did.
        """
        ...

    async def phones_of_chat(self, org_no: int, phone_nos: Sequence[int], chat_id: str) -> set[int]:
        """Which of these phones have written to the chat or heard from it."""
        ...

    async def phone(self, org_no: int, number_or_id: str) -> PhoneRow | None:
        """By number (digits) or phone_id; None if unknown, deleted or another organisation's."""
        ...

    async def phone_row(self, org_no: int, phone_no: int) -> PhoneRow | None:
        """A deleted one too: jobs outlive their phone."""
        ...

    async def update_phone(self, org_no: int, phone_no: int, patch: PhonePatch) -> PhoneRow | None: ...

    async def delete_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        """Its waiting jobs end as cancelled. False if it is not there."""
        ...

    async def request_restart(self, org_no: int, phone_no: int) -> None:
        """Asks the phone's owner, wherever it runs, to restart the session."""
        ...


@dataclass(frozen=True, slots=True)
class NewPageSession:
    """`digest` of the cookie, `link` of the login link that it was exchanged for. `key_no`: the key that let in."""

    digest: str
    link: str | None
    org_no: int
    key_no: int | None
    ends_at_us: int


class PageSessions(Protocol):
    """Shared by all processes on one database."""

    async def begin_page_session(self, new: NewPageSession) -> bool:
        """False if its link was used before."""
        ...

    async def page_session(self, digest: str) -> int | None:
        """The organisation; None if there is no such login, or it or its key has ended."""
        ...

    async def end_page_session(self, digest: str) -> None: ...
