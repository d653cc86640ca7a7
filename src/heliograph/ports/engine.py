"""What the sender needs of the store. Every write names the phone's fencing token; a former owner's write is refused.

Order of locks, the same everywhere: phone (its queue rows), then lanes, then jobs, each sorted by key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from heliograph.domain.ids import JobId
from heliograph.domain.job import Job, PhoneRow
from heliograph.domain.states import Class, Lane
from heliograph.domain.verdict import Verdict
from heliograph.ports.provider import Inbound, Receipt


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for a phone until `expires_at_us`, under `token`, which rises with each new owner."""

    phone: PhoneRow
    token: int
    expires_at_us: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one attempt. `token`: of the lease now held; `started_token`: under which the attempt was started."""

    job: Job
    token: int
    started_token: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StartWish:
    """May start up to `limit` jobs of the phone now, of these lanes and classes, one for each chat."""

    phone_no: int
    org_no: int
    token: int
    limit: int = 1
    lanes: tuple[Lane, ...] = (Lane.URGENT, Lane.NORMAL, Lane.BULK)
    classes: tuple[Class, ...] = (Class.KNOWN, Class.NEW)


@dataclass(frozen=True, slots=True)
class Started:
    """A job that now stands in `sending` under our token, committed. `quoted_id`: bare id of the replied message."""

    job: Job
    token: int
    new_chat: bool


@dataclass(frozen=True, slots=True)
class Advanced:
    """What came of `advance`. `lost`: phones whose token is no longer ours: stop at once.

    `settled`: as many booleans as settlements; False = someone else had settled it (a receipt or a person).
    `idle`: phones of the wishes that have nothing startable; with when their next lane falls due (None: nothing waits).
    """

    started: list[Started]
    settled: list[bool]
    lost: frozenset[int]
    idle: dict[int, int | None] = field(default_factory=dict)


class Engine(Protocol):
    async def lease(
        self, owner: str, *, ttl_us: int, held: Sequence[int], release: Sequence[int] = (), roles: str = ""
    ) -> list[Lease]:
        """Renews what `owner` holds, takes free or expired phones up to its fair share, gives up `release`.

        The answer is everything the owner holds now. A phone of `held` that is missing was lost.
        """
        ...

    async def interrupted(self, phone_no: int, token: int) -> list[tuple[Job, int]]:
        """Jobs left in `sending` under an older token, with that token. Empty when none: the phone is clean."""
        ...

    async def advance(self, settlements: Sequence[Settlement], wishes: Sequence[StartWish]) -> Advanced:
        """TX3 + TX2 in one transaction: settles what ended, starts what may start. Ends expired jobs on the way."""
        ...

    async def ready(self, phone_nos: Sequence[int]) -> dict[int, int]:
        """Of these phones, those with work, and when it may start (µs; now or earlier = ready). Index probes only."""
        ...

    async def receipts(self, phone_no: int, org_no: int, token: int, receipts: Sequence[Receipt]) -> list[JobId]:
        """Applies the ladder; settles `uncertain` (and a retry whose first answer was lost). Gives the jobs that changed.

        A receipt for an unknown message is kept for `receipt_grace` and applied when its job learns that id.
        """
        ...

    async def inbound(self, phone_no: int, org_no: int, messages: Sequence[Inbound]) -> int:
        """Keeps what is new (by message_id) and gives how many were."""
        ...

    async def phone_state(self, phone_no: int, token: int, state: str, detail: str) -> bool: ...

    async def hold_phone(
        self, phone_no: int, token: int, *, until_us: int | None, new_chats_only: bool, reason: str
    ) -> bool: ...

    async def prune(self, before_us: int, limit: int) -> int:
        """Removes up to `limit` settled jobs older than `before_us` with their events. 0 = done."""
        ...
