"""The states of a job, the transitions that are allowed, and the ack levels of receipts.

Every change of state in SQL names the state it leaves; this table is what those statements are held to by a test.
Source: architecture, "State".
"""

from enum import IntEnum, StrEnum


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"  # a job that waits for its retry too
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.QUEUED, State.CANCELLED, State.EXPIRED}),
    # queued → sent: a receipt for an attempt whose answer was lost came before the retry
    # queued → uncertain: its phone was deleted before the retry of an attempt whose answer was lost
    State.QUEUED: frozenset({State.SENDING, State.FAILED, State.CANCELLED, State.EXPIRED, State.SENT, State.UNCERTAIN}),
    State.SENDING: frozenset({State.SENT, State.QUEUED, State.UNCERTAIN, State.FAILED}),
    State.UNCERTAIN: frozenset({State.SENT, State.QUEUED, State.FAILED}),
    State.SENT: frozenset({State.FAILED}),  # refused by WhatsApp after it had accepted
    # a person may send a failed job again; one that was given up without an answer may have arrived, says a receipt
    State.FAILED: frozenset({State.QUEUED, State.SENT}),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}
SETTLED = frozenset({State.SENT, State.FAILED, State.CANCELLED, State.EXPIRED})


class Ack(IntEnum):
    """Ack level of a message. Never falls, but for FAILED. Source: contract 3.1, "ACK values"."""

    FAILED = -1
    PENDING = 0
    SENT = 1
    SERVER = 2
    DELIVERED = 3
    READ = 4
    PLAYED = 5


class Priority(IntEnum):
    """Order is kept within a chat and lane; a lower number goes first."""

    URGENT = 0
    NORMAL = 1
    BULK = 2


def newly_reached_acks(before: int, received: int) -> tuple[int, ...]:
    """Lists the ack levels that a receipt newly reaches, lowest first; empty if it is late or repeated.

    >>> newly_reached_acks(1, 3)
    (2, 3)
    """
    if received <= before or before == Ack.FAILED:
        return ()
    return tuple(range(max(before, 0) + 1, received + 1))


def shown_status(state: State, ack: int) -> str:
    """Gives state and ack level in one word, for the status path. Source: interface, "Jobs on the wire"."""
    if state is State.SENT:
        return {3: "delivered", 4: "read", 5: "played"}.get(ack, "sent")
    return {
        State.QUEUED: "queued",
        State.SCHEDULED: "scheduled",
        State.SENDING: "sending",
        State.UNCERTAIN: "pending",
    }.get(state, "failed")
