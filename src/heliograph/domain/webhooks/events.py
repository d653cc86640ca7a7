"""Webhook events, and the events that a change of a job fires.

Source: interface, "Webhooks"; contract 4 and 6.5.
"""

from dataclasses import dataclass
from enum import StrEnum

from heliograph.domain.jobs.states import Ack, State


class WebhookEvent(StrEnum):
    """All events that can be subscribed to. A line has the name, and says when the event fires if it does."""

    fires: str

    def __new__(cls, name: str, fires: str = "") -> "WebhookEvent":
        event = str.__new__(cls, name)
        event._value_, event.fires = name, fires
        return event

    MESSAGE_CREATED = (
        "message.created",
        "a message is accepted (ack 0); a person writes to the phone (`from_me` false)",
    )
    MESSAGE_SENT = "message.sent", "WhatsApp takes the message (ack 1)"
    MESSAGE_DELIVERED = "message.delivered", "the message reaches the recipient's device (ack 3)"
    MESSAGE_READ = "message.read", "the recipient reads the message (ack 4)"
    MESSAGE_FAILED = "message.failed", "a message fails, is cancelled or expires (ack -1), with `reason`"
    MESSAGE_EXPIRED = "message.expired", "a message expires before it is sent, after `message.failed`"
    ACK_UPDATED = ("message.ack.updated", "the ack level changes: -1, or 1 to 5 (2: on WhatsApp's servers, 5: played)")
    REACTION_CREATED = "reaction.created", "a person reacts to a message, after a `message.created` of type `reaction`"
    PHONE_CREATED = "org.phone.created", "a phone is added"
    PHONE_UPDATED = "org.phone.updated", "a phone's name, picture, labels, pacing or settings change"
    PHONE_CONNECTED = "org.phone.connected", "a phone's session comes up"
    PHONE_DISCONNECTED = "org.phone.disconnected", "a phone's session goes down"
    PHONE_RESTRICTED = "phone.restricted", "WhatsApp restricts a phone, or only its new chats"
    QUEUE_PAUSED = "queue.paused", "a phone, chat or broadcast is paused"
    QUEUE_RESUMED = "queue.resumed", "a phone, chat or broadcast is resumed"
    BROADCAST_COMPLETED = "broadcast.completed", "the last message of a broadcast ends"
    SCHEDULE_MISSED = "schedule.missed", "a run of a schedule is skipped"
    WEBHOOK_DISABLED = "webhook.disabled", "an endpoint is given up; goes to the organisation's other webhooks"
    CHAT_CREATED = "chat.created"
    CHAT_UPDATED = "chat.updated"
    CHAT_NOTIFICATION_CREATED = "chat.notification.created"
    CHAT_LABEL_UPDATED = "chat.label.updated"
    CHAT_CUSTOM_PROPERTIES_UPDATED = "chat.custom_properties.updated"
    MESSAGE_UPDATED = "message.updated"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_FLAGGED = "message.flagged"
    MESSAGE_UNFLAGGED = "message.unflagged"
    MESSAGE_TICKET_ATTACHED = "message.ticket.attached"
    REACTION_UPDATED = "reaction.updated"
    REACTION_ADDED = "reaction.added"
    TICKET_CREATED = "ticket.created"
    TICKET_UPDATED = "ticket.updated"
    TICKET_DELETED = "ticket.deleted"
    NOTE_CREATED = "note.created"
    PHONE_QR = "org.phone.qr"
    ORG_CREATED = "org.created"
    ORG_UPDATED = "org.updated"
    ORG_MEMBER_CREATED = "org.member.created"
    ORG_MEMBER_UPDATED = "org.member.updated"
    ORG_TRIAL_WILL_END = "org.subscription.trial_will_end"
    ORG_INTEGRATIONS_UPDATED = "org.integrations.updated"


EVENT_NAMES = frozenset(event.value for event in WebhookEvent)

_FAILED = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED})
_AT_ACK = {
    Ack.SENT: WebhookEvent.MESSAGE_SENT,
    Ack.DELIVERED: WebhookEvent.MESSAGE_DELIVERED,
    Ack.READ: WebhookEvent.MESSAGE_READ,
}
SEQUENCE_STEP = 16  # room for the events that one change may fire


def event_table() -> str:
    """The table of docs/explain/webhooks.md; a test holds the page to it."""
    rows = (f"| `{event}` | {event.fires} |" for event in WebhookEvent if event.fires)
    return "\n".join(("| event | fires when |", "|---|---|", *rows)) + "\n"


@dataclass(frozen=True, slots=True)
class Fired:
    """An event with its ack level and the one before. `sequence` rises within a message, with gaps."""

    name: str
    ack: int
    ack_before: int
    sequence: int


def fired_by(*, n: int, before: str | None, after: str, ack: int) -> tuple[Fired, ...]:
    """The events of the n-th change of a job; most internal steps fire none.

    >>> [(f.name, f.ack) for f in fired_by(n=3, before="sending", after="sent", ack=1)]
    [('message.sent', 1), ('message.ack.updated', 1)]
    """
    events: list[tuple[WebhookEvent, int, int]] = []
    if before is None:
        events.append((WebhookEvent.MESSAGE_CREATED, 0, 0))
    elif after in _FAILED and before != after:
        failed = [WebhookEvent.MESSAGE_FAILED, WebhookEvent.ACK_UPDATED]
        failed += [WebhookEvent.MESSAGE_EXPIRED] if after == State.EXPIRED else []
        events += [(event, -1, max(ack, 0)) for event in failed]
    elif after == State.SENT:
        # the change to `sent` passes all ack levels below; a receipt has one event for each level
        reached = range(1, max(ack, 1) + 1) if before != State.SENT else range(ack, ack + 1)
        for level in reached:
            named = _AT_ACK.get(Ack(level))
            events += [(named, level, level - 1)] if named else []
            events.append((WebhookEvent.ACK_UPDATED, level, level - 1))
    first = (n - 1) * SEQUENCE_STEP + 1
    return tuple(Fired(event.value, level, was, first + step) for step, (event, level, was) in enumerate(events))
