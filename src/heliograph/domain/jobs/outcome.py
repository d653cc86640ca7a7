"""Outcome of one attempt to send, as a value. A provider never retries inside and never raises for these.

Matched exhaustively in `domain/jobs/verdict.py`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Scope(StrEnum):
    """Scope of an outcome: the part that a throttle or a lost session holds back.

    An account that the network restricted is a throttle: NEW_CHATS if it may still write to known chats, else PHONE,
    with `retry_after_s` until the end of the restriction.
    """

    MESSAGE = "message"
    CHAT = "chat"
    NEW_CHATS = "new_chats"  # chats this phone has written to before go on (WhatsApp's 463)
    PHONE = "phone"
    APP = "app"  # every phone of the same account at the provider


@dataclass(frozen=True, slots=True)
class Accepted:
    """The network took the message. `provider_message_id` is set where it is not our `unique_id`."""

    provider_message_id: str | None = None
    ack: int = 1


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely not sent, and worth trying again: counts as an attempt. `retry_after_s`: the network named a wait."""

    scope: ClassVar[Scope] = Scope.MESSAGE
    code: str
    detail: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for good: no retry. `code` is stable, `detail` plain words; `unsupported`: never possible here."""

    scope: ClassVar[Scope] = Scope.MESSAGE
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Asked to wait: surely not sent, not an attempt."""

    code: str
    detail: str
    retry_after_s: float
    scope: Scope = Scope.CHAT


@dataclass(frozen=True, slots=True)
class SessionDown:
    """The phone cannot send at all now: surely not sent, not an attempt; the phone's queue waits.

    `retry_after_s` None: until the session itself says it is up again.
    """

    scope: ClassVar[Scope] = Scope.PHONE
    code: str
    detail: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Attempt that may have been sent. `taken`: the network has surely taken it and only its acknowledgement is
    missing, so sending again would not help. `waited`: the provider itself waited out the acknowledgement time-out.
    """

    scope: ClassVar[Scope] = Scope.MESSAGE
    code: str
    detail: str
    taken: bool = False
    waited: bool = False


Outcome = Accepted | NotSent | Rejected | Throttled | SessionDown | Unknown
