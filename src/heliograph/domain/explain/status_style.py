"""How a message's state looks: one word, one glyph and one tone, the same on pages and in the terminal.

Words and glyphs carry the meaning; the tone only repeats it. Source of the words: `states.shown_status`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """`tone`: mute, wait, info, ok, hold, uncertain or bad."""

    word: str
    glyph: str
    tone: str


LOOKS: dict[str, Look] = {
    "scheduled": Look("scheduled", "◷", "wait"),
    "queued": Look("waiting", "○", "mute"),
    "retrying": Look("retrying", "↻", "wait"),
    "sending": Look("sending", "→", "info"),
    "pending": Look("uncertain", "?", "uncertain"),
    "sent": Look("sent", "✓", "ok"),
    "delivered": Look("delivered", "✓✓", "ok"),
    "read": Look("read", "✓✓", "info"),
    "played": Look("played", "♪", "info"),
    "failed": Look("failed", "✗", "bad"),
    "cancelled": Look("cancelled", "–", "mute"),
    "expired": Look("expired", "–", "mute"),
}
PHONE_LOOKS: dict[str, Look] = {
    "connected": Look("connected", "✓", "ok"),
    "connecting": Look("connecting", "→", "info"),
    "offline": Look("offline", "✗", "bad"),
    "logged_out": Look("logged out", "✗", "bad"),
    "replaced": Look("replaced", "✗", "bad"),
    "restricted": Look("restricted", "‖", "hold"),
    "unauthorized": Look("unauthorized", "✗", "bad"),
    "paused": Look("paused", "‖", "hold"),
}
ENDED = frozenset({"failed", "cancelled", "expired"})
LADDER = ("queued", "sending", "sent", "delivered", "read", "played")


def look(status: str) -> Look:
    return LOOKS.get(status, Look(status, "·", "mute"))


def phone_look(state: str) -> Look:
    return PHONE_LOOKS.get(state, Look(state.replace("_", " "), "·", "mute"))


def listed_status(status: str, *, stamps: frozenset[str], attempts: int) -> str:
    """A state of the queue list refined to a word of LOOKS, by the stamps of its timeline.

    >>> listed_status("sent", stamps=frozenset({"read_at"}), attempts=1)
    'read'
    """
    if status == "sent":
        return "read" if "read_at" in stamps else "delivered" if "delivered_at" in stamps else "sent"
    if status == "failed":
        return "cancelled" if "cancelled_at" in stamps else "expired" if "expired_at" in stamps else "failed"
    return "retrying" if status == "queued" and attempts else status


def shown_number(chat_or_number: str) -> str:
    """A number as people write it, in groups; a group's id as it is.

    >>> shown_number("919876543210@c.us")
    '+91 98765 43210'
    """
    digits = chat_or_number.removesuffix("@c.us")
    if not digits.isdigit():
        return chat_or_number
    import phonenumbers

    try:
        parsed = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return "+" + digits
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
