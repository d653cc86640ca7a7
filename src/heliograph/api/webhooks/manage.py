"""Webhooks: one row for each URL and event name; camelCase in, snake_case out.

Source: contract 2.6, 3.5, 6.14; interface, "Webhooks".
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from heliograph.api.http.dependencies import WebhookDeps
from heliograph.api.http.idempotency import headers_if, idempotency, reused
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import QueryParameter, RawResponse, route
from heliograph.domain.errors import Invalid, NotFound, invalid
from heliograph.domain.jobs.ids import new_uuid
from heliograph.domain.timestamps import iso, iso_or_none
from heliograph.domain.webhooks.events import EVENT_NAMES
from heliograph.domain.webhooks.webhook import HOOK_TYPES, HookPatch, NewHook, WebhookRow, new_signing_key
from heliograph.ports.stores.webhook_store import about_keys

CREATE = "/v1/webhooks"
MAX_NAMES = 100
MAX_TEXT = 255
MAX_METADATA = 4096
TAG = "Webhooks"

_Url = Annotated[str | None, Meta(description="http or https, a public address", extra_json_schema={"maxLength": 2048})]
_Event = Annotated[str, Meta(extra_json_schema={"enum": sorted(EVENT_NAMES)})]
_Type = Annotated[str | None, Meta(extra_json_schema={"enum": [*sorted(HOOK_TYPES), None]})]


class CreateWebhookBody(msgspec.Struct):
    """A new webhook. hookUrl and integrationName are required. Several names make several rows, all or none."""

    hookUrl: _Url = None
    integrationName: Annotated[_Event | list[_Event] | None, Meta(description="Event names")] = None
    integrationMetadata: dict[str, Any] | None = None
    integrationType: str | None = None
    type: _Type = None
    name: str | None = None


class UpdateWebhookBody(msgspec.Struct):
    """At least one field."""

    hookUrl: _Url = None
    integrationName: _Event | None = None
    integrationMetadata: dict[str, Any] | None = None
    integrationType: str | None = None
    type: _Type = None
    isSubscribed: bool | None = None
    name: str | None = None


class WebhookObject(msgspec.Struct, omit_defaults=True):
    """Contract 3.5; fields after subscribed_at are extensions. `signing_key` comes with a new row only."""

    id: str
    org_id: str
    hook_url: str
    integration_name: str
    integration_type: str
    type: str
    integration_id: str
    integration_metadata: dict[str, Any]
    is_subscribed: bool
    subscribed_at: str
    name: str
    created_at: str
    health: str
    health_description: str
    signing_key: str | msgspec.UnsetType = msgspec.UNSET


@route("GET", "/webhooks", summary="The organisation's webhooks", tag=TAG, answer=list[WebhookObject], query=(
    QueryParameter("integration_name", "Only this event name"), QueryParameter("type", "Only this type"),
    QueryParameter("is_subscribed", "Only subscribed ones (true) or others (false)", "boolean"),
    QueryParameter("integration_id", "Only those made together"), QueryParameter("hook_url", "Only this URL"),
))  # fmt: skip
async def webhooks(call: ApiRequest) -> list[WebhookObject]:
    filters = {
        name: call.text(name) for name in ("integration_name", "type", "integration_id", "hook_url", "is_subscribed")
    }
    subscribed = filters.pop("is_subscribed")
    if subscribed not in (None, "true", "false"):
        raise invalid("is_subscribed", "is_subscribed must be true or false", subscribed)
    rows = [webhook_object(hook) for hook in await webhooks_of(call).store.hooks(call.org_no)]
    return [
        row
        for row in rows
        if (subscribed is None or row.is_subscribed == (subscribed == "true"))
        and all(value is None or getattr(row, name) == value for name, value in filters.items())
    ]


@route(
    "POST", "/webhooks",
    summary="Be told of events", tag=TAG, body=CreateWebhookBody, answer=list[WebhookObject] | WebhookObject,
    status=201,
    idempotent=True,
    description="An array of names gives an array of rows, a single name a single row. `signing_key` verifies them.",
)  # fmt: skip
async def create(call: ApiRequest) -> RawResponse:
    body = call.decoded(CreateWebhookBody)
    names = _names(body.integrationName)
    url = await _url(call, body.hookUrl)
    integration_id = new_uuid()
    label = _short(body.name, "name") or ""
    metadata = _metadata(body.integrationMetadata) | {"id": integration_id, "name": label or url}
    new_hooks = [
        NewHook(
            hook_id=new_uuid(),
            url=url,
            event=name,
            integration_id=integration_id,
            metadata=metadata,
            integration_type=_short(body.integrationType, "integrationType") or "webhook",
            type=_type(body.type) or "webhook",
            name=label,
        )
        for name in names
    ]
    keyed = idempotency(call.head.idempotency_key, path=CREATE, phone_id="", body=call.body)
    store = webhooks_of(call).store
    created = await store.create_hooks(call.org_no, new_hooks, sealed_new_key(call), keyed)
    if created is None:
        raise reused()
    hooks, replayed = created
    keys = await store.signing_keys(call.org_no, sealed_new_key(call))
    key = opened_key(call, keys.current)
    rows = [webhook_object(hook, key) for hook in hooks]
    encoded = msgspec.json.encode(rows if isinstance(body.integrationName, list) else rows[0])
    return RawResponse(encoded, 201, headers=headers_if(replayed))


@route("GET", "/webhooks/{id:str}", summary="A webhook", tag=TAG, answer=WebhookObject, errors=(404,))
async def webhook(call: ApiRequest) -> WebhookObject:
    return webhook_object(await require_webhook(call))


@route(
    "PATCH", "/webhooks/{id:str}",
    summary="Change a webhook", tag=TAG, body=UpdateWebhookBody, answer=WebhookObject, errors=(404,),
    description="isSubscribed true starts a disabled one again: what waited for it is delivered.",
    example={"isSubscribed": True},
)  # fmt: skip
async def update(call: ApiRequest) -> WebhookObject:
    body = call.decoded(UpdateWebhookBody)
    fields = body.__struct_fields__
    if all(getattr(body, field) is None for field in fields):
        text = f"Invalid body. At least one of the following keys are required: {', '.join(fields)}"
        raise Invalid(text, fields={name: {"message": f"{name} is missing", "value": None} for name in fields})
    hook = await require_webhook(call)
    given = body.integrationMetadata
    patch = HookPatch(
        url=None if body.hookUrl is None else await _url(call, body.hookUrl),
        event=None if body.integrationName is None else _names(body.integrationName)[0],
        integration_type=_short(body.integrationType, "integrationType"),
        metadata=None if given is None else dict(hook.metadata) | _metadata(given) | {"id": hook.integration_id},
        type=_type(body.type),
        name=_short(body.name, "name"),
        is_subscribed=body.isSubscribed,
    )
    row = await webhooks_of(call).store.update_hook(call.org_no, hook.hook_id, patch)
    if row is None:
        raise webhook_not_found()
    webhooks_of(call).wake()
    return webhook_object(row)


@route("DELETE", "/webhooks/{id:str}", summary="Delete a webhook", tag=TAG, status=204, errors=(404,),
       description="What waited for it is not delivered any more.")  # fmt: skip
async def delete(call: ApiRequest) -> None:
    hook = await require_webhook(call)
    if not await webhooks_of(call).store.delete_hook(call.org_no, hook.hook_id):
        raise webhook_not_found()


def webhooks_of(call: ApiRequest) -> WebhookDeps:
    if call.deps.webhooks is None:
        raise NotFound("This gateway has no webhooks")
    return call.deps.webhooks


def sealed_new_key(call: ApiRequest) -> str:
    return webhooks_of(call).secrets.seal(new_signing_key(), about=about_keys(call.org_no))


def opened_key(call: ApiRequest, sealed: str) -> str:
    return webhooks_of(call).secrets.open(sealed, about=about_keys(call.org_no))


async def require_webhook(call: ApiRequest) -> WebhookRow:
    hook_id = call.path["id"]
    hook = await webhooks_of(call).store.hook(call.org_no, hook_id) if hook_id.isprintable() else None
    if hook is None:
        raise webhook_not_found()
    return hook


def webhook_not_found() -> NotFound:
    return NotFound("There is no such webhook in this organisation: GET /v1/webhooks lists them")


def webhook_object(hook: WebhookRow, key: str | None = None) -> WebhookObject:
    health, description = _health(hook)
    return WebhookObject(
        id=hook.hook_id,
        org_id=hook.org_id,
        hook_url=hook.url,
        integration_name=hook.event,
        integration_type=hook.integration_type,
        type=hook.type,
        integration_id=hook.integration_id,
        integration_metadata=dict(hook.metadata),
        is_subscribed=hook.is_subscribed,
        subscribed_at=iso(hook.subscribed_at_us),
        name=hook.name,
        created_at=iso(hook.created_at_us),
        health=health,
        health_description=description,
        signing_key=msgspec.UNSET if key is None else key,
    )


def _health(hook: WebhookRow) -> tuple[str, str]:
    if hook.disabled_at_us is not None:
        return "disabled", f"Disabled at {iso_or_none(hook.disabled_at_us)}: {hook.disabled_reason}"
    if not hook.is_subscribed:
        return "unsubscribed", "Not subscribed: nothing new is delivered."
    if hook.failures:
        since = iso_or_none(hook.failing_since_us)
        return "failing", f"The last {hook.failures} tries failed, since {since}. It is tried again by itself."
    return "ok", "Deliveries arrive."


def _names(given: str | list[str] | None) -> list[str]:
    names = [given] if isinstance(given, str) else given or []
    if not names:
        raise invalid("integrationName", "integrationName is missing: give one or more event names")
    if len(names) > MAX_NAMES:
        raise invalid("integrationName", f"integrationName may hold at most {MAX_NAMES} names")
    for name in names:
        if name not in EVENT_NAMES:
            known = ", ".join(sorted(EVENT_NAMES))
            raise invalid("integrationName", f"integrationName must be one of: {known}", name)
    return list(dict.fromkeys(names))


async def _url(call: ApiRequest, url: str | None) -> str:
    if not url:
        raise invalid("hookUrl", "hookUrl is missing")
    if call.deps.fetch is not None and (forbidden := await call.deps.fetch.check(url)):
        raise invalid("hookUrl", f"hookUrl: {forbidden.detail}", None if forbidden.code == "credentials" else url)
    return url


def _short(text: str | None, field: str) -> str | None:
    if text is not None and len(text) > MAX_TEXT:
        raise invalid(field, f"{field} may have at most {MAX_TEXT} characters")
    return text


def _type(text: str | None) -> str | None:
    if text is not None and text not in HOOK_TYPES:
        raise invalid("type", f"type must be one of: {', '.join(sorted(HOOK_TYPES))}", text)
    return text


def _metadata(given: dict[str, Any] | None) -> dict[str, Any]:
    if len(msgspec.json.encode(given)) > MAX_METADATA:
        raise invalid("integrationMetadata", f"integrationMetadata may have at most {MAX_METADATA} bytes as JSON")
    return dict(given or {})
