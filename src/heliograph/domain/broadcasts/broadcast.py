"""A broadcast: one message to many chats, each with its own words. Times are microseconds UTC.

`broadcast_no` is made like a job's key; the public `broadcast_id` is a function of it (`ids.queue_id`), and read back
by `ids.parse_job_id`.
"""

from dataclasses import dataclass

from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import Content

MAX_ENQUEUED_AHEAD = (
    400  # recipients that are jobs already and not settled: a pause or a cancel has to look at so many at most
)
CHUNK = 200  # recipients fed, or loaded, in one transaction


@dataclass(frozen=True, slots=True)
class NewBroadcast:
    """`content.body` may hold variables. `delay_s`: between the messages of this broadcast, pacing aside."""

    broadcast_no: JobId
    org_no: int
    phone_no: int
    content: Content
    delay_s: float = 1.0
    priority: Priority = Priority.BULK
    scheduled_at_us: int | None = None
    expires_at_us: int | None = None
    performed_by: str = "api"
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True)
class BroadcastRow:
    """`state`: running, completed or cancelled. `fed`: so many recipients became jobs. `skipped`: asked not to be
    written to. `failed` includes what was cancelled or expired after it was fed.
    """

    org_no: int
    broadcast_no: JobId
    phone_no: int
    state: str
    content: Content
    priority: Priority
    delay_s: float
    expires_at_us: int | None
    total: int
    enqueued: int
    skipped: int
    scheduled_at_us: int | None
    paused_at_us: int | None
    paused_by: str | None
    performed_by: str
    created_at_us: int
    started_at_us: int | None
    ended_at_us: int | None
    sent: int
    failed: int
    delivered: int
    read: int

    @property
    def broadcast_id(self) -> str:
        return queue_id(self.broadcast_no)

    @property
    def cancelled(self) -> int:
        """Recipients that will never become jobs because a person stopped it."""
        return self.total - self.enqueued if self.state == "cancelled" else 0

    @property
    def pending(self) -> int:
        return max(self.total - self.sent - self.failed - self.skipped - self.cancelled, 0)


def shown_state(row: BroadcastRow, now_us: int) -> str:
    """In one word: scheduled, paused, running, completed or cancelled."""
    if row.state != "running":
        return row.state
    if row.paused_at_us is not None:
        return "paused"
    later = row.scheduled_at_us is not None and row.scheduled_at_us > now_us and not row.enqueued
    return "scheduled" if later else "running"


@dataclass(frozen=True, slots=True)
class WrongState:
    """Why a steering act did nothing: `state` is what the thing is in."""

    state: str
