"""Content of a message: one frozen value for all kinds, as it is stored and as providers receive it.

`parse_content` in `api` makes these from the wire; nothing further down sees an unchecked message.
"""

from enum import StrEnum
from typing import Any

import msgspec

MAX_TEXT = 65_536


class Kind(StrEnum):
    """`message_type` on the wire. Source: contract 3.1. The last four are extensions."""

    TEXT = "chat"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "ptt"
    DOCUMENT = "document"
    STICKER = "sticker"
    POLL = "poll_creation"
    LOCATION = "location"
    CONTACT = "vcard"
    REACTION = "reaction"
    TEMPLATE = "template"
    INTERACTIVE = "interactive"


MEDIA_KINDS = frozenset({Kind.IMAGE, Kind.VIDEO, Kind.AUDIO, Kind.VOICE, Kind.DOCUMENT, Kind.STICKER})


class Media(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A file. `sha256` names its bytes in the media folder; until they are fetched only `url` is known."""

    mimetype: str
    filename: str = ""
    size: int = 0
    sha256: str | None = None
    url: str | None = None


class Poll(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    name: str
    options: tuple[str, ...]
    allow_multiple_answers: bool = False
    poll_id: str | None = None


class Content(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`body` is text or caption. `reply_to` is the id of the quoted message as the caller gave it.

    `extra` holds what only some providers send, already checked, under its own name: {"location": {…}},
    {"contacts": […]}, {"reaction": {"emoji": …}} (`reply_to` is the message it is for), {"template": {…}} or
    {"interactive": {…}}.
    """

    type: Kind
    body: str = ""
    media: Media | None = None
    poll: Poll | None = None
    reply_to: str | None = None
    hide_url_preview: bool = False
    extra: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Content)


def encode_content(content: Content) -> str:
    return _encoder.encode(content).decode()


def decode_content(text: str) -> Content:
    return _decoder.decode(text)
