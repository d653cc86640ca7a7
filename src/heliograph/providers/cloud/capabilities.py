"""Limits of the Cloud API. They are checked at accept, so that a message that can never be sent is refused at once.

Source: Meta's pages on messages and on media, as of 2026-11.
"""

from types import MappingProxyType

from heliograph.domain.messages.chat import is_group, test_suffix
from heliograph.domain.messages.content import MEDIA_KINDS, Content, Kind
from heliograph.domain.messages.media_type import ANY
from heliograph.ports.provider import Capabilities

MAX_TEXT = 4_096
MAX_CAPTION = 1_024
_MB = 1024 * 1024

_AUDIO = frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"})
_TYPES: dict[Kind, frozenset[str]] = {
    Kind.IMAGE: frozenset({"image/jpeg", "image/png"}),
    Kind.VIDEO: frozenset({"video/mp4", "video/3gpp"}),
    Kind.AUDIO: _AUDIO,
    Kind.VOICE: frozenset({"audio/ogg"}),
    Kind.STICKER: frozenset({"image/webp"}),
}
_MAX_BYTES = MappingProxyType(
    {
        Kind.IMAGE: 5 * _MB,
        Kind.VIDEO: 16 * _MB,
        Kind.AUDIO: 16 * _MB,
        Kind.VOICE: 16 * _MB,
        Kind.DOCUMENT: 100 * _MB,
        Kind.STICKER: 500 * 1024,
    }
)

CAPABILITIES = Capabilities(
    kinds=frozenset(Kind) - {Kind.POLL},
    in_flight=64,
    groups=False,
    reply=True,
    typing=False,
    media_max_bytes=_MAX_BYTES,
)


def refusal(content: Content, chat_id: str) -> tuple[str, str] | None:
    """(field, reason) if the Cloud API can never send it; None if it may."""
    if is_group(chat_id):
        return "chat_id", "The Cloud API cannot write to WhatsApp groups: use a linked device for them."
    if test_suffix(chat_id):
        return (
            "chat_id",
            "This is a number of the simulator's test range: a phone of a real provider does not send to it.",
        )
    if content.type not in CAPABILITIES.kinds:
        return "poll", "The Cloud API has no polls: send an interactive message with buttons or a list instead."
    if content.type is Kind.TEXT and len(content.body) > MAX_TEXT:
        return (
            "message",
            f"The Cloud API takes texts of at most {MAX_TEXT:,} characters; this one has {len(content.body):,}.",
        )
    if content.type in MEDIA_KINDS:
        return _media_refusal(content)
    return None


def _media_refusal(content: Content) -> tuple[str, str] | None:
    media = content.media
    if media is None:
        return "media", "The file is missing."
    if len(content.body) > MAX_CAPTION:
        return "message", f"The Cloud API takes captions of at most {MAX_CAPTION:,} characters."
    if content.body and content.type in (Kind.AUDIO, Kind.VOICE, Kind.STICKER):
        return (
            "message",
            f"The Cloud API sends no text together with a file of type {content.type}: send it on its own.",
        )
    kind = bare_mimetype(media.mimetype)
    allowed = _TYPES.get(content.type)
    if allowed is not None and kind not in allowed and kind != ANY:
        return "mimetype", f"The Cloud API takes {', '.join(sorted(allowed))} here, not {kind}."
    if media.size > _MAX_BYTES[content.type]:
        limit = _MAX_BYTES[content.type]
        return "media", f"The Cloud API takes at most {limit:,} bytes here; this file has {media.size:,}."
    return None


def bare_mimetype(mimetype: str) -> str:
    """Without parameters, in the spelling that the Cloud API lists."""
    bare = mimetype.partition(";")[0].strip().lower()
    return {
        "image/jpg": "image/jpeg",
        "audio/mp3": "audio/mpeg",
        "audio/x-m4a": "audio/mp4",
        "audio/m4a": "audio/mp4",
    }.get(bare, bare)
