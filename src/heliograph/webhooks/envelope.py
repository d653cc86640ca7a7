"""The body of a delivery: one envelope for every kind of reader, rendered from the snapshot of the event.

Promise: `message.sent` shows the message as it was when it was sent, not as it is at the time of delivery.
Source: contract 4, 6.6 and 6.7.
"""

from dataclasses import replace
from typing import Any

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.inbound import inbound_object
from heliograph.domain.contract.messages import message_object
from heliograph.domain.contract.phones import phone_object
from heliograph.domain.contract.reactions import reaction_object
from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.job import Event, Job
from heliograph.domain.jobs.states import Ack, State
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.domain.webhooks.webhook import Delivery, EventSource, WebhookRow
from heliograph.webhooks.js_json import encode_body

_CACHED = 2048


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The envelope. `current_attributes` repeats `data`, for readers of the other kind. `reason`: of a failure."""

    id: str
    event: str
    event_type: str
    org_id: str
    timestamp: str
    hook_id: str
    queue_id: str | None = None
    sequence: int
    reason: str | None = None
    data: msgspec.Raw
    current_attributes: msgspec.Raw
    previous_attributes: dict[str, str]


class Envelopes:
    """Renders bodies. An event for several webhooks is rendered once."""

    def __init__(self) -> None:
        self._data: dict[tuple[int, int, int, int], tuple[msgspec.Raw, str, str]] = {}
        self._encoder = msgspec.json.Encoder()

    def render(self, delivery: Delivery, story: EventSource) -> bytes | None:
        """Renders a delivery. None: the source of its event is gone."""
        if story.job is not None and story.change is not None and story.phone is not None:
            return self._of_message(delivery, story.job, story.change, story.phone)
        if story.inbound is not None and story.phone is not None:
            shape = reaction_object if delivery.event == WebhookEvent.REACTION_CREATED else inbound_object
            data = _raw(msgspec.to_builtins(shape(story.inbound, story.phone)))
            return self._encoder.encode(_envelope(delivery, data, at=iso(story.inbound.at_us)))
        if story.org_event is not None:
            happened = story.org_event
            if story.phone is None:
                data = _raw(happened.data)
            elif happened.name in (WebhookEvent.PHONE_CONNECTED, WebhookEvent.PHONE_DISCONNECTED):
                data = _raw(_phone_then(story.phone, happened.name, happened.detail, happened.at_us))
            else:
                phone = msgspec.to_builtins(phone_object(story.phone))
                data = _raw({**happened.data, "detail": happened.detail, "phone": phone} if happened.data else phone)
            return self._encoder.encode(_envelope(delivery, data, at=iso(happened.at_us)))
        return None

    def _of_message(self, delivery: Delivery, job: Job, change: Event, phone: PhoneRow) -> bytes:
        key = (job.org_no, job.job_id, change.n, delivery.ack)
        found = self._data.get(key)
        reason = change.reason if delivery.ack == Ack.FAILED else None
        if found is None:
            found = (_message_data(job, change, phone, delivery.ack), iso(change.at_us), queue_id(job.job_id))
            if len(self._data) >= _CACHED:
                self._data.clear()
            self._data[key] = found
        data, at, queue = found
        previous = {} if delivery.event == WebhookEvent.MESSAGE_CREATED else {"ack": str(delivery.ack_before)}
        envelope = _envelope(delivery, data, at=at, queue=queue, reason=reason, previous=previous)
        return self._encoder.encode(envelope)


def _envelope(
    delivery: Delivery,
    data: msgspec.Raw,
    *,
    at: str,
    queue: str | None = None,
    reason: str | None = None,
    previous: dict[str, str] | None = None,
) -> Envelope:
    return Envelope(
        id=delivery.delivery_id,
        event=delivery.event,
        event_type=delivery.event,
        org_id=delivery.org_id,
        timestamp=at,
        hook_id=delivery.hook_id,
        queue_id=queue,
        sequence=delivery.sequence,
        reason=reason,
        data=data,
        current_attributes=data,
        previous_attributes=previous or {},
    )


def _raw(data: object) -> msgspec.Raw:
    return msgspec.Raw(encode_body(data))


def _message_data(job: Job, change: Event, phone: PhoneRow, ack: int) -> msgspec.Raw:
    shown: dict[str, Any] = msgspec.to_builtins(message_object(_job_then(job, change, ack), phone))
    if ack == Ack.FAILED:
        shown["reason"] = change.reason or "failed"
        shown["status_description"] = change.detail or ""
    return _raw(shown)


def _job_then(job: Job, change: Event, ack: int) -> Job:
    """Returns the job as it was at the event, without later times and ids."""
    created, at_us = change.n == 1, change.at_us
    return msgspec.structs.replace(
        job,
        state=State(change.after),
        ack=ack,
        attempts=change.attempt,
        reason=change.reason,
        detail=change.detail,
        provider_message_id=None if created else job.provider_message_id,
        started_at_us=None if created else job.started_at_us,
        sent_at_us=job.sent_at_us if ack >= Ack.SENT else None,
        delivered_at_us=job.delivered_at_us if ack >= Ack.DELIVERED else None,
        read_at_us=job.read_at_us if ack >= Ack.READ else None,
        settled_at_us=None if created else min(job.settled_at_us or at_us, at_us),
    )


def _phone_then(phone: PhoneRow, name: str, detail: str, at_us: int) -> object:
    state = (
        "connected"
        if name == WebhookEvent.PHONE_CONNECTED
        else ("offline" if phone.state == "connected" else phone.state)
    )
    then = replace(phone, state=state, state_detail=detail, state_at_us=at_us)
    return msgspec.to_builtins(phone_object(then))


def sample_body(hook: WebhookRow, now_us: int) -> str:
    """Makes the body of a test: the webhook's event with sample data. The store fills in `{delivery_id}`."""
    data = {
        "test": True,
        "message": "This is a test of your webhook. Nothing was sent to anybody.",
        "queue_id": None,
        "ack": "0"
        if hook.event in (WebhookEvent.MESSAGE_CREATED, WebhookEvent.MESSAGE_FAILED, WebhookEvent.ACK_UPDATED)
        else "1",
    }
    sample = {
        "id": "{delivery_id}",
        "event": hook.event,
        "event_type": hook.event,
        "org_id": hook.org_id,
        "timestamp": iso(now_us),
        "hook_id": hook.hook_id,
        "sequence": 0,
        "test": True,
        "data": data,
        "current_attributes": data,
        "previous_attributes": {},
    }
    return encode_body(sample).decode()
