"""The fifty published shapes of POST /{phone_number_id}/messages. `MEDIA`: an uploaded file's id."""

from typing import Any

MEDIA = "<uploaded>"
TO = "+447700900123"
LINK = "https://files.example.org/a"
EARLIER = {"message_id": "wamid.earlier"}


def _shape(kind: str | None, part: Any = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": TO, **more}
    if kind is not None:
        body |= {"type": kind, kind: part}
    return body


def _template(*components: dict[str, Any], name: str = "order_update", language: str = "en_GB") -> dict[str, Any]:
    part: dict[str, Any] = {"name": name, "language": {"code": language}}
    return part | ({"components": list(components)} if components else {})


def _words(*texts: Any) -> dict[str, Any]:
    return {"type": "body", "parameters": [{"type": "text", "text": one} for one in texts]}


_PRICE = {"type": "currency", "currency": {"code": "EUR", "amount_1000": 12_500, "fallback_value": "€12.50"}}
_DATE = {"type": "date_time", "date_time": {"fallback_value": "1 May", "year": 2027, "month": 5, "day_of_month": 1}}
_BODY = {"type": "body", "parameters": [{"type": "text", "text": "Ada"}, _PRICE, _DATE]}
_HEADER = {"type": "header", "parameters": [{"type": "image", "image": {"link": LINK}}]}
_QUICK = [
    {
        "type": "button",
        "sub_type": "quick_reply",
        "index": str(n),
        "parameters": [{"type": "payload", "payload": f"p{n}"}],
    }
    for n in range(2)
]


def _ask(kind: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": kind, "body": {"text": "Please choose"}, "action": action, **more}


def _flow(**more: Any) -> dict[str, Any]:
    parameters = {
        "flow_message_version": "3",
        "flow_token": "t",
        "flow_cta": "Open",
        "flow_action": "navigate",
        "flow_action_payload": {"screen": "FIRST", "data": {"a": "b"}},
        **more,
    }
    return _ask("flow", {"name": "flow", "parameters": parameters}, header={"type": "text", "text": "A form"})


_LIST = _ask(
    "list",
    {"button": "Show", "sections": [{"title": "All", "rows": [{"id": "1", "title": "One", "description": "First"}]}]},
    header={"type": "text", "text": "Hello"},
    footer={"text": "Thanks"},
)
_CONTACT = [
    {
        "name": {"formatted_name": "Ada L.", "first_name": "Ada", "last_name": "L."},
        "phones": [{"phone": "+44 7700 900001", "type": "HOME", "wa_id": "447700900001"}],
        "emails": [{"email": "ada@example.org", "type": "WORK"}],
        "addresses": [{"street": "1 Some Street", "city": "London", "country_code": "gb", "type": "HOME"}],
        "org": {"company": "Engines", "department": "Notes", "title": "Countess"},
        "urls": [{"url": "https://example.org", "type": "WORK"}],
        "birthday": "1815-12-10",
    }
]
_PLACE = {"latitude": 51.4779, "longitude": -0.0015, "name": "Observatory", "address": "Greenwich"}
_ORDER = {
    "name": "review_and_pay",
    "parameters": {
        "reference_id": "r-1",
        "type": "digital-goods",
        "currency": "INR",
        "total_amount": {"value": 2_100, "offset": 100},
        "order": {"status": "pending", "items": [{"retailer_id": "7", "name": "tea", "quantity": 1}]},
    },
}
_CARD = {"text": "Card"}

SHAPES: dict[str, dict[str, Any]] = {
    "audio by id": _shape("audio", {"id": MEDIA}),
    "audio by url": _shape("audio", {"link": LINK}),
    "catalog": _shape("interactive", _ask("catalog_message", {"name": "catalog_message"})),
    "catalog template": _shape(
        "template",
        _template(
            _words("100", "400"),
            {
                "type": "button",
                "sub_type": "CATALOG",
                "index": 0,
                "parameters": [{"type": "action", "action": {"thumbnail_product_retailer_id": "7"}}],
            },
        ),
    ),
    "contact": _shape("contacts", _CONTACT),
    "document by id": _shape("document", {"id": MEDIA, "caption": "Terms", "filename": "terms.pdf"}),
    "document by url": _shape("document", {"link": LINK, "caption": "Terms"}),
    "draft flow by id": _shape("interactive", _flow(flow_id="1", mode="draft")),
    "draft flow by name": _shape("interactive", _flow(flow_name="form", mode="draft")),
    "flow template": {
        key: value
        for key, value in _shape(
            "template",
            _template(
                {
                    "type": "button",
                    "sub_type": "flow",
                    "index": "0",
                    "parameters": [{"type": "action", "action": {"flow_token": "t", "flow_action_data": {"a": "b"}}}],
                }
            ),
        ).items()
        if key != "recipient_type"
    },
    "image by id": _shape("image", {"id": MEDIA}),
    "image by url": _shape("image", {"link": LINK}),
    "list": _shape("interactive", _LIST),
    "location": _shape("location", _PLACE),
    "template with buttons": _shape("template", _template(_HEADER, _BODY, *_QUICK)),
    "template with media": _shape("template", _template(_HEADER, _BODY)),
    "template with text": _shape("template", _template(_BODY)),
    "several products": _shape(
        "interactive",
        _ask(
            "product_list",
            {"catalog_id": "1", "sections": [{"title": "Tea", "product_items": [{"product_retailer_id": "7"}]}]},
            header={"type": "text", "text": "Tea"},
        ),
    ),
    "order details": _shape("interactive", _ask("order_details", _ORDER)),
    "order status": _shape(
        "interactive",
        _ask(
            "order_status",
            {"name": "review_order", "parameters": {"reference_id": "r-1", "order": {"status": "processing"}}},
        ),
    ),
    "published flow by id": _shape("interactive", _flow(flow_id="1")),
    "published flow by name": _shape("interactive", _flow(flow_name="form")),
    "reply buttons": _shape(
        "interactive",
        _ask("button", {"buttons": [{"type": "reply", "reply": {"id": n, "title": f"No. {n}"}} for n in "12"]}),
    ),
    "answer: audio by id": _shape("audio", {"id": MEDIA}, context=EARLIER),
    "answer: audio by url": _shape("audio", {"link": LINK}, context=EARLIER),
    "answer: contact": _shape("contacts", _CONTACT, context=EARLIER),
    "answer: document by id": _shape("document", {"id": MEDIA, "filename": "t.pdf"}, context=EARLIER),
    "answer: document by url": _shape("document", {"link": LINK}, context=EARLIER),
    "answer: image by id": _shape("image", {"id": MEDIA}, context=EARLIER),
    "answer: image by url": _shape("image", {"link": LINK}, context=EARLIER),
    "answer: list, without its type": _shape(None, interactive=_LIST, context=EARLIER),
    "answer: location": _shape("location", _PLACE, context=EARLIER),
    "answer: sticker by id": _shape("sticker", {"id": MEDIA}, context=EARLIER),
    "answer: sticker by url": _shape("sticker", {"link": LINK}, context=EARLIER),
    "answer: text": _shape("text", {"body": "Yes", "preview_url": False}, context=EARLIER),
    "answer: video by id": _shape("video", {"id": MEDIA, "caption": "Look"}, context=EARLIER),
    "answer: video by url": _shape("video", {"link": LINK, "caption": "Look"}, context=EARLIER),
    "reaction": _shape("reaction", {"message_id": "wamid.earlier", "emoji": "😀"}),
    "template with answers that are not text": {
        key: value
        for key, value in _shape(
            "template",
            _template(
                _words("*Ms. L.*"),
                {
                    "type": "button",
                    "sub_type": "quick_reply",
                    "index": 0,
                    "parameters": [{"type": "text", "text": True}],
                },
            )
            | {"language": {"code": "en_US", "policy": "deterministic"}},
        ).items()
        if key != "recipient_type"
    },
    "template of a shipping note": _shape("template", _template(_BODY, name="shipping")),
    "template of a text": _shape("template", _template(_BODY, name="sample_text", language="de")),
    "one product": _shape(
        "interactive",
        {"type": "product", "action": {"catalog_id": "1", "product_retailer_id": "7"}, "footer": _CARD},
    ),
    "sticker by id": _shape("sticker", {"id": MEDIA}),
    "sticker by url": _shape("sticker", {"link": LINK}),
    "template without variables": {
        "messaging_product": "whatsapp",
        "to": TO,
        "type": "template",
        "template": _template(name="hello_world"),
    },
    "text": _shape("text", {"body": "Hello", "preview_url": False}),
    "text without its type": {
        "messaging_product": "whatsapp",
        "to": TO,
        "text": {"body": "See https://example.org", "preview_url": True},
    },
    "video by id": _shape("video", {"id": MEDIA, "caption": "Look"}),
    "video by url": _shape("video", {"link": LINK, "caption": "Look"}),
    "typing and read": {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.earlier",
        "typing_indicator": {"type": "text"},
    },
}


def filled(value: Any, media_id: str) -> Any:
    """Fills in the id of a real file."""
    if isinstance(value, dict):
        return {key: filled(one, media_id) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, media_id) for one in value]
    return media_id if value == MEDIA else value
