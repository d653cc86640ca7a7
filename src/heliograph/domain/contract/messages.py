"""The message object of the contract (section 3.1), made from a stored job and its phone.

Ack is a string here and an integer on the status path (contract 6.11). `sent_message_id` is the queue_id, always.
"""

from typing import Any

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.jobs import (
    bare_id,
    delivered_count,
    has_media,
    poll_part,
    read_count,
    serialized_id,
    shown_ack,
    shown_body,
    wire_type,
)
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.ids import queue_id as own_queue_id
from heliograph.domain.jobs.ids import unique_id as own_unique_id
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.chat import is_group
from heliograph.domain.timestamps import iso


class MessageKey(msgspec.Struct, frozen=True):
    id: str
    fromMe: bool
    remote: str
    _serialized: str


class MessageMedia(msgspec.Struct, frozen=True):
    """`path` is null: files are not served by this gateway. `sha256` is an extension: it names the bytes."""

    path: str | None
    mimetype: str
    filename: str
    size: int
    sha256: str | None = None


class MessageObject(msgspec.Struct, frozen=True, kw_only=True):
    """Required: message_id, org_id, org_phone, chat_id, message_type, media. Everything else may be null."""

    id: MessageKey
    message_id: str
    unique_id: str
    sent_message_id: str | None
    queue_id: str | None
    org_id: str
    org_phone: str
    chat_id: str
    from_: str = msgspec.field(name="from")
    to: str
    from_me: bool = True
    author: str | None = None
    sender_phone: str | None = None
    performed_by: str | None = None
    device_type: str | None = None
    token: str | None = None
    message_type: str
    body: str
    prev_body: str | None = None
    media: MessageMedia | None
    has_media: bool
    links: str = "[]"
    location: dict[str, Any] | None = None
    vcards: list[Any] = []
    mentioned_ids: list[str] = []
    duration: str | None = None
    is_gif: bool = False
    media_key: str | None = None
    order_id: str | None = None
    invite_v4: dict[str, Any] | None = None
    quoted_message_id: str | None = None
    has_quoted_msg: bool = False
    has_reaction: bool = False
    reactions: list[Any] = []
    is_forwarded: bool = False
    forwarding_score: int = 0
    broadcast: bool = False
    broadcast_id: str | None = None
    message_ticket_id: str | None = None
    message_payload: dict[str, Any] | None = None
    ack: str
    timestamp: str
    updated_at: str
    delivery_info: dict[str, Any]
    is_deleted: bool = False
    is_ephemeral: bool = False
    is_starred: bool = False
    is_status: bool = False
    is_private_note: bool = False
    flag_status: str | None = None
    flag_metadata: dict[str, Any] | None = None
    flag_response_time: str | None = None
    raw_data: dict[str, Any] | None = None
    poll_info: dict[str, Any] | None = None
    poll_results: dict[str, Any] | None = None


def message_object(job: Job, phone: PhoneRow) -> MessageObject:
    """`phone` may be a deleted one: a job outlives it."""
    sender = f"{phone.number}@c.us"
    full_id = serialized_id(job)
    media = job.content.media
    stamps = (job.read_at_us, job.delivered_at_us, job.settled_at_us, job.sent_at_us, job.started_at_us)
    return MessageObject(
        id=MessageKey(id=bare_id(job), fromMe=True, remote=job.chat_id, _serialized=full_id),
        message_id=full_id,
        unique_id=own_unique_id(job.job_id),
        sent_message_id=own_queue_id(job.job_id),
        queue_id=own_queue_id(job.job_id),
        org_id=phone.org_id,
        org_phone=sender,
        chat_id=job.chat_id,
        from_=sender,
        to=job.chat_id,
        author=job.author,
        sender_phone=sender,
        performed_by=job.performed_by,
        message_type=wire_type(job.content),
        body=shown_body(job.content),
        media=None
        if media is None
        else MessageMedia(
            path=media.url, mimetype=media.mimetype, filename=media.filename, size=media.size, sha256=media.sha256
        ),
        has_media=has_media(job.content),
        quoted_message_id=job.content.reply_to,
        has_quoted_msg=job.content.reply_to is not None,
        broadcast=job.broadcast_no is not None,
        broadcast_id=None if job.broadcast_no is None else own_queue_id(JobId(job.broadcast_no)),
        ack=str(shown_ack(job)),
        timestamp=iso(job.sent_at_us or job.queued_at_us),
        updated_at=iso(max([job.queued_at_us, *(at for at in stamps if at is not None)])),
        delivery_info=_delivery(job),
        poll_info=poll_part(job.content),
        location=None if job.content.extra is None else job.content.extra.get("location"),
    )


def _delivery(job: Job) -> dict[str, Any]:
    """Maps of who has it, with epoch seconds. Of a group only the whole is known."""
    person = not is_group(job.chat_id)
    delivered = {job.chat_id: job.delivered_at_us // 1_000_000} if person and job.delivered_at_us else {}
    read = {job.chat_id: job.read_at_us // 1_000_000} if person and job.read_at_us else {}
    waits = person and job.state is State.SENT and not delivered and not read
    return {
        "delivered": delivered,
        "read": read,
        "pending": [job.chat_id] if waits else [],
        "delivered_count": delivered_count(job),
        "read_count": read_count(job),
    }
