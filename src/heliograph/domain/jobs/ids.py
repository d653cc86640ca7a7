"""The ids of a message, all derived from one integer.

A job has one stored key: a 63-bit integer, made in Python and ordered by time. `queue_id` (UUID v4 form), `unique_id`
(`3EB0` + 18 hex, WhatsApp's own form) and `message_id` are pure functions of it (and of the message's chat and author),
and can be read back to it. So a look-up by any of them is one search in the primary key, and no secondary index is paid
for (ADR 0003).

Source: contract section 1, "Id formats"; architecture, "Ids".
"""

import secrets
import string
import threading
import uuid
from collections.abc import Callable
from typing import NewType

from heliograph.domain.messages.chat import is_group

JobId = NewType("JobId", int)

_EPOCH_US = 1_704_067_200_000_000  # 2024-01-01: 51 bits of microseconds last until 2095
_LOW_BITS = 12
_LAST_US = (1 << 51) - 1  # a later time gets the greatest keys: a key always fits into 63 bits
_MASK_72 = (1 << 72) - 1
_MASK_50 = (1 << 50) - 1
# odd constants: multiplication modulo 2^72 can be undone, and spreads neighbouring keys over the whole range
_SPREAD = 0x9E3779B97F4A7C15F5
_UNSPREAD = pow(_SPREAD, -1, 1 << 72)
_TAIL = 0xD1B54A32D192ED03B7
_VERSION_4 = 0x4 << 76
_VARIANT = 0x2 << 62


class JobIds:
    """Makes job keys: rising within a process; two processes differ by 12 random bits within one microsecond.

    A clash between processes is refused by the primary key, and the caller asks for another.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._last = 0
        self._dice = bytearray()
        self._lock = threading.Lock()

    def make(self) -> JobId:
        with self._lock:
            if not self._dice:
                self._dice = bytearray(secrets.token_bytes(512))  # one system call for many keys
            low = (self._dice.pop() << 8 | self._dice.pop()) & ((1 << _LOW_BITS) - 1)
            fresh = (min(max(self._now_us() - _EPOCH_US, 0), _LAST_US) << _LOW_BITS) | low
            self._last = fresh if fresh > self._last else self._last + 1
            return JobId(self._last)


def _spread(job_id: int) -> int:
    mixed = (job_id * _SPREAD) & _MASK_72
    mixed ^= mixed >> 36
    return (mixed * _SPREAD) & _MASK_72


def _unspread(mixed: int) -> int | None:
    value = (mixed * _UNSPREAD) & _MASK_72
    value ^= value >> 36
    value = (value * _UNSPREAD) & _MASK_72
    return value if value < 1 << 63 else None


def unique_id(job_id: JobId) -> str:
    """`3EB0` + 18 upper-case hex: the WhatsApp message key, fixed before the first attempt."""
    return f"3EB0{_spread(job_id):018X}"


def queue_id(job_id: JobId) -> str:
    """A UUID in version 4 form, valid for the message's whole life."""
    high = _spread(job_id)
    body = (high << 50) | (((high * _TAIL) >> 11) & _MASK_50)  # 122 bits; the tail is a check on the head
    # version and variant take 4 and 2 of the 128 bits
    number = ((body >> 74) << 80) | _VERSION_4 | (((body >> 62) & 0xFFF) << 64) | _VARIANT | (body & ((1 << 62) - 1))
    text = f"{number:032x}"  # a UUID object would cost several times as much
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def message_id(chat_id: str, key: str, author: str | None, *, from_me: bool = True) -> str:
    """`true_<chat_id>_<key>`, `false_…` of what a person wrote; for groups `_<author>` at the end.

    `key`: the network's id of the message, or ours (`unique_id`) until it has one of its own.
    """
    tail = f"_{author}" if author and is_group(chat_id) else ""
    return f"{'true' if from_me else 'false'}_{chat_id}_{key}{tail}"


def _from_unique(text: str) -> JobId | None:
    if len(text) != 22 or not text.startswith("3EB0") or any(c not in string.hexdigits for c in text):
        return None
    found = _unspread(int(text[4:], 16))
    return None if found is None else JobId(found)


def _from_queue(text: str) -> JobId | None:
    try:
        number = uuid.UUID(text).int
    except ValueError:
        return None
    body = ((number >> 80) << 74) | (((number >> 64) & 0xFFF) << 62) | (number & ((1 << 62) - 1))
    found = _unspread(body >> 50)
    if found is None or queue_id(JobId(found)) != text.lower():
        return None
    return JobId(found)


def parse_job_id(text: str) -> JobId | None:
    """The key behind a queue_id, unique_id or message_id that this gateway made; None for any other text.

    None does not mean "no such message": a provider's own id is kept as an alias (the store looks there next).
    """
    if text.startswith(("true_", "false_")):
        bare = bare_message_id(text)
        return _from_unique(bare.upper()) if text.startswith("true_") else None
    return _from_unique(text.upper()) if len(text) == 22 else _from_queue(text) if len(text) == 36 else None


def bare_message_id(text: str) -> str:
    """The network's key inside a message_id `true_<chat>_<key>[_<author>]`; the text itself if it has no such form."""
    parts = _parts(text)
    return text if parts is None else parts[2]


def may_name(text: str, chat_id: str, author: str | None, *, from_me: bool = True) -> bool:
    """False: a message_id that says other than this of whose the message is and where. It may leave out the author."""
    parts = _parts(text)
    if parts is None:
        return True
    whose, chat, _, by = parts
    return (whose == "true") is from_me and chat == chat_id and (by is None or (by == author and is_group(chat)))


def _parts(text: str) -> tuple[str, str, str, str | None] | None:
    """`true` or `false`, chat, key, author. A key may hold underscores; an author never does, and always an `@`."""
    parts = text.split("_", 2)
    if len(parts) < 3 or parts[0] not in ("true", "false"):
        return None
    whose, chat, rest = parts
    key, _, author = rest.rpartition("_")
    return (whose, chat, key, author) if key and "@" in author else (whose, chat, rest, None)


def new_phone_id() -> str:
    """`phone-` + 16 lower-case letters."""
    return "phone-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def new_uuid() -> str:
    return str(uuid.uuid4())
