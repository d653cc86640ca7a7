"""A message as the Cloud API wants it: pure, one function a kind."""

from typing import Any

from heliograph.domain.messages.content import MEDIA_KINDS, Content, Kind
from heliograph.ports.provider import SendRequest

_WIRE_TYPES = {Kind.TEXT: "text", Kind.VOICE: "audio", Kind.CONTACT: "contacts"}
_CAPTIONED = frozenset({Kind.IMAGE, Kind.VIDEO, Kind.DOCUMENT})


def message_body(request: SendRequest, media: dict[str, str] | None) -> dict[str, Any]:
    """The JSON of POST /{phone_number_id}/messages. `media`: {"id": …} or {"link": …} for kinds with a file."""
    content = request.content
    kind = _WIRE_TYPES.get(content.type, str(content.type))
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": request.chat_id.partition("@")[0],
        "type": kind,
        "biz_opaque_callback_data": request.queue_id,
        kind: _part(content, media, request.quoted_id),
    }
    if request.quoted_id and content.type is not Kind.REACTION:
        body["context"] = {"message_id": request.quoted_id}
    return body


def _part(content: Content, media: dict[str, str] | None, quoted_id: str | None) -> Any:
    extra = content.extra or {}
    match content.type:
        case Kind.TEXT:
            return {"body": content.body, "preview_url": not content.hide_url_preview}
        case Kind.REACTION:
            return {"message_id": quoted_id or "", "emoji": extra.get("reaction", {}).get("emoji", "")}
        case Kind.CONTACT:
            return extra.get("contacts", [])
        case Kind.LOCATION | Kind.TEMPLATE | Kind.INTERACTIVE:
            return extra.get(content.type.value, {})
        case _:
            return _file(content, media or {})


def _file(content: Content, media: dict[str, str]) -> dict[str, Any]:
    assert content.type in MEDIA_KINDS
    part: dict[str, Any] = dict(media)
    if content.body and content.type in _CAPTIONED:
        part["caption"] = content.body
    if content.type is Kind.DOCUMENT and content.media and content.media.filename:
        part["filename"] = content.media.filename
    if content.type is Kind.VOICE:
        part["voice"] = True
    return part
