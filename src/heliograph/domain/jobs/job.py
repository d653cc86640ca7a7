"""Jobs (messages on their way), the requests that make them, and the events of their history.

Times are microseconds UTC. `org_no` and `phone_no` are the store's integers; callers see `org_id` and `phone_id`.
"""

from dataclasses import dataclass

import msgspec

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.content import Content


# what is made for every accepted message is a Struct: made in a third of a dataclass's time, and not looked at by the
# collector of cycles, which none of these can be part of
class Idempotency(msgspec.Struct, frozen=True, gc=False):
    """`key` as the caller gave it; `fingerprint` = SHA-256 of path, phone and raw body."""

    key: str
    fingerprint: bytes


class NewJob(msgspec.Struct, frozen=True, gc=False):
    """A checked message to be put into the queue. `job_id` is made by the caller, so that a lost commit can be
    re-read."""

    job_id: JobId
    org_no: int
    phone_no: int
    chat_id: str
    content: Content
    priority: Priority = Priority.NORMAL
    performed_by: str = "api"
    expires_at_us: int | None = None
    broadcast_no: int | None = None
    schedule_no: int | None = None
    idempotency: Idempotency | None = None


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """Committed and synced. `replayed`: this is the answer of an earlier request with the same idempotency key."""

    job_id: JobId
    position: int
    replayed: bool = False


class KeyReused(msgspec.Struct, frozen=True, gc=False):
    """The idempotency key stands for another request."""


class PhoneDeleted(msgspec.Struct, frozen=True, gc=False):
    """The phone was deleted meanwhile: nothing was queued."""


EnqueueResult = Enqueued | KeyReused | PhoneDeleted


class OutgoingJob(msgspec.Struct, frozen=True):
    """Job as an attempt and its settlement need it.

    `attempts`: what the wire shows. `starts`: begun since the last answer (guards against a message that kills the
    process). `maybe_sent`: an attempt ended without an answer.
    """

    job_id: JobId
    org_no: int
    phone_no: int
    chat_id: str
    priority: Priority
    seq: int
    content: Content
    attempts: int
    starts: int
    maybe_sent: bool
    broadcast_no: int | None
    queued_at_us: int


class Job(OutgoingJob, frozen=True):
    """Job with all that is stored of it.

    `ack`: see states.Ack. `reason`: stable code of the last failure, wait or end; `detail` its plain words.
    `not_before_us`: earliest next try.
    """

    state: State
    ack: int
    reason: str | None
    detail: str | None
    not_before_us: int | None
    expires_at_us: int | None
    schedule_no: int | None
    performed_by: str
    provider_message_id: str | None
    author: str | None
    events: int
    started_at_us: int | None
    sent_at_us: int | None
    delivered_at_us: int | None
    read_at_us: int | None
    settled_at_us: int | None


class Event(msgspec.Struct, frozen=True):
    """One change of one job, numbered within it without holes from 1.

    `kind`: queued, started, retry, throttled, held, uncertain, sent, receipt, failed, cancelled, expired, resolved,
    moved … `before` and `after` are states, equal for a receipt. `attempt` and `token` (fencing) say whose act it was.
    """

    job_id: JobId
    n: int
    at_us: int
    kind: str
    before: str | None
    after: str
    ack: int
    attempt: int
    token: int
    actor: str
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Counts of a phone, or of all phones of an organisation. `paused`: those of `waiting` whose phone is paused.

    `uncertain`: those of `active` that a person or a receipt must settle; counted only where each phone is asked for.
    """

    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    delayed: int = 0
    paused: int = 0
    uncertain: int = 0
