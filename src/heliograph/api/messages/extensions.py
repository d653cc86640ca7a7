"""Message kinds beyond the contract, as fields of the send body: location, contacts, reaction, template, interactive.

A template and an interactive go to WhatsApp's Cloud API unchanged; only their frame is checked here.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from heliograph.domain.errors import invalid
from heliograph.domain.messages.content import Content, Kind

MAX_ID = 300
MAX_NAME = 1_000
MAX_EMOJI = 32
MAX_CONTACTS = 50
MAX_JSON_BYTES = 65_536
_INTERACTIVE = "https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages"


class LocationBody(msgspec.Struct, omit_defaults=True):
    latitude: Annotated[float, Meta(extra_json_schema={"minimum": -90, "maximum": 90})]
    longitude: Annotated[float, Meta(extra_json_schema={"minimum": -180, "maximum": 180})]
    name: str | None = None
    address: str | None = None


class ContactPhone(msgspec.Struct, omit_defaults=True):
    phone: str
    type: str | None = None
    wa_id: str | None = None


class ContactBody(msgspec.Struct, omit_defaults=True):
    """A contact card. `name` is the displayed name."""

    name: str
    phones: list[ContactPhone] = []
    organisation: str | None = None


class ReactionBody(msgspec.Struct):
    """An empty emoji takes the reaction back."""

    message_id: str
    emoji: Annotated[str, Meta(extra_json_schema={"maxLength": MAX_EMOJI})]


class TemplateBody(msgspec.Struct, omit_defaults=True):
    """An approved template of the WhatsApp Business account. `components` fill its variables."""

    name: str
    language: Annotated[str, Meta(description="Such as en_US")]
    components: list[dict[str, Any]] = []


Interactive = Annotated[
    dict[str, Any],
    Meta(description=f"Buttons, a list, a flow …: WhatsApp's own `interactive` object, see {_INTERACTIVE}"),
]


def location(body: LocationBody) -> Content:
    if not -90 <= body.latitude <= 90:
        raise invalid("latitude", "location.latitude must be between -90 and 90", body.latitude)
    if not -180 <= body.longitude <= 180:
        raise invalid("longitude", "location.longitude must be between -180 and 180", body.longitude)
    _check_length(body.name, "name")
    _check_length(body.address, "address")
    part = {key: value for key, value in msgspec.to_builtins(body).items() if value is not None}
    return Content(Kind.LOCATION, body.name or "", extra={"location": part})


def contacts(bodies: list[ContactBody]) -> Content:
    if not 1 <= len(bodies) <= MAX_CONTACTS:
        raise invalid("contacts", f"contacts must hold 1 to {MAX_CONTACTS} contacts")
    return Content(Kind.CONTACT, bodies[0].name, extra={"contacts": [_contact(body) for body in bodies]})


def _contact(body: ContactBody) -> dict[str, Any]:
    if not body.name.strip():
        raise invalid("name", "Each of contacts needs a name")
    _check_length(body.name, "name")
    phones = [msgspec.to_builtins(phone) for phone in body.phones]
    company = {"org": {"company": body.organisation}} if body.organisation else {}
    return {"name": {"formatted_name": body.name, "first_name": body.name}, "phones": phones, **company}


def reaction(body: ReactionBody) -> Content:
    if not body.message_id or len(body.message_id) > MAX_ID:
        raise invalid("message_id", "reaction.message_id must name the message it is for")
    if len(body.emoji) > MAX_EMOJI:
        raise invalid("emoji", "reaction.emoji must be one emoji, or empty to take the reaction back")
    return Content(Kind.REACTION, body.emoji, reply_to=body.message_id, extra={"reaction": {"emoji": body.emoji}})


def template(body: TemplateBody) -> Content:
    if not body.name.strip() or len(body.name) > MAX_NAME:
        raise invalid("name", "template.name must name an approved template")
    if not body.language.strip() or len(body.language) > 20:
        raise invalid("language", "template.language must be a code such as en_US")
    part: dict[str, Any] = {"name": body.name, "language": {"code": body.language}}
    if body.components:
        part["components"] = body.components
    _check_size(part, "template")
    return Content(Kind.TEMPLATE, f"[{body.name}]", extra={"template": part})


def interactive(body: dict[str, Any]) -> Content:
    if not isinstance(body.get("type"), str) or not isinstance(body.get("action"), dict):
        raise invalid("interactive", "interactive needs a type and an action")
    _check_size(body, "interactive")
    part = body.get("body")
    text = part.get("text") if isinstance(part, dict) else None
    return Content(Kind.INTERACTIVE, text if isinstance(text, str) else "", extra={"interactive": body})


def _check_length(text: str | None, field: str) -> None:
    if text is not None and len(text) > MAX_NAME:
        raise invalid(field, f"{field} may have at most {MAX_NAME} characters")


def _check_size(part: dict[str, Any], field: str) -> None:
    if len(msgspec.json.encode(part)) > MAX_JSON_BYTES:
        raise invalid(field, f"{field} may have at most {MAX_JSON_BYTES} bytes")
