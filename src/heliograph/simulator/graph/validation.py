"""Validation of POST /{phone_number_id}/messages: as lenient as the published examples need."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from heliograph.simulator.graph.errors import GraphError, bad_parameter, fault

_NUMBER = re.compile(r"\+?[0-9]{5,17}", re.ASCII)
_LINK = re.compile(r"https?://[^\s/]+.*", re.ASCII)
_MEDIA = ("audio", "document", "image", "sticker", "video")
_CAPTIONED = ("document", "image", "video")
_INTERACTIVE = frozenset(
    {
        "button",
        "list",
        "product",
        "product_list",
        "catalog_message",
        "flow",
        "cta_url",
        "location_request_message",
        "address_message",
        "call_permission_request",
        "order_details",
        "order_status",
        "carousel",
        "voice_call",
    }
)
MAX_TEXT = 4_096
MAX_CAPTION = 1_024
MAX_TRACKER = 512

KnownMedia = Callable[[str], bool]


def recipient(body: Mapping[str, Any]) -> str:
    """Digits of `to`; empty if it is not a number."""
    to = body.get("to")
    return to.lstrip("+") if isinstance(to, str) and _NUMBER.fullmatch(to) else ""


def message_type(body: Mapping[str, Any]) -> str:
    """Reads the type: as given, else by the part that is there (published examples leave `type` out), else text."""
    return str(body.get("type") or next((kind for kind in _CHECKS if kind in body), "text"))


def link_of(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """(kind, link) of a file that is given by its URL."""
    kind = message_type(body)
    part = body.get(kind)
    link = part.get("link") if kind in _MEDIA and isinstance(part, dict) else None
    return (kind, link) if isinstance(link, str) else None


def check_message(body: Mapping[str, Any], known_media: KnownMedia) -> GraphError | None:
    """None: it would be taken."""
    if body.get("messaging_product") != "whatsapp":
        return bad_parameter("The parameter messaging_product is required and must be whatsapp.")
    if not recipient(body):
        return fault(131009, "Recipient is not a phone number.") if body.get("to") else bad_parameter("to is required.")
    if body.get("recipient_type", "individual") not in ("individual", "group"):
        return bad_parameter("recipient_type must be individual or group.")
    kind = message_type(body)
    checks = _CHECKS.get(kind)
    if checks is None:
        return bad_parameter(f"Param type must be one of {{{', '.join(sorted(_CHECKS)).upper()}}} - got {kind[:40]!r}.")
    context = body.get("context")
    if context is not None and not (isinstance(context, dict) and _filled(context.get("message_id"))):
        return bad_parameter("context.message_id must name a message.")
    tracker = body.get("biz_opaque_callback_data")
    if tracker is not None and not (isinstance(tracker, str) and len(tracker) <= MAX_TRACKER):
        return bad_parameter(f"biz_opaque_callback_data must be a string of at most {MAX_TRACKER} characters.")
    part = body.get(kind)
    if part is None:
        return fault(131008, f"{kind} is required.")
    return checks(kind, part, known_media)


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _text(_kind: str, part: Any, _known: KnownMedia) -> GraphError | None:
    if not isinstance(part, dict) or not _filled(part.get("body")):
        return fault(131008, "text.body is required.")
    return fault(131009, "text.body is too long.") if len(part["body"]) > MAX_TEXT else None


def _media(kind: str, part: Any, known: KnownMedia) -> GraphError | None:
    if not isinstance(part, dict):
        return bad_parameter(f"{kind} must be an object.")
    media_id, link = part.get("id"), part.get("link")
    if _filled(media_id) == _filled(link):
        return fault(131008, f"{kind} needs exactly one of id and link.")
    if _filled(link) and not _LINK.fullmatch(str(link)):
        return fault(131009, f"{kind}.link is not a URL.")
    if _filled(media_id) and not known(str(media_id)):
        return fault(131009, f"{kind}.id is not an uploaded file of this account.")
    caption = part.get("caption")
    if caption is not None and kind not in _CAPTIONED:
        return bad_parameter(f"{kind} takes no caption.")
    if isinstance(caption, str) and len(caption) > MAX_CAPTION:
        return fault(131009, f"{kind}.caption is too long.")
    return None


def _location(_kind: str, part: Any, _known: KnownMedia) -> GraphError | None:
    if not isinstance(part, dict):
        return bad_parameter("location must be an object.")
    try:
        latitude, longitude = float(part["latitude"]), float(part["longitude"])
    except (KeyError, TypeError, ValueError):
        return fault(131008, "location needs latitude and longitude.")
    inside = -90 <= latitude <= 90 and -180 <= longitude <= 180
    return None if inside else fault(131009, "location is not on this planet.")


def _reaction(_kind: str, part: Any, _known: KnownMedia) -> GraphError | None:
    ok = isinstance(part, dict) and _filled(part.get("message_id")) and isinstance(part.get("emoji"), str)
    return None if ok else fault(131008, "reaction needs message_id and emoji.")


def _contacts(_kind: str, part: Any, _known: KnownMedia) -> GraphError | None:
    if not isinstance(part, list) or not part:
        return fault(131008, "contacts must be a list with at least one contact.")
    for contact in part:
        name = contact.get("name") if isinstance(contact, dict) else None
        if not (isinstance(name, dict) and _filled(name.get("formatted_name"))):
            return fault(131008, "Each contact needs name.formatted_name.")
    return None


def _template(_kind: str, part: Any, _known: KnownMedia) -> GraphError | None:
    if not isinstance(part, dict) or not _filled(part.get("name")):
        return fault(131008, "template.name is required.")
    language = part.get("language")
    if not (isinstance(language, dict) and _filled(language.get("code"))):
        return fault(131008, "template.language.code is required.")
    if not isinstance(part.get("components", []), list):
        return bad_parameter("template.components must be a list.")
    return fault(132001, f"There is no template {part['name']!r}.") if part["name"] == "no_such_template" else None


def _interactive(_kind: str, part: Any, _known: KnownMedia) -> GraphError | None:
    if not isinstance(part, dict) or part.get("type") not in _INTERACTIVE:
        return fault(131009, "interactive.type is not known.")
    action = part.get("action")
    if not isinstance(action, dict):
        return fault(131008, "interactive.action is required.")
    buttons = action.get("buttons")
    if part["type"] == "button" and not (isinstance(buttons, list) and 1 <= len(buttons) <= 3):
        return fault(131009, "interactive.action.buttons must hold one to three buttons.")
    if part["type"] == "list" and not (isinstance(action.get("sections"), list) and action["sections"]):
        return fault(131009, "interactive.action.sections must not be empty.")
    return None


_CHECKS: dict[str, Callable[[str, Any, KnownMedia], GraphError | None]] = {
    "text": _text,
    **dict.fromkeys(_MEDIA, _media),
    "location": _location,
    "reaction": _reaction,
    "contacts": _contacts,
    "template": _template,
    "interactive": _interactive,
}
