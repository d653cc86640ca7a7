"""/openapi.json: OpenAPI 3.1, made from the declarations of the routes.

Every schema comes from the type that decodes or encodes; a test compares the routes with the page.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from heliograph.api.http.errors import ErrorBody, from_status
from heliograph.api.http.idempotency import FIELD, MAX_KEY
from heliograph.api.http.route import JSON, PhoneHeader, RouteSpec

REF = "#/components/schemas/{name}"
ALWAYS = (401, 413, 429, 500, 503)  # on every path, as every path reads a body up to the limit

_WHY = {
    400: "The body is not JSON.",
    401: "The key is missing, unknown or revoked.",
    404: "There is no such message or phone in this organisation.",
    405: "The path does not take this method.",
    409: "Not possible as things stand.",
    413: "The body is too large.",
    415: "The body is not plain JSON: another content type, or compressed.",
    422: "The request is well-formed but not acceptable; `fields` names what is wrong.",
    429: "Too many requests in this second; see Retry-After.",
    500: "A defect of the gateway.",
    503: "The store cannot be reached now; the same request may be sent again after Retry-After.",
}
_EXAMPLE_ERROR = {
    "code": "VALIDATION_ERROR",
    "name": "Validation Error",
    "status": 422,
    "message": "chat_id is missing",
    "fields": {"chat_id": {"message": "chat_id is missing", "value": None}},
}
_DESCRIPTION = """A self-hosted gateway that sends WhatsApp messages: on disk before it says yes, in order, once.

Authenticate with `Authorization: Bearer <key>`. Say which phone sends by the header `x-phone` (number or phone_id);
it may be left out when the organisation has one phone, and in a message to a group that only one of its phones has sent
to or heard from. A 200 on a send means that the message is committed to disk."""

_PHONE = "Number (digits, country code first) or phone_id. May be left out if there is one phone."


def route_specs(handlers: Iterable[HTTPRouteHandler]) -> list[RouteSpec]:
    found = [handler.opt["about"] for handler in handlers if "about" in handler.opt]
    return sorted(found, key=lambda about: (about.tag, about.path, about.method))


def document(handlers: Iterable[HTTPRouteHandler], *, version: str, server: str = "/v1") -> dict[str, Any]:
    """Builds the whole description."""
    said = route_specs(handlers)
    kinds = [kind for about in said for kind in (about.body, about.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components([*kinds, ErrorBody], ref_template=REF)
    found = {repr(kind): schema for kind, schema in zip([*kinds, ErrorBody], schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for about in said:
        paths.setdefault(about.path, {})[about.method.lower()] = _operation(about, found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Heliograph",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(about.tag for about in said)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key made by `heliograph keys create`."}
            },
        },
    }


def _operation(about: RouteSpec, schemas: dict[str, Any]) -> dict[str, Any]:
    errors = {*about.errors, *ALWAYS, 422}
    operation: dict[str, Any] = {
        "operationId": f"{about.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', about.path.lower()).strip('_')}",
        "summary": about.summary,
        "tags": [about.tag],
        "parameters": _parameters(about),
    }
    if about.description:
        operation["description"] = about.description
    if about.phone is not PhoneHeader.NONE:
        errors.add(404)
    if about.body is not None:
        errors |= {400, 415}
        content: dict[str, Any] = {"schema": schemas[repr(about.body)]}
        if about.example is not None:
            content["example"] = about.example
        operation["requestBody"] = {"required": _needs_body(about.body), "content": {JSON: content}}
    operation["responses"] = {
        str(about.status): _success(about, schemas),
        **{str(status): _error(status) for status in sorted(errors)},
    }
    return operation


def _needs_body(kind: Any) -> bool:
    return any(field.required for field in msgspec.structs.fields(kind))


def _parameters(about: RouteSpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", about.path)
    ]
    for query in about.query:
        schema: dict[str, Any] = {"type": query.kind}
        schema |= {} if query.least is None else {"minimum": query.least}
        schema |= {} if query.most is None else {"maximum": query.most}
        found.append({"name": query.name, "in": "query", "description": query.about, "schema": schema})
    if about.phone is not PhoneHeader.NONE:
        found.append(_phone_header(about.phone))
    if about.idempotent:
        text = "The same key and request within 24 h is the same thing made once, with the same answer."
        schema = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
        found.append({"name": FIELD, "in": "header", "description": text, "schema": schema})
    return found


def _phone_header(use: PhoneHeader) -> dict[str, Any]:
    text = {
        PhoneHeader.REQUIRED: _PHONE,
        PhoneHeader.OF_CHAT: f"{_PHONE[:-1]}, and for a group that only one of the phones has sent to or heard from.",
        PhoneHeader.OPTIONAL: "Number or phone_id. Without it: the whole organisation.",
        PhoneHeader.NONE: "",
    }[use]
    return {"name": "x-phone", "in": "header", "description": text, "schema": {"type": "string"}}


def _success(about: RouteSpec, schemas: dict[str, Any]) -> dict[str, Any]:
    names = [
        "X-Periskope-Trace-Id",
        "X-Periskope-Org-Id",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ]
    if about.phone is not PhoneHeader.NONE:
        names.append("X-Periskope-Phone-Id")
    if about.idempotent:
        names.append("Idempotent-Replayed")
    answer: dict[str, Any] = {
        "description": "Done." if about.answer is None else about.summary,
        "headers": {name: {"schema": {"type": "string"}} for name in names},
    }
    if about.answer is not None:
        content = {"schema": schemas[repr(about.answer)]}
        if about.example_answer is not None:
            content["example"] = about.example_answer
        answer["content"] = {JSON: content}
        for other in about.media_types:
            answer["content"].setdefault(other, {"schema": {"type": "string", "format": "binary"}})
    return answer


def _error(status: int) -> dict[str, Any]:
    refusal = from_status(status, _WHY[status])
    example = _EXAMPLE_ERROR if status == 422 else {
        "code": refusal.code, "name": refusal.name, "status": status, "message": _WHY[status], "fields": {},
    }  # fmt: skip
    answer: dict[str, Any] = {
        "description": _WHY[status],
        "content": {JSON: {"schema": {"$ref": REF.format(name="ErrorBody")}, "example": example}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"description": "Whole seconds", "schema": {"type": "integer"}}}
    return answer
