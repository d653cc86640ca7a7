"""What the sender needs of the store. Every write names the phone's fencing token; a former owner's write is refused.

Order of locks, the same everywhere: phone (its queue rows), then lanes, then jobs, each sorted by key.
"""

from collections.abc import Callable, Mapping, Sequence
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

PrunePlace = tuple[int, int]  # org_no, job_id: what stands before was looked at
PRUNE_FROM: PrunePlace = (0, 0)


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as it was read. `owner` None: free."""

    org_no: int
    phone_no: int
    owner: str | None
    token: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every sender's heartbeat, and whose each phone is. `alive` False: we ourselves were declared dead."""

    alive: bool
    beats: Mapping[str, int]
    leases: Sequence[LeaseRow]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for a phone under `token`, which rises with each new owner; for as long as our beats are
    seen."""

    phone: PhoneRow
    token: int


class Settlement(msgspec.Struct, frozen=True):
    """The end of one attempt. `token`: of the lease now held; `started_token`: under which the attempt was started."""

    job: OutgoingJob
    token: int
    started_token: int
    verdict: Verdict
    new_chat: bool = False


ALL_PRIORITIES = (Priority.URGENT, Priority.NORMAL, Priority.BULK)

# (chat, now_us) → when a message to the chat may start, if not now; pure, and quick: it runs inside the transaction
ChatDelay = Callable[[str, int], int | None]


class StartRequest(msgspec.Struct, frozen=True):
    """May start up to `limit` jobs of the phone now, of these lanes, one for each chat. `version`: the phone as the
    owner knows it (`updated_at_us`); nothing is started if it was changed since. None: whatever it is.
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
    """A job that now stands in `sending` under our token, committed. `quoted_id`: bare id of the replied message."""

    job: OutgoingJob
    token: int
    new_chat: bool


@dataclass(frozen=True, slots=True)
class SettleAndStartResult:
    """What came of `advance`. `lost`: (phone_no, token) that are no longer ours: stop at once.

    `settled`: as many booleans as settlements; False = someone else had settled it (a receipt or a person).
    `idle`: phones of the wishes that have nothing startable; with when their next lane falls due (None: nothing waits).
    `changed`: phones that a person changed since the wish was made; nothing was started for them.
    """

    started: list[Started]
    settled: list[bool]
    lost: frozenset[tuple[int, int]]
    idle: dict[int, int | None] = field(default_factory=dict)
    changed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PhoneReceipts:
    """What came for one phone, under the token of its lease."""

    org_no: int
    phone_no: int
    token: int
    receipts: Sequence[Receipt]


@dataclass(frozen=True, slots=True)
class ReceiptsApplied:
    """`changed`: jobs that got an event. `lost`: phones no longer ours; nothing was written for them: do not
    confirm. `early`: those of attempts that are not settled yet; nothing was written for them: tell them again soon.
    """

    changed: list[JobId]
    lost: frozenset[int]
    early: frozenset[Receipt] = frozenset()


class SenderStore(Protocol):
    async def heartbeat(self, owner: str, *, first: bool = False) -> Fleet:
        """Tells the fleet that `owner` lives, and gives the fleet as it stands.

        Liveness is judged by watching `beat` change by one's own monotonic clock, so machines' clocks need not agree.
        """
        ...

    async def claim_leases(self, owner: str, phones: Sequence[LeaseRow]) -> list[Lease]:
        """Takes phones whose lease is still as it was seen; the token rises. Gives those that are ours now."""
        ...

    async def release(self, owner: str, phones: Sequence[LeaseRow]) -> None: ...

    async def forget(self, owner: str) -> None:
        """Removes a sender that left or died from the fleet."""
        ...

    async def phone_row(self, org_no: int, phone_no: int) -> PhoneRow | None: ...

    async def network_id(self, org_no: int, job_id: JobId) -> str | None:
        """The id that the network itself gave a message of ours; None if it took ours, or has not answered."""
        ...

    async def phone_versions(self, phones: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """(org_no, phone_no) → by phone_no: (updated_at_us, restarts). A phone that is missing was deleted."""
        ...

    async def interrupted_jobs(self, org_no: int, phone_no: int, token: int) -> list[tuple[Job, int]]:
        """Jobs that stand in `sending` under this token or an older one, each with its token.

        Under our own token: those in flight, and those of a start whose answer was lost.
        """
        ...

    async def recent_starts(self, org_no: int, phone_no: int, after_us: int) -> list[PaceRow]:
        """The phone's starts since then, from the pace log."""
        ...

    async def settle_and_start(
        self, settlements: Sequence[Settlement], wishes: Sequence[StartRequest]
    ) -> SettleAndStartResult:
        """TX3 + TX2 in one transaction: settles what ended, starts what may start. Ends expired jobs on the way."""
        ...

    async def next_start_times(self, phones: Sequence[tuple[int, int]]) -> dict[int, int | None]:
        """(org_no, phone_no) → by phone_no: when work may start (0: now; None: nothing waits). Index probes only."""
        ...

    async def receipts(self, received: Sequence[PhoneReceipts]) -> ReceiptsApplied:
        """Applies the ladder; settles `uncertain` (and a retry whose first answer was lost).

        A receipt for a message whose id is not known yet is kept for a day and applied when a job learns that id.
        """
        ...

    async def inbound(self, phone_no: int, org_no: int, messages: Sequence[Inbound]) -> int:
        """Keeps what is new (by message_id) and gives how many were."""
        ...

    async def phone_state(self, org_no: int, phone_no: int, token: int, *, state: str, detail: str) -> bool:
        """False: the phone is no longer ours and nothing was written."""
        ...

    async def hold_phone(
        self, org_no: int, phone_no: int, token: int, *, until_us: int | None, new_chats_only: bool, reason: str
    ) -> bool:
        """The network asked the phone (or its new chats) to wait until then. False as for phone_state."""
        ...

    async def prune(self, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
        """Looks at up to `limit` jobs older than `before_us` and removes those that are settled and told, with their
        events. Gives how many went, and where to go on; None: that was all.
        """
        ...
