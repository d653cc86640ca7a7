"""Conversion of rows to values and back.

Jobs and events are unpacked by position, for speed; the type checker holds the types, not the names, to `sql/`.
"""

from collections.abc import Callable

import msgspec

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.job import Event, Job, OutgoingJob
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.content import Content, Kind, decode_content
from heliograph.store.database import named

_STATES = {state.value: state for state in State}
_PRIORITIES = (Priority.URGENT, Priority.NORMAL, Priority.BULK)
_NOTHING = Content(Kind.TEXT)

EventRow = tuple[int, int, int, int, str, str | None, str, int, int, int, str, str | None, str | None]


def readable(content: str) -> Content:
    """Decodes a content for display; one that cannot be decoded, and so is never sent, is shown empty."""
    try:
        return decode_content(content)
    except msgspec.DecodeError:
        return _NOTHING


def job_of(row: "named.JobValues") -> Job:
    (
        job_id, org_no, phone_no, chat_id, priority, seq, state, content, attempts, starts, maybe_sent, ack, reason,
        detail,
        not_before, expires_at, broadcast_no, schedule_no, performed_by, provider_message_id, author, events, queued_at,
        started_at, sent_at, delivered_at, read_at, settled_at,
    ) = row  # fmt: skip
    return Job(
        job_id, org_no, phone_no, chat_id, _PRIORITIES[priority], seq, readable(content), attempts, starts,
        maybe_sent == 1, broadcast_no, queued_at, _STATES[state], ack, reason, detail, not_before, expires_at,
        schedule_no, performed_by, provider_message_id, author, events, started_at, sent_at, delivered_at, read_at,
        settled_at,
    )  # fmt: skip


def outgoing_of(row: "named.StartedValues", decode: Callable[[str], Content] = decode_content) -> OutgoingJob:
    """Raises DecodeError for a message that cannot be decoded, unless `decode` does not."""
    job_id, org_no, phone_no, chat_id, priority, seq, content, attempts, starts, maybe_sent, broadcast_no, queued_at = (
        row
    )
    return OutgoingJob(
        job_id, org_no, phone_no, chat_id, _PRIORITIES[priority], seq, decode(content), attempts, starts,
        maybe_sent == 1, broadcast_no, queued_at,
    )  # fmt: skip


def event_of(row: "named.EventValues") -> Event:
    job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail = row
    return Event(job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail)


def event_row(org_no: int, event: Event) -> EventRow:
    """Gives a row for `events_insert`."""
    return (
        org_no, event.job_id, event.n, event.at_us, event.kind, event.before, event.after, event.ack, event.attempt,
        event.token, event.actor, event.reason, event.detail,
    )  # fmt: skip


def phone_of(row: "named.PhoneColumns") -> PhoneRow:
    return PhoneRow(
        phone_no=row["phone_no"],
        org_no=row["org_no"],
        org_id=row["org_id"],
        phone_id=row["phone_id"],
        number=row["number"],
        provider=row["provider"],
        name=row["name"],
        image=row["image"],
        labels=tuple(msgspec.json.decode(row["labels"], type=list[str])),
        state=row["state"],
        state_detail=row["state_detail"],
        state_at_us=row["state_at"],
        pacing=row["pacing"],
        config=row["config"],
        paused_at_us=row["paused_at"],
        paused_by=row["paused_by"],
        hold_until_us=row["hold_until"],
        hold_reason=row["hold_reason"],
        new_chats_until_us=row["new_chats_until"],
        first_connected_at_us=row["first_connected_at"],
        created_at_us=row["created_at"],
        updated_at_us=row["updated_at"],
        restarts=row["restarts"],
    )


def key_of(row: "named.KeyColumns") -> KeyRow:
    return KeyRow(
        key_no=row["key_no"],
        org_no=row["org_no"],
        org_id=row["org_id"],
        org_name=row["org_name"],
        name=row["name"],
        prefix=row["prefix"],
        created_at_us=row["created_at"],
        revoked_at_us=row["revoked_at"],
        last_used_at_us=row["last_used_at"],
    )


def org_of(row: "named.OrgColumns") -> OrgRow:
    return OrgRow(row["org_no"], row["org_id"], row["name"], row["created_at"])
