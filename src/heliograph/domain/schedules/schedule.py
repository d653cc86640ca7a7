"""A message for later, once or repeatedly. Times are microseconds UTC; `recurrence.py` says when it is due."""

from dataclasses import dataclass
from enum import StrEnum

from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import Content
from heliograph.domain.schedules.recurrence import Repeat

LATE_S = 60.0  # a run that starts no later than this after its time is not late


class Missed(StrEnum):
    """Treatment of runs that were due while nothing ran: one is sent late, however many were missed, or none."""

    LATE = "late"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Schedule:
    """`state`: scheduled, completed or deleted. `next_at_us` None: it will not run again. `lasts_s`: a message it makes
    expires after so long.
    """

    org_no: int
    schedule_no: JobId
    phone_no: int
    chat_id: str
    content: Content
    first_at_us: int
    repeat: Repeat | None = None
    priority: Priority = Priority.NORMAL
    state: str = "scheduled"
    next_at_us: int | None = None
    skip_next: bool = False
    paused_at_us: int | None = None
    paused_by: str | None = None
    missed: Missed = Missed.LATE
    lasts_s: float | None = None
    runs: int = 0
    performed_by: str = "api"
    created_at_us: int = 0
    updated_at_us: int = 0

    @property
    def scheduled_id(self) -> str:
        return queue_id(self.schedule_no)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A run that was due at `at_us`. `outcome`: queued, late, skipped, missed or refused. From `chat_id` on: of its
    message, while there is one.
    """

    schedule_no: JobId
    at_us: int
    outcome: str
    job_id: JobId | None
    remarks: str
    created_at_us: int
    chat_id: str | None = None
    state: str | None = None
    detail: str | None = None
    delivered_at_us: int | None = None
    provider_message_id: str | None = None
    author: str | None = None
