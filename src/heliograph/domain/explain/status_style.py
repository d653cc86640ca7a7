"""Style of a message's state: one word, one glyph and one tone, the same on pages and in the terminal.

Words and glyphs carry the meaning; the tone only repeats it. Source of the words: `states.shown_status`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatusStyle:
    """`tone`: mute, wait, info, ok, hold, uncertain or bad."""

    word: str
    glyph: str
    tone: str


LOOKS: dict[str, StatusStyle] = {
    "scheduled": StatusStyle("scheduled", "◷", "wait"),
    "queued": StatusStyle("waiting", "○", "mute"),
    "retrying": StatusStyle("retrying", "↻", "wait"),
    "sending": StatusStyle("sending", "→", "info"),
    "pending": StatusStyle("uncertain", "?", "uncertain"),
    "sent": StatusStyle("sent", "✓", "ok"),
    "delivered": StatusStyle("delivered", "✓✓", "ok"),
    "read": StatusStyle("read", "✓✓", "info"),
    "played": StatusStyle("played", "♪", "info"),
    "failed": StatusStyle("failed", "✗", "bad"),
    "cancelled": StatusStyle("cancelled", "–", "mute"),
    "expired": StatusStyle("expired", "–", "mute"),
}
PHONE_LOOKS: dict[str, StatusStyle] = {
    "connected": StatusStyle("connected", "✓", "ok"),
    "connecting": StatusStyle("connecting", "→", "info"),
    "offline": StatusStyle("offline", "✗", "bad"),
    "logged_out": StatusStyle("logged out", "✗", "bad"),
    "replaced": StatusStyle("replaced", "✗", "bad"),
    "restricted": StatusStyle("restricted", "‖", "hold"),
    "unauthorized": StatusStyle("unauthorized", "✗", "bad"),
    "paused": StatusStyle("paused", "‖", "hold"),
}
ENDED = frozenset({"failed", "cancelled", "expired"})
STATUS_ORDER = ("queued", "sending", "sent", "delivered", "read", "played")


def look(status: str) -> StatusStyle:
    return LOOKS.get(status, StatusStyle(status, "·", "mute"))


def phone_look(state: str) -> StatusStyle:
    return PHONE_LOOKS.get(state, StatusStyle(state.replace("_", " "), "·", "mute"))


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
