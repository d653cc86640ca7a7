"""Webhooks in the sixteen published shapes and with all statuses, with fictional numbers."""

import json
from typing import Any

from heliograph.simulator.graph.webhooks import sign

PHONE = "100000000000001"
PERSON = "447700900321"
SECRET = "graph-test-app-secret"


def change(value: dict[str, Any], *, field: str = "messages", phone: str = PHONE) -> dict[str, Any]:
    metadata = {"display_phone_number": "447700900000", "phone_number_id": phone}
    return {"value": {"messaging_product": "whatsapp", "metadata": metadata, **value}, "field": field}


def payload(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"object": "whatsapp_business_account", "entry": [{"id": "200000000000001", "changes": list(changes)}]}


def raw(*changes: dict[str, Any]) -> bytes:
    return json.dumps(payload(*changes)).encode()


def signed(body: bytes, secret: str = SECRET) -> str:
    return sign(body, secret)


def status(name: str, *, wamid: str = "wamid.A", at: int = 1_763_000_000, **more: Any) -> dict[str, Any]:
    return {"id": wamid, "status": name, "timestamp": str(at), "recipient_id": PERSON, **more}


def message(kind: str, part: Any = None, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"from": PERSON, "id": f"wamid.{kind}", "timestamp": "1763000001", "type": kind, **more}
    if part is not None:
        said[kind] = part
    return said


def from_person(said: dict[str, Any]) -> dict[str, Any]:
    return change({"contacts": [{"profile": {"name": "Ada"}, "wa_id": PERSON}], "messages": [said]})


_CONTEXT = {"context": {"from": "447700900000", "id": "wamid.earlier"}}

# name → (change, expected inbound type, expected words); None: nothing for us in it
SHAPES: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "text": (from_person(message("text", {"body": "In green?"})), "chat", "In green?"),
    "text about a product": (
        from_person(
            message(
                "text",
                {"body": "Still there?"},
                context={"from": "447700900000", "id": "wamid.e", "referred_product": {"catalog_id": "1"}},
            )
        ),
        "chat",
        "Still there?",
    ),
    "text from an advertisement": (
        from_person(message("text", {"body": "Tell me more"}, referral={"source_type": "ad", "source_id": "7"})),
        "chat",
        "Tell me more",
    ),
    "reaction": (from_person(message("reaction", {"message_id": "wamid.e", "emoji": "👍"})), "reaction", "👍"),
    "image": (
        from_person(message("image", {"caption": "A hall", "mime_type": "image/jpeg", "sha256": "x", "id": "9"})),
        "image",
        "A hall",
    ),
    "location": (
        from_person(message("location", {"latitude": 51.5, "longitude": -0.1, "name": "Café"})),
        "location",
        "",
    ),
    "contact": (
        from_person(message("contacts", [{"name": {"formatted_name": "Grace"}, "phones": []}])),
        "vcard",
        "",
    ),
    "unsupported": (
        from_person(message("unsupported", None, errors=[{"code": 131051, "title": "Unknown"}])),
        "unsupported",
        "",
    ),
    "button of a template": (
        from_person(message("button", {"payload": "p", "text": "Unsubscribe"}, **_CONTEXT)),
        "button",
        "Unsubscribe",
    ),
    "choice of a list": (
        from_person(
            message(
                "interactive",
                {"type": "list_reply", "list_reply": {"id": "a", "title": "By air", "description": "2 days"}},
                **_CONTEXT,
            )
        ),
        "interactive",
        "By air",
    ),
    "choice of a button": (
        from_person(
            message("interactive", {"type": "button_reply", "button_reply": {"id": "c", "title": "Cancel"}}, **_CONTEXT)
        ),
        "interactive",
        "Cancel",
    ),
    "order": (
        from_person(message("order", {"catalog_id": "1", "text": "", "product_items": [{"quantity": 2}]})),
        "order",
        "",
    ),
    "system": (
        change({"messages": [message("system", {"body": "Ada changed her number", "type": "user_changed_number"})]}),
        "system",
        "Ada changed her number",
    ),
    "group created": (
        change({"groups": [{"type": "group_create", "group_id": "g"}]}, field="group_lifecycle_update"),
        None,
        "",
    ),
    "group settings": (
        change({"groups": [{"type": "group_settings_update", "group_id": "g"}]}, field="group_settings_update"),
        None,
        "",
    ),
    "group participants": (
        change({"groups": [{"removed_participants": []}]}, field="group_participants_update"),
        None,
        "",
    ),
}
