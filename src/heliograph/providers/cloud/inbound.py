"""Messages that people write to the phone, brought to the form all providers share."""

from collections.abc import Mapping
from typing import Any

from heliograph.ports.provider import Inbound

_TYPES = {"text": "chat", "contacts": "vcard", "voice": "ptt"}


def inbound_of(message: Mapping[str, Any], received_at_us: int) -> Inbound | None:
    """None if it has no id or sender: such an entry can be neither kept once nor answered."""
    wamid, sender = message.get("id"), message.get("from")
    if not (isinstance(wamid, str) and wamid and isinstance(sender, str) and sender.isascii() and sender.isdigit()):
        return None
    kind = str(message.get("type", "unsupported"))
    part = message.get(kind)
    person = f"{sender}@c.us"
    return Inbound(
        message_id=wamid,
        chat_id=person,
        author=person,
        at_us=stamp_us(message.get("timestamp"), received_at_us),
        type="ptt" if kind == "audio" and isinstance(part, dict) and part.get("voice") else _TYPES.get(kind, kind),
        body=_words(kind, part),
        raw=dict(message),
    )


def _words(kind: str, part: object) -> str:
    """Gives the person's words, so that STOP words are seen in texts, captions and buttons alike."""
    if not isinstance(part, dict):
        return ""
    if kind == "interactive":
        chosen: dict[str, Any] = next(
            (part[name] for name in ("button_reply", "list_reply") if isinstance(part.get(name), dict)), {}
        )
        return str(chosen.get("title", ""))
    for name in ("body", "caption", "text", "emoji"):
        if isinstance(part.get(name), str) and part[name]:
            return str(part[name])
    return ""


def stamp_us(text: object, received_at_us: int) -> int:
    """WhatsApp's whole seconds in microseconds: the end of that second, but not after we heard of it.

    The beginning of the second would lie before the message was sent. Without a stamp: when we heard of it.
    """
    number = str(text)
    if not (number.isascii() and number.isdigit() and len(number) <= 11):
        return received_at_us
    second = int(number) * 1_000_000
    return min(second + 999_999, max(received_at_us, second))
