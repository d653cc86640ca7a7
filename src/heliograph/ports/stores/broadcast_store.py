"""Broadcasts: from a list of recipients to jobs. A WrongState names the state that forbids an action."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.broadcasts.broadcast import BroadcastRow, NewBroadcast, WrongState
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Forecast:
    """Duration of a broadcast in seconds; None: endless in the present state. `new_chats`: chats new to the phone."""

    seconds: float | None
    new_chats: int


class BroadcastStore(Protocol):
    """Broadcasts and their recipients. `actor` is kept in the audit log."""

    async def create_broadcast(self, new: NewBroadcast, recipients: Sequence[Recipient]) -> tuple[JobId, bool]:
        """Stores the recipients in steps, then begins the broadcast in one commit.

        Returns its number, and whether this is a replay. Raises Invalid for the idempotency key of another request,
        Conflict while the first request is still being stored.
        """
        ...

    async def broadcast(self, org_no: int, broadcast_no: JobId) -> BroadcastRow | None:
        """Reads one broadcast with its counts."""
        ...

    async def broadcasts(
        self, org_no: int, phone_no: int | None, *, limit: int = 100, offset: int = 0
    ) -> list[BroadcastRow]:
        """Lists broadcasts of a phone or of the whole organisation, newest first."""
        ...

    async def pause_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        """Pauses a broadcast; nothing of it starts after the commit."""
        ...

    async def resume_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        """Ends the pause of a broadcast."""
        ...

    async def cancel_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> BroadcastRow | WrongState | None:
        """Ends a broadcast at once, then cancels its waiting jobs in steps."""
        ...

    async def retry_broadcast(self, org_no: int, broadcast_no: JobId, actor: str) -> int | None:
        """Queues its failed messages again, in steps, and returns their number; None: there is no such broadcast."""
        ...

    def broadcast_jobs(self, org_no: int, broadcast_id: str) -> AsyncIterator[list[Job]]:
        """Gives all its messages in order, by chunks; recipients that are not enqueued yet appear as future jobs."""
        ...

    async def forecast(
        self, org_no: int, phone_no: int, chats: Sequence[str], *, delay_s: float, in_flight: int
    ) -> Forecast:
        """Estimates the duration of a broadcast to these chats from the phone's queue and pacing."""
        ...

    async def enqueue_recipients(self) -> tuple[set[int], int | None]:
        """Makes jobs of the next recipients of all due broadcasts, each broadcast in its own transaction.

        Returns the phones that got work, and the time (µs) of the next due broadcast, None if there is none.
        """
        ...

    async def clean_up_broadcasts(self, before_us: int) -> int:
        """Removes interrupted loads, broadcasts that ended before then, and old rows of the pace log, in steps."""
        ...
