"""Store verbs that control queues, for the API, the command line and the sender's services.

Every verb is one transaction, unless it says that it works in steps. A `Refused` names the state that forbids the act;
None says that there is no such thing. `actor` is kept with the act.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.broadcasts.broadcast import BroadcastRow, NewBroadcast, WrongState
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.explain.explanation import Explanation
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Idempotency, Job, KeyReused
from heliograph.domain.pacing.next_start import PaceRow
from heliograph.domain.schedules.schedule import Occurrence, Schedule


@dataclass(frozen=True, slots=True)
class HoldRow:
    """`what`: `phone`, `chat:ID` or `broadcast:NO`."""

    what: str
    actor: str
    reason: str
    at_us: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Entry of the audit log: an action of a person or a program."""

    at_us: int
    actor: str
    act: str
    what: str
    detail: str
    phone_no: int | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """`seconds` None: never, as things stand. `new_chats`: how many of them the phone has not written to before."""

    seconds: float | None
    new_chats: int


@dataclass(frozen=True, slots=True)
class Suppressed:
    chat_id: str
    reason: str
    actor: str
    at_us: int


class ControlStore(Protocol):
    # -- broadcasts

    async def broadcast(self, new: NewBroadcast, recipients: Sequence[Recipient]) -> tuple[JobId, bool]:
        """Takes the recipients in by chunks, then makes it real in one commit. Gives its number, and whether it is a
        replay. Raises Invalid for a key that stands for another request, Conflict while the first one is under way.
        """
        ...

    async def broadcast_row(self, org_no: int, broadcast_no: JobId) -> BroadcastRow | None: ...

    async def broadcasts(
        self, org_no: int, phone_no: int | None, *, limit: int = 100, offset: int = 0
    ) -> list[BroadcastRow]: ...

    async def pause_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        """After this commit nothing of it is started."""
        ...

    async def resume_broadcast(
        self, org_no: int, broadcast_no: JobId, actor: str
    ) -> BroadcastRow | WrongState | None: ...

    async def cancel_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        """Cancels a broadcast. Jobs that wait are cancelled in steps, and no further job is made."""
        ...

    async def retry_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> int | None:
        """Puts its failed messages back, in steps; gives how many."""
        ...

    def broadcast_jobs(self, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
        """All its messages in order, a chunk at a time; those not fed yet as they will be."""
        ...

    async def forecast(
        self, org_no: int, phone_no: int, chats: Sequence[str], *, delay_s: float, in_flight: int
    ) -> Forecast:
        """Forecasts when a broadcast to these chats would end, from the phone's queue and pacing."""
        ...

    async def feed(self) -> tuple[set[int], int | None]:
        """Makes jobs of the next recipients of every due broadcast: see `store/broadcasts/enqueue_recipients.py`."""
        ...

    async def sweep_broadcasts(self, before_us: int) -> int:
        """Removes loads that were cut off, what ended before `before_us`, and starts past every window, in steps."""
        ...

    # -- schedules

    async def schedule(self, schedule: Schedule) -> Schedule: ...

    async def schedule_once(self, schedule: Schedule, key: Idempotency) -> tuple[Schedule, bool] | KeyReused:
        """Stores a schedule. Also tells whether an earlier request with this key made it."""
        ...

    async def scheduled(self, org_no: int, key: Idempotency) -> Schedule | KeyReused | None:
        """Gives the schedule that an earlier request with this key made; None: the key is free."""
        ...

    async def schedule_row(self, org_no: int, schedule_no: JobId) -> Schedule | None: ...

    async def schedules(self, org_no: int, phone_no: int | None, *, limit: int, offset: int) -> list[Schedule]: ...

    async def change_schedule(
        self, org_no: int, schedule_no: JobId, how: Callable[[Schedule], Schedule]
    ) -> Schedule | WrongState | None: ...

    async def delete_schedule(self, org_no: int, schedule_no: JobId) -> bool: ...

    async def occurrences(self, org_no: int, schedule_no: JobId, *, limit: int, offset: int) -> list[Occurrence]: ...

    async def run_schedules(self) -> tuple[set[int], int | None]:
        """Runs what is due, each run once: see store/schedules/run_due.py."""
        ...

    # -- holds and single messages

    async def pause_phone(self, org_no: int, phone_no: int, actor: str, reason: str = "") -> bool:
        """False: it is paused already."""
        ...

    async def resume_phone(self, org_no: int, phone_no: int, actor: str) -> bool: ...

    async def pause_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str, reason: str = "") -> bool: ...

    async def resume_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str) -> bool: ...

    async def holds(self, org_no: int, phone_no: int) -> list[HoldRow]: ...

    async def retry_now(self, org_no: int, job_ids: Sequence[JobId], actor: str) -> dict[JobId, str]:
        """Retries jobs: a waiting retry starts at once, a failed job is queued again. Gives the refused, with their states: `queued`
        waits for something else (its turn, a person who paused its chat).
        """
        ...

    async def retry_failed(self, org_no: int, phone_no: int, since_us: int, actor: str) -> int:
        """Puts back what failed of a phone since then, in steps."""
        ...

    async def resolve(self, org_no: int, job_id: JobId, how: str, actor: str) -> str | None:
        """`how`: arrived, again or give_up. None: done; else the state that forbids it."""
        ...

    async def expire(self) -> int:
        """Ends what waits beyond its time, everywhere, in steps."""
        ...

    async def explain(self, job: Job, *, in_flight: int = 1) -> Explanation: ...

    async def described(self, jobs: Sequence[Job]) -> list[str]:
        """The sentence of each, as `explain` says it, for lists: a bounded number of searches for all together."""
        ...

    async def audit_log(self, org_no: int, *, limit: int = 100) -> list[AuditEntry]:
        """Newest first."""
        ...

    # -- safe numbers

    async def suppress(self, org_no: int, chat_id: str, reason: str, actor: str) -> bool: ...

    async def unsuppress(self, org_no: int, chat_id: str, actor: str) -> bool: ...

    async def suppressions(self, org_no: int, *, after: str = "", limit: int = 1000) -> list[Suppressed]: ...

    async def record_policy_change(self, org_no: int, phone_no: int, after_us: int) -> list[PaceRow]:
        """A phone's recent starts, for its new owner."""
        ...
