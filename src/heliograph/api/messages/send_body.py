"""The body of POST /v1/message/send, decoded and checked into a `Content`.

Unknown keys are ignored, as newer clients send some. Keys of an error's `fields` are bare names.
Source: contract 2.1 and 6.17; the seeds.
"""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from heliograph.api.http.actor import By
from heliograph.api.messages import extensions
from heliograph.api.messages.extensions import ContactBody, Interactive, LocationBody, ReactionBody, TemplateBody
from heliograph.api.messages.send_options import PRIORITIES
from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.messages.content import MAX_TEXT, Content, Kind, Media, Poll
from heliograph.domain.messages.media_type import ANY, is_mimetype

MAX_POLL_NAME = 255
MAX_POLL_OPTION = 100
MAX_POLL_OPTIONS = 12
MAX_FILENAME = 255
MAX_POLL_ID = 300
MAX_URL = 2048

MEDIA_TYPES = {
    "document": Kind.DOCUMENT,
    "image": Kind.IMAGE,
    "video": Kind.VIDEO,
    "audio": Kind.AUDIO,
    "ptt": Kind.VOICE,
    "voice": Kind.VOICE,
    "sticker": Kind.STICKER,
}

Filedata = Annotated[
    msgspec.Raw,
    Meta(
        extra_json_schema={
            "type": "string",
            "contentEncoding": "base64",
            "description": "The file in base64, or as a data URI. Either this or url.",
        }
    ),
]


PriorityName = Annotated[
    str | None,
    Meta(
        description="Normal if it is left out. A bulk message to a chat on the suppression list is refused",
        extra_json_schema={"enum": [*PRIORITIES, None]},
    ),
]
TtlSeconds = Annotated[
    float | None, Meta(description="Ends the message instead of sending it later than so many seconds from now")
]
ExpiresAt = Annotated[str | None, Meta(description="Ends the message instead of sending it after this time (ISO, UTC)")]


class MediaBody(msgspec.Struct):
    type: Annotated[str, Meta(extra_json_schema={"enum": list(MEDIA_TYPES)})]
    url: str | None = None
    filedata: Filedata = msgspec.field(default_factory=msgspec.Raw)
    filename: str | None = None
    mimetype: str | None = None


class PollOptions(msgspec.Struct):
    allowMultipleAnswers: bool = False
    pollId: str | None = None


class PollBody(msgspec.Struct):
    pollName: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_POLL_NAME})]
    pollOptions: Annotated[
        list[str], Meta(extra_json_schema={"minItems": 2, "maxItems": MAX_POLL_OPTIONS, "uniqueItems": True})
    ]
    options: PollOptions | None = None


class SendOptions(msgspec.Struct):
    hide_url_preview: bool | None = None


class SendBody(msgspec.Struct):
    """At least one of message, media and poll, or one of location, contacts, reaction, template and interactive."""

    chat_id: Annotated[
        str, Meta(description="Country code and number, with or without @c.us, or a group id ending in @g.us")
    ]
    message: Annotated[str | None, Meta(extra_json_schema={"maxLength": MAX_TEXT})] = None
    media: MediaBody | None = None
    poll: PollBody | None = None
    reply_to: Annotated[
        str | None,
        Meta(description="The message that is answered, by any of its ids: one that this phone sent or received"),
    ] = None
    options: SendOptions | None = None
    location: LocationBody | None = None
    contacts: list[ContactBody] | None = None
    reaction: ReactionBody | None = None
    template: TemplateBody | None = None
    interactive: Interactive | None = None
    priority: PriorityName = None
    ttl_seconds: TtlSeconds = None
    expires_at: ExpiresAt = None
    by: By = None


class MessageFields(Protocol):
    """The fields of every body that holds a message."""

    message: str | None
    media: MediaBody | None
    poll: PollBody | None
    reply_to: str | None
    options: SendOptions | None


EXTENSIONS: dict[str, Callable[[Any], Content]] = {
    "location": extensions.location,
    "contacts": extensions.contacts,
    "reaction": extensions.reaction,
    "template": extensions.template,
    "interactive": extensions.interactive,
}


def content_of(body: MessageFields) -> Content:
    """Returns the message without the bytes of its file, which `base64_media.store_file` stores. Raises Invalid."""
    text = body.message or ""
    if len(text) > MAX_TEXT:
        raise invalid("message", f"message may have at most {MAX_TEXT} characters, this one has {len(text)}")
    if given := [name for name in EXTENSIONS if getattr(body, name, None) is not None]:
        return _extension(body, given)
    kind = Kind.TEXT
    media: Media | None = None
    poll: Poll | None = None
    if body.media is not None:
        if body.poll is not None:
            raise invalid("poll", "A message holds either media or a poll, not both")
        kind, media = _media(body.media)
    elif body.poll is not None:
        kind, poll = Kind.POLL, _poll(body.poll)
    elif not text:
        raise _nothing_to_send()
    return Content(
        type=kind,
        body=text,
        media=media,
        poll=poll,
        reply_to=_reply_to(body.reply_to),
        hide_url_preview=body.options is not None and bool(body.options.hide_url_preview),
    )


def _extension(body: MessageFields, given: list[str]) -> Content:
    """Reads an extension, which stands alone: no text, file, poll or other extension beside it."""
    first = given[0]
    content = EXTENSIONS[first](getattr(body, first))
    if others := [name for name in ("message", "media", "poll") if getattr(body, name)] + given[1:]:
        raise invalid(others[0], f"A {first} is a message of its own: send {others[0]} in another")
    return content if content.reply_to else msgspec.structs.replace(content, reply_to=_reply_to(body.reply_to))


def _nothing_to_send() -> Invalid:
    message = "Invalid body. At least one of the following keys are required: message, media, poll"
    return Invalid(message, fields={"message": {"message": "message, media or poll is missing", "value": None}})


def _reply_to(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) > extensions.MAX_ID:
        raise invalid("reply_to", "reply_to must be the message_id of a message")
    return text


def _media(body: MediaBody) -> tuple[Kind, Media]:
    kind = MEDIA_TYPES.get(body.type)
    if kind is None:
        raise invalid("type", f"media.type must be one of {', '.join(MEDIA_TYPES)}", body.type)
    has_data = has_filedata(body)
    if body.url and has_data:
        raise invalid("media", "media must have either url or filedata, not both")
    if not body.url and not has_data:
        raise invalid("media", "media must have url or filedata")
    if body.url and len(body.url) > MAX_URL:
        raise invalid("url", f"media.url may have at most {MAX_URL} characters")
    if body.mimetype is not None and not is_mimetype(body.mimetype):
        raise invalid("mimetype", "media.mimetype must be a type such as image/png", body.mimetype)
    filename = body.filename or ""
    if len(filename) > MAX_FILENAME or not filename.isprintable():
        raise invalid("filename", f"media.filename may have at most {MAX_FILENAME} printable characters")
    return kind, Media(mimetype=body.mimetype or ANY, filename=filename, url=body.url or None)


def has_filedata(body: MediaBody) -> bool:
    return bytes(memoryview(body.filedata)[:5]) not in (b"", b"null", b'""')


def _poll(body: PollBody) -> Poll:
    if not body.pollName.strip() or len(body.pollName) > MAX_POLL_NAME:
        raise invalid("pollName", f"poll.pollName must have 1 to {MAX_POLL_NAME} characters")
    options = body.pollOptions
    if not 2 <= len(options) <= MAX_POLL_OPTIONS:
        raise invalid("pollOptions", f"poll.pollOptions must hold 2 to {MAX_POLL_OPTIONS} options")
    if any(not option.strip() or len(option) > MAX_POLL_OPTION for option in options):
        raise invalid("pollOptions", f"Each of poll.pollOptions must have 1 to {MAX_POLL_OPTION} characters")
    if len({option.strip() for option in options}) < len(options):
        raise invalid("pollOptions", "poll.pollOptions must not name the same option twice")
    chosen = body.options or PollOptions()
    if chosen.pollId is not None and len(chosen.pollId) > MAX_POLL_ID:
        raise invalid("pollId", f"poll.options.pollId may have at most {MAX_POLL_ID} characters")
    return Poll(
        name=body.pollName,
        options=tuple(options),
        allow_multiple_answers=chosen.allowMultipleAnswers,
        poll_id=chosen.pollId,
    )
