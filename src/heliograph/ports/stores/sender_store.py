"""Sending: settle attempts, start jobs, apply receipts. Every write carries the phone's fencing token.

Promise: a write of a former owner stores nothing. Locks are taken in one order everywhere: phone (its queue counters),
then lanes, then jobs, each sorted by key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job, OutgoingJob
from heliograph.domain.jobs.states import Priority
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.pacing.next_start import PaceRow
from heliograph.ports.provider import Inbound, Receipt


class Settlement(msgspec.Struct, frozen=True):
    """The verdict of one attempt. `token` is of the present lease, `started_token` of the lease that started it."""

    job: OutgoingJob
    token: int
    started_token: int
    verdict: Verdict
    new_chat: bool = False


ALL_PRIORITIES = (Priority.URGENT, Priority.NORMAL, Priority.BULK)

# (chat, now_us) → the time (µs) when a message to the chat may start, if not now; pure and fast, as it runs inside the
# transaction
ChatDelay = Callable[[str, int], int | None]


class StartRequest(msgspec.Struct, frozen=True):
    """Wish to start up to `limit` jobs of a phone, of these priorities, one for each chat.

    `version`: the phone's `updated_at_us` as its owner knows it; nothing is started if it has changed. None: any.
    """

    phone_no: int
    org_no: int
    token: int
    limit: int = 1
    new_limit: int = 1_000_000  # of these, to chats the phone has not written to before
    paced: bool = False  # its starts are kept in the pace log, for its next owner
    gate: ChatDelay | None = None
    priorities: tuple[Priority, ...] = ALL_PRIORITIES
    version: int | None = None


class Started(msgspec.Struct, frozen=True):
    """A job that is `sending` under `token`, committed."""

    job: OutgoingJob
    token: int
    new_chat: bool


@dataclass(frozen=True, slots=True)
class SettleAndStartResult:
    """Result of one transaction. `lost`: (phone_no, token) that are owned by others now: stop at once.

    `settled`: one boolean for each settlement; False: a receipt or a person had settled it before.
    `idle`: requested phones without a startable job, with the time (µs) of their next one (None: nothing waits).
    `changed`: phones that a person changed since the request was made; nothing was started for them.
    """

    started: list[Started]
    settled: list[bool]
    lost: frozenset[tuple[int, int]]
    idle: dict[int, int | None] = field(default_factory=dict)
    changed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PhoneReceipts:
    """Receipts of one phone, under the token of its lease."""

    org_no: int
    phone_no: int
    token: int
    receipts: Sequence[Receipt]


@dataclass(frozen=True, slots=True)
class ReceiptsApplied:
    """Result of applying receipts. `changed`: jobs that got an event.

    `lost`: phones that are owned by others now. `early`: receipts whose attempt is not settled yet; pass them in again.
    Nothing was stored for `lost` and `early`.
    """

    changed: list[JobId]
    lost: frozenset[int]
    early: frozenset[Receipt] = frozenset()


class SenderStore(Protocol):
    """The queue of the phones that a sender owns. Pairs of numbers are (org_no, phone_no)."""

    async def phone_row(self, org_no: int, phone_no: int) -> PhoneRow | None:
        """Reads a phone, deleted or not."""
        ...

    async def phone_versions(self, phones: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """Reads (updated_at_us, restarts) by phone_no. A phone that is missing was deleted."""
        ...

    async def network_id(self, org_no: int, job_id: JobId) -> str | None:
        """Returns the id that the network gave to a message of ours; None if it took ours, or has not answered."""
        ...

    async def interrupted_jobs(self, org_no: int, phone_no: int, token: int) -> list[tuple[Job, int]]:
        """Lists jobs in `sending` under this token or an older one, each with its token.

        Under the present token: jobs in flight, and those of a start whose answer was lost.
        """
        ...

    async def recent_starts(self, org_no: int, phone_no: int, after_us: int) -> list[PaceRow]:
        """Lists the starts of a phone after then, from the pace log."""
        ...

    async def settle_and_start(
        self, settlements: Sequence[Settlement], wishes: Sequence[StartRequest]
    ) -> SettleAndStartResult:
        """Settles ended attempts and starts jobs (TX3 and TX2) in one transaction, and ends expired jobs it meets."""
        ...

    async def next_start_times(self, phones: Sequence[tuple[int, int]]) -> dict[int, int | None]:
        """Returns by phone_no when work may start (µs; 0: now; None: nothing waits). Index probes only."""
        ...

    async def apply_receipts(self, received: Sequence[PhoneReceipts]) -> ReceiptsApplied:
        """Raises ack levels; settles uncertain jobs, and retries whose first answer was lost.

        A receipt for an unknown message id is kept for a day, and applied when a job gets that id.
        """
        ...

    async def keep_inbound(self, phone_no: int, org_no: int, messages: Sequence[Inbound]) -> int:
        """Stores inbound messages that are new by message_id, and returns their number."""
        ...

    async def set_phone_state(self, org_no: int, phone_no: int, token: int, *, state: str, detail: str) -> bool:
        """Stores the session state. Returns False if the phone is owned by another sender; nothing is stored then."""
        ...

    async def throttle_phone(
        self, org_no: int, phone_no: int, token: int, *, until_us: int | None, new_chats_only: bool, reason: str
    ) -> bool:
        """Stores that the network asked the phone, or its new chats, to wait. Returns False as `set_phone_state`."""
        ...
