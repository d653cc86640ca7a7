"""The test recipients: what the simulated network does with a message to each of them.

The server's own acknowledgement (2) is sent by itself only where no delivery follows at once: a delivery implies it.
Source: interface, "The simulator".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from heliograph.domain.jobs.outcome import Scope
from heliograph.domain.jobs.states import Ack
from heliograph.domain.messages.chat import test_suffix
from heliograph.ports.simulated_network import NetworkReply, ReplyKind

HELD_S = 60.0  # how long a restriction lasts
OFFLINE_S = 30.0
SLOW_S = 10.0
LOST_AFTER_S = 0.1  # the connection closes this long after the message was taken
LATE_S = 1.0  # a late acknowledgement comes this long after the gateway stopped waiting
TEST_PREFIXES = ("120255501", "1203630000000001")


class RecipientAction(StrEnum):
    """Action of the recipient after reading."""

    ECHO = "echo"
    STOP = "stop"
    THUMB = "thumb"


class Trouble(StrEnum):
    """Trouble of the sending device."""

    LOGGED_OUT = "logged_out"
    OFFLINE = "offline"
    REPLACED = "replaced"
    RESTRICTED = "restricted"
    NO_NEW_CHATS = "no_new_chats"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that comes back `delay_us` after the message: a receipt, or the person's reply."""

    delay_us: int
    ack: int = 0
    reply: RecipientAction | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`answer` (or `trouble`) meets the first `times` arrivals of a message, None = each; later ones are taken.

    `lost`: taken, but the answer is lost that often. `recognised`: a repeated id is shown once.
    """

    suffix: str
    steps: tuple[Step, ...]
    answer: NetworkReply | None = None
    trouble: Trouble | None = None
    times: int | None = None
    lost: bool = False
    silent: bool = False
    late: bool = False
    recognised: bool = True
    slow_s: float = 0.0

    @property
    def counted(self) -> bool:
        """Tells whether the arrivals of this message must be counted."""
        return self.times is not None


def _steps(*pairs: tuple[float, int], reply: RecipientAction | None = None) -> tuple[Step, ...]:
    steps = [Step(int(delay_s * 1e6), ack) for delay_s, ack in pairs]
    if reply:
        steps.append(Step(700_000, reply=reply))
    return tuple(steps)


_DELIVERED = (0.2, int(Ack.DELIVERED))
_READ = (0.5, int(Ack.READ))
_READ_STEPS = _steps(_DELIVERED, _READ)
_TRANSIENT = NetworkReply(ReplyKind.NOT_TAKEN, "network_error", "WhatsApp could not take the message just now.")


def _refused(code: str, detail: str) -> NetworkReply:
    return NetworkReply(ReplyKind.REFUSED, code, detail)


PLAIN = Behaviour("", _READ_STEPS)
_TABLE = (
    Behaviour("00", _READ_STEPS),
    Behaviour("01", _steps(_DELIVERED)),
    Behaviour("02", _steps((0.05, Ack.SERVER))),
    Behaviour("04", _steps(_DELIVERED, _READ, (0.8, Ack.PLAYED))),
    Behaviour("05", _steps(_DELIVERED, _READ, reply=RecipientAction.ECHO)),
    Behaviour("06", _steps(_DELIVERED, _READ, reply=RecipientAction.STOP)),
    Behaviour("07", _steps(_DELIVERED, _READ, reply=RecipientAction.THUMB)),
    Behaviour("10", _READ_STEPS, answer=_TRANSIENT, times=1),
    Behaviour("11", _READ_STEPS, answer=_TRANSIENT, times=2),
    Behaviour("12", _READ_STEPS, answer=_TRANSIENT),
    Behaviour(
        "13",
        _READ_STEPS,
        answer=NetworkReply(
            ReplyKind.WAIT, "throttled", "WhatsApp asked to wait 1 s before writing to this chat.", 1.0
        ),
        times=1,
    ),
    Behaviour("14", _READ_STEPS, slow_s=SLOW_S),
    Behaviour("40", (), answer=_refused("not_on_whatsapp", "This number is not on WhatsApp.")),
    Behaviour("41", (), answer=_refused("blocked", "This person has blocked the phone.")),
    Behaviour("42", (), answer=_refused("invalid_chat", "This chat does not exist.")),
    Behaviour("43", _READ_STEPS, trouble=Trouble.NO_NEW_CHATS, times=1),
    Behaviour("44", _READ_STEPS, trouble=Trouble.RESTRICTED, times=1),
    Behaviour("45", (), answer=_refused("media_rejected", "WhatsApp rejected the media file.")),
    Behaviour("60", _steps((0.2, Ack.READ), (0.5, Ack.DELIVERED))),
    Behaviour("61", _steps(_DELIVERED, _DELIVERED, _READ, _READ)),
    Behaviour("62", (), silent=True),
    Behaviour("63", _steps((LATE_S, Ack.SERVER)), silent=True, late=True),
    Behaviour("64", _READ_STEPS, lost=True, times=1),
    Behaviour(
        "65",
        _READ_STEPS,
        answer=NetworkReply(
            ReplyKind.NOT_TAKEN, "connection_lost", "The connection closed before WhatsApp took the message."
        ),
        times=1,
    ),
    Behaviour("66", (), lost=True, recognised=False),
    Behaviour("80", _READ_STEPS, trouble=Trouble.LOGGED_OUT, times=1),
    Behaviour("81", _READ_STEPS, trouble=Trouble.OFFLINE, times=1),
    Behaviour("82", _READ_STEPS, trouble=Trouble.REPLACED, times=1),
)
BEHAVIOURS: Mapping[str, Behaviour] = {each.suffix: each for each in (PLAIN, *_TABLE)}


def behaviour_of(chat_id: str, contacts: Mapping[str, str]) -> Behaviour:
    """By `contacts` (what was set by hand), else by the suffix of a test recipient, else like any number."""
    if chat_id in contacts:
        return BEHAVIOURS[contacts[chat_id]]
    if chat_id.startswith(TEST_PREFIXES):
        return BEHAVIOURS.get(test_suffix(chat_id) or "", PLAIN)
    return PLAIN


def members(chat_id: str) -> tuple[str, ...]:
    """Lists the members of a test group besides the phone; empty for other chats."""
    if chat_id.endswith("@g.us") and (suffix := test_suffix(chat_id)):
        return tuple(f"120255502{suffix[-1]}{n}@c.us" for n in (1, 2, 3))
    return ()


def trouble_answer(trouble: Trouble, left_s: float) -> NetworkReply:
    """Answers a device that is in `trouble` for another `left_s`."""
    match trouble:
        case Trouble.NO_NEW_CHATS:
            detail = "WhatsApp lets this phone open no new chat for a while (463)."
            return NetworkReply(ReplyKind.WAIT, "new_chats_restricted", detail, left_s, Scope.NEW_CHATS)
        case Trouble.RESTRICTED:
            return NetworkReply(
                ReplyKind.WAIT, "restricted", "WhatsApp has restricted this phone.", left_s, Scope.PHONE
            )
        case Trouble.OFFLINE:
            return NetworkReply(ReplyKind.DOWN, "offline", "The phone is offline.", left_s)
        case Trouble.REPLACED:
            return NetworkReply(
                ReplyKind.DOWN, "replaced", "Another connection took this phone's place. Restart the phone."
            )
        case Trouble.LOGGED_OUT:
            return NetworkReply(ReplyKind.DOWN, "logged_out", "The phone was logged out. Restart it to connect again.")
