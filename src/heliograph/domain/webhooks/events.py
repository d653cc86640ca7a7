"""The catalogue of webhook events, and which change of a job fires which of them.

An ordinary send fires, in order: message.created (ack 0), message.sent + message.ack.updated (1), ack.updated (2),
message.delivered + ack.updated (3), message.read + ack.updated (4). Source: interface, "Webhooks"; contract 4 and 6.5.
"""

from dataclasses import dataclass

from heliograph.domain.jobs.states import Ack, State

MESSAGE_CREATED = "message.created"
MESSAGE_SENT = "message.sent"
MESSAGE_DELIVERED = "message.delivered"
MESSAGE_READ = "message.read"
MESSAGE_FAILED = "message.failed"
ACK_UPDATED = "message.ack.updated"
PHONE_CREATED = "org.phone.created"
PHONE_UPDATED = "org.phone.updated"
PHONE_CONNECTED = "org.phone.connected"
PHONE_DISCONNECTED = "org.phone.disconnected"
WEBHOOK_DISABLED = "webhook.disabled"
REACTION_CREATED = "reaction.created"
MESSAGE_EXPIRED = "message.expired"
QUEUE_PAUSED = "queue.paused"
QUEUE_RESUMED = "queue.resumed"
BROADCAST_COMPLETED = "broadcast.completed"
PHONE_RESTRICTED = "phone.restricted"
SCHEDULE_MISSED = "schedule.missed"

FIRING = frozenset(
    {
        MESSAGE_CREATED,
        MESSAGE_SENT,
        MESSAGE_DELIVERED,
        MESSAGE_READ,
        MESSAGE_FAILED,
        ACK_UPDATED,
        PHONE_CREATED,
        PHONE_UPDATED,
        PHONE_CONNECTED,
        PHONE_DISCONNECTED,
        REACTION_CREATED,
        WEBHOOK_DISABLED,
        MESSAGE_EXPIRED,
        QUEUE_PAUSED,
        QUEUE_RESUMED,
        BROADCAST_COMPLETED,
        PHONE_RESTRICTED,
        SCHEDULE_MISSED,
    }
)
# names of the contract that may be subscribed to; nothing here fires them yet
QUIET = frozenset(
    {
        "chat.created",
        "chat.updated",
        "chat.notification.created",
        "chat.label.updated",
        "chat.custom_properties.updated",
        "message.updated",
        "message.deleted",
        "message.flagged",
        "message.unflagged",
        "message.ticket.attached",
        "reaction.updated",
        "reaction.added",
        "ticket.created",
        "ticket.updated",
        "ticket.deleted",
        "note.created",
        "org.phone.qr",
        "org.created",
        "org.updated",
        "org.member.created",
        "org.member.updated",
        "org.subscription.trial_will_end",
        "org.integrations.updated",
    }
)
EVENT_NAMES = FIRING | QUIET

_FAILED = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED})
_AT_RUNG = {Ack.SENT: MESSAGE_SENT, Ack.DELIVERED: MESSAGE_DELIVERED, Ack.READ: MESSAGE_READ}
SEQUENCE_STEP = 16  # room for the names that one change may fire


@dataclass(frozen=True, slots=True)
class Fired:
    """A name to tell, with the rung it speaks of and the one before. `sequence` rises within a message, with gaps."""

    name: str
    ack: int
    ack_before: int
    sequence: int


def fired_by(*, n: int, before: str | None, after: str, ack: int) -> tuple[Fired, ...]:
    """What the n-th change of a job tells the world; most internal steps tell nothing.

    >>> [(f.name, f.ack) for f in fired_by(n=3, before="sending", after="sent", ack=1)]
    [('message.sent', 1), ('message.ack.updated', 1)]
    """
    told: list[tuple[str, int, int]] = []
    if before is None:
        told.append((MESSAGE_CREATED, 0, 0))
    elif after in _FAILED and before != after:
        told += [(MESSAGE_FAILED, -1, max(ack, 0)), (ACK_UPDATED, -1, max(ack, 0))]
        told += [(MESSAGE_EXPIRED, -1, max(ack, 0))] if after == State.EXPIRED else []
    elif after == State.SENT:
        # the change to `sent` climbs from nothing; a receipt has one event for each rung
        reached = range(1, max(ack, 1) + 1) if before != State.SENT else range(ack, ack + 1)
        for rung in reached:
            named = _AT_RUNG.get(Ack(rung))
            told += [(named, rung, rung - 1)] if named else []
            told.append((ACK_UPDATED, rung, rung - 1))
    first = (n - 1) * SEQUENCE_STEP + 1
    return tuple(Fired(name, rung, was, first + step) for step, (name, rung, was) in enumerate(told))
