"""JSON of a job: one internal state, rendered by path.

Pure functions from a stored job (and its phone) to the shapes of the contract, sections 2.3, 3.1 and 3.2, with the
vocabularies of interface, "Jobs on the wire". The API, the webhooks and the dashboard all speak through these.

Weakness: one ack level is kept for each message, so `delivered_count` and `read_count` of a group are 1 when
all of its members have it, and 0 before.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.explain.explanation import SUBMITTED, describe
from heliograph.domain.jobs.ids import message_id
from heliograph.domain.jobs.ids import queue_id as own_queue_id
from heliograph.domain.jobs.ids import unique_id as own_unique_id
from heliograph.domain.jobs.job import Event, Job, QueueCounts
from heliograph.domain.jobs.states import Ack, State, shown_status
from heliograph.domain.messages.content import MEDIA_KINDS, Content, Kind
from heliograph.domain.timestamps import iso

HINT = "You can track message status using the fetch jobs api - /queue/jobs?queue_id="

_LEGACY = {
    State.QUEUED: "waiting",
    State.SCHEDULED: "delayed",
    State.SENDING: "active",
    State.UNCERTAIN: "active",
    State.SENT: "completed",
}
_LISTED = {
    State.QUEUED: "queued",
    State.SCHEDULED: "scheduled",
    State.SENDING: "sending",
    State.UNCERTAIN: "sending",
    State.SENT: "sent",
}


class QueueJob(msgspec.Struct, frozen=True):
    """An element of `POST /v1/message/queues`. Contract 3.2."""

    queue_id: str
    unique_id: str
    message_id: str
    chat_id: str
    performed_by: str
    status: str
    status_description: str
    message: dict[str, Any]
    timeline: dict[str, str]
    attempts: int


class JobStatus(QueueJob, frozen=True):
    """The answer of `GET /v1/message/{unique_id}/status`."""

    ack: int
    delivered_count: int
    read_count: int


class LegacyData(msgspec.Struct, frozen=True):
    body: str
    chat_id: str


class LegacyJob(msgspec.Struct, frozen=True):
    """An element of `GET /v1/queue/jobs`: BullMQ's names, the bare id in `message_id`, epoch milliseconds."""

    id: str
    status: str
    message_id: str
    data: LegacyData
    addedTimestamp: int
    processedTimestamp: int | None
    finishedTimestamp: int | None
    attemptsMade: int
    attemptsStarted: int
    stacktrace: list[str]
    queue_id: str
    unique_id: str
    chat_id: str
    performed_by: str
    status_description: str
    timeline: dict[str, str]


class HealthCounts(msgspec.Struct, frozen=True):
    """`paused`: those of `waiting` whose phone is paused."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    paused: int


class HistoryEvent(msgspec.Struct, frozen=True):
    """One change of one job, numbered from 1 without holes. An extension.

    `at` never runs backwards. `network_at`: a receipt's own time, where that is before what was written down first.
    """

    n: int
    at: str
    kind: str
    before: str | None
    after: str
    ack: int
    attempt: int
    actor: str
    reason: str | None
    detail: str | None
    network_at: str | None = None


def bare_id(job: Job) -> str:
    """WhatsApp's key of the message: ours, until a provider gives one of its own."""
    return job.provider_message_id or own_unique_id(job.job_id)


def serialized_id(job: Job) -> str:
    """`true_<chat_id>_<key>`; for groups `_<author>` at the end."""
    return message_id(job.chat_id, bare_id(job), job.author)


def timeline(job: Job) -> dict[str, str]:
    """The stamps that exist so far, in ISO form.

    What was delivered had been sent: a receipt that is older than the last attempt was for an earlier one.
    """
    ended = {State.FAILED: "failed_at", State.CANCELLED: "cancelled_at", State.EXPIRED: "expired_at"}.get(job.state)
    stamps = {
        "queued_at": job.queued_at_us,
        "scheduled_for": job.not_before_us if job.state is State.SCHEDULED else None,
        "sending_at": job.started_at_us,
        "sent_at": job.sent_at_us,
        "delivered_at": job.delivered_at_us,
        "read_at": job.read_at_us,
    }
    later = None
    for name in ("read_at", "delivered_at", "sent_at", "sending_at"):
        if (at := stamps[name]) is not None:
            stamps[name] = later = max(at if later is None else min(at, later), job.queued_at_us)
    if ended:
        stamps[ended] = job.settled_at_us
    return {name: iso(at) for name, at in stamps.items() if at is not None}


def message_part(content: Content) -> dict[str, Any]:
    """The `message` of a queue job: body and type, and what else the message holds."""
    shown: dict[str, Any] = {"body": shown_body(content), "type": str(content.type)}
    if content.reply_to:
        shown["quoted_message_id"] = content.reply_to
    if content.media:
        shown["media"] = {
            "filename": content.media.filename,
            "mimetype": content.media.mimetype,
            "size": content.media.size,
        }
    if content.poll:
        shown["poll"] = poll_part(content)
    return shown


def shown_body(content: Content) -> str:
    """Text or caption; a poll without a text of its own shows its question."""
    return content.body or (content.poll.name if content.poll else "")


def poll_part(content: Content) -> dict[str, Any] | None:
    """`poll_info` of the contract."""
    if content.poll is None:
        return None
    options: dict[str, Any] = {"allowMultipleAnswers": content.poll.allow_multiple_answers}
    if content.poll.poll_id is not None:
        options["pollId"] = content.poll.poll_id
    return {"pollName": content.poll.name, "pollOptions": list(content.poll.options), "options": options}


def queue_job(job: Job, *, now_us: int, phone: PhoneRow | None = None, said: str | None = None) -> QueueJob:
    """Renders for the new list: queued, sending, sent, failed, scheduled; a delivered message stays `sent`.

    `said`: the sentence of `explain`, where more was looked up than the job and its phone.
    """
    return QueueJob(
        queue_id=own_queue_id(job.job_id),
        unique_id=own_unique_id(job.job_id),
        message_id=serialized_id(job),
        chat_id=job.chat_id,
        performed_by=job.performed_by,
        status=_LISTED.get(job.state, "failed"),
        status_description=_listed_words(job, now_us, phone, said),
        message=message_part(job.content),
        timeline=timeline(job),
        attempts=job.attempts,
    )


def job_status(job: Job, *, now_us: int, phone: PhoneRow | None = None, said: str | None = None) -> JobStatus:
    """Renders for the status path: every ack level, with delivered, read and played."""
    return JobStatus(
        queue_id=own_queue_id(job.job_id),
        unique_id=own_unique_id(job.job_id),
        message_id=serialized_id(job),
        chat_id=job.chat_id,
        performed_by=job.performed_by,
        status=shown_status(job.state, job.ack),
        status_description=said or describe(job, now_us=now_us, phone=phone),
        message=message_part(job.content),
        timeline=timeline(job),
        attempts=job.attempts,
        ack=shown_ack(job),
        delivered_count=delivered_count(job),
        read_count=read_count(job),
    )


def legacy_job(job: Job, *, now_us: int, phone: PhoneRow | None = None, said: str | None = None) -> LegacyJob:
    """Renders for the legacy list: waiting, active, completed, failed, delayed."""
    ended = job.settled_at_us if job.settled_at_us is not None else job.sent_at_us
    failed = _LEGACY.get(job.state) is None
    words = _listed_words(job, now_us, phone, said)
    return LegacyJob(
        id=own_queue_id(job.job_id),
        status=_LEGACY.get(job.state, "failed"),
        message_id=bare_id(job),
        data=LegacyData(body=shown_body(job.content), chat_id=job.chat_id),
        addedTimestamp=job.queued_at_us // 1000,
        processedTimestamp=None if job.started_at_us is None else job.started_at_us // 1000,
        finishedTimestamp=None if ended is None else ended // 1000,
        attemptsMade=job.attempts,
        attemptsStarted=max(job.attempts, job.starts),
        stacktrace=[words] if failed else [],
        queue_id=own_queue_id(job.job_id),
        unique_id=own_unique_id(job.job_id),
        chat_id=job.chat_id,
        performed_by=job.performed_by,
        status_description=words,
        timeline=timeline(job),
    )


def _listed_words(job: Job, now_us: int, phone: PhoneRow | None, said: str | None) -> str:
    return SUBMITTED if job.state is State.SENT else said or describe(job, now_us=now_us, phone=phone)


def shown_ack(job: Job) -> int:
    """-1 when the message ended without being sent, else its ack level."""
    if job.state in (State.FAILED, State.CANCELLED, State.EXPIRED):
        return int(Ack.FAILED)
    return max(job.ack, 0)


def delivered_count(job: Job) -> int:
    return int(shown_ack(job) >= Ack.DELIVERED)


def read_count(job: Job) -> int:
    return int(shown_ack(job) >= Ack.READ)


def health_counts(health: QueueCounts) -> HealthCounts:
    return HealthCounts(
        waiting=health.waiting,
        active=health.active,
        completed=health.completed,
        failed=health.failed,
        delayed=health.delayed,
        paused=health.paused,
    )


def history_events(events: Sequence[Event]) -> list[HistoryEvent]:
    """In the order in which they were written down.

    A receipt may be older than the event before it: it came for an earlier transmission of the same id, and waited for
    the settlement; or the network's clock shows whole seconds.
    """
    shown = []
    at_us = 0
    for event in events:
        at_us = max(at_us, event.at_us)
        shown.append(
            HistoryEvent(
                n=event.n,
                at=iso(at_us),
                kind=event.kind,
                before=event.before,
                after=event.after,
                ack=event.ack,
                attempt=event.attempt,
                actor=event.actor,
                reason=event.reason,
                detail=event.detail,
                network_at=iso(event.at_us) if event.at_us < at_us else None,
            )
        )
    return shown


def has_media(content: Content) -> bool:
    return content.type in MEDIA_KINDS and content.media is not None


def wire_type(content: Content) -> str:
    """`message_type`: the contract's names; kinds it does not know go by the nearest one it has."""
    return str(
        {Kind.REACTION: Kind.TEXT, Kind.TEMPLATE: Kind.TEXT, Kind.INTERACTIVE: Kind.TEXT}.get(
            content.type, content.type
        )
    )
