"""Phones of the organisation: list, add, name, restart, delete. Source: contract 2.5, 3.4; interface, "HTTP"."""

import secrets
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from heliograph.api.http.idempotency import headers_if, idempotency
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, RawResponse, route
from heliograph.api.phones.credentials import changed_config, new_config
from heliograph.domain.accounts.phone import NewPhone, PhonePatch, PhoneRow
from heliograph.domain.contract.phones import (
    ListedPhone,
    PhoneDetails,
    PhoneObject,
    listed_phone,
    phone_details,
    phone_object,
)
from heliograph.domain.errors import Conflict, Invalid, NotFound, invalid
from heliograph.domain.jobs.ids import new_phone_id
from heliograph.domain.jobs.job import QueueCounts
from heliograph.domain.messages.chat import parse_number
from heliograph.domain.pacing.policy_parser import parse_policy, policy_text

CREATE = "/v1/phones/create"
MAX_LABELS = 100
MAX_TEXT = 255
MAX_URL = 2048
FICTION = "447700900"  # a range of numbers reserved for fiction
FICTION_DIGITS = 3


Config = Annotated[
    dict[str, str] | None,
    Meta(description="Settings and credentials of a phone of the Cloud API. Stored sealed, never shown again."),
]


class CreatePhoneBody(msgspec.Struct):
    """A new phone. Without fields: a phone of the simulator, with a number from a range reserved for fiction."""

    provider: str | None = None
    number: str | None = None
    phone_name: str | None = None
    config: Config = None


class UpdatePhoneBody(msgspec.Struct):
    """At least one of phone_name, phone_image, labels, config and pacing.

    New labels replace all labels. Fields of config replace those of the same name, the others stay.
    """

    phone_name: str | None = None
    phone_image: str | None = None
    labels: Annotated[str | list[str] | None, Meta(description="A comma list or an array")] = None
    config: Config = None
    pacing: Annotated[
        str | dict[str, Any] | None,
        Meta(description="A preset (linked-new, linked-warm, cloud-default, none) or a policy of its own as an object"),
    ] = None


@route("GET", "/phones", summary="The phone of x-phone", tag="Phones", phone=PhoneHeader.REQUIRED, answer=PhoneObject,
       errors=(404,))  # fmt: skip
async def phone(call: ApiRequest) -> PhoneObject:
    return phone_with_code(call, call.required_phone)


@route("GET", "/phones/all", summary="All phones of the organisation", tag="Phones", answer=list[ListedPhone])
async def phones(call: ApiRequest) -> list[ListedPhone]:
    counts = await call.deps.jobs.health_of_phones(call.org_no)
    rows = await call.deps.phones.phones(call.org_no)
    return [listed_phone(row, counts.get(row.phone_no, QueueCounts()), qr_code=_code(call, row)) for row in rows]


@route(
    "POST", "/phones/create",
    summary="Add a phone", tag="Phones", body=CreatePhoneBody, answer=PhoneDetails, errors=(409,), idempotent=True,
    description="An empty call adds a phone of the simulated network.",
    example={"provider": "simulator", "number": "919876543211"},
)  # fmt: skip
async def create(call: ApiRequest) -> RawResponse:
    body, deps = call.decoded(CreatePhoneBody), call.deps
    provider = body.provider or deps.provider_names[0]
    if provider not in deps.provider_names:
        known = ", ".join(deps.provider_names)
        raise invalid("provider", f"provider must be one of: {known}", provider)
    phone_id = new_phone_id()
    config = new_config(deps, provider, phone_id, body.number, body.config)
    number = parse_number(body.number) if body.number else await _free_number(call)
    wish = NewPhone(
        org_no=call.org_no,
        phone_id=phone_id,
        number=number,
        config=config,
        provider=provider,
        name=_short(body.phone_name, "phone_name", MAX_TEXT) or "",
        pacing=deps.pacing_for(provider),
    )
    keyed = idempotency(call.head.idempotency_key, path=CREATE, phone_id="", body=call.body)
    row, replayed = await deps.phones.create_phone(wish, keyed)
    call.phone = row
    call.state.phones.forget(call.org_no)
    deps.wake.phones((row.phone_no,))
    health = await deps.jobs.health(call.org_no, row.phone_no)
    details = phone_details(row, health, qr_code=_code(call, row))
    headers = headers_if(replayed)
    return RawResponse(msgspec.json.encode(details), headers=headers)


async def _free_number(call: ApiRequest) -> str:
    """Returns an unused number for a phone of the simulator."""
    taken = {row.number for row in await call.deps.phones.phones(call.org_no)}
    count = 10**FICTION_DIGITS
    start = secrets.randbelow(count)
    for n in range(count):
        number = f"{FICTION}{(start + n) % count:0{FICTION_DIGITS}d}"
        if number not in taken:
            return number
    raise Conflict("All numbers that are kept for fiction are taken: name a number of your own")


@route(
    "PATCH", "/phones/update",
    summary="Name or label a phone", tag="Phones", phone=PhoneHeader.REQUIRED, body=UpdatePhoneBody, answer=PhoneObject,
    errors=(404,), example={"phone_name": "Support", "labels": "vip, india"},
)  # fmt: skip
async def update(call: ApiRequest) -> PhoneObject:
    body = call.decoded(UpdatePhoneBody)
    if body == UpdatePhoneBody():
        text = "Invalid body. At least one of the following keys are required: phone_name, phone_image, labels"
        names = ("phone_name", "phone_image", "labels")
        raise Invalid(text, fields={name: {"message": f"{name} is missing", "value": None} for name in names})
    patch = PhonePatch(
        name=_short(body.phone_name, "phone_name", MAX_TEXT),
        image=_image(body.phone_image),
        labels=None if body.labels is None else _labels(body.labels),
        config=None if body.config is None else changed_config(call.deps, call.required_phone, body.config),
        pacing=None if body.pacing is None else _pacing(body.pacing),
    )
    row = await call.deps.phones.update_phone(call.org_no, call.required_phone.phone_no, patch)
    if row is None:
        raise gone()
    return phone_with_code(call, row)


def _pacing(given: str | dict[str, Any]) -> str:
    """Checks a policy, and returns it in one spelling."""
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    return policy_text(parse_policy(text))


def _short(text: str | None, field: str, most: int) -> str | None:
    if text is not None and len(text) > most:
        raise invalid(field, f"{field} may have at most {most} characters")
    return text


def _image(url: str | None) -> str | None:
    if url and not url.lower().startswith(("http://", "https://")):
        raise invalid("phone_image", "phone_image must be an http(s) URL", url)
    return _short(url, "phone_image", MAX_URL)


def _labels(given: str | list[str]) -> tuple[str, ...]:
    """Returns each label once, regardless of case, in its first spelling."""
    names = given.split(",") if isinstance(given, str) else given
    kept: dict[str, str] = {}
    for name in (name.strip() for name in names):
        if name:
            kept.setdefault(name.casefold(), _short(name, "labels", MAX_TEXT) or "")
    if len(kept) > MAX_LABELS:
        raise invalid("labels", f"A phone may have at most {MAX_LABELS} labels")
    return tuple(kept.values())


@route("POST", "/phones/restart", summary="Restart a phone's connection", tag="Phones", phone=PhoneHeader.REQUIRED,
       status=204, errors=(404,))  # fmt: skip
async def restart(call: ApiRequest) -> None:
    await call.deps.phones.request_restart(call.org_no, call.required_phone.phone_no)
    call.deps.wake.phones((call.required_phone.phone_no,))


@route("POST", "/phones/reset", summary="Connect a phone anew", tag="Phones", phone=PhoneHeader.REQUIRED, status=204,
       errors=(404,), description="For phones without a login of their own, the same as a restart.")  # fmt: skip
async def reset(call: ApiRequest) -> None:
    await call.deps.phones.request_restart(call.org_no, call.required_phone.phone_no)
    call.deps.wake.phones((call.required_phone.phone_no,))


@route("POST", "/phones/resync", summary="Ask a phone for its data again", tag="Phones", phone=PhoneHeader.REQUIRED,
       status=204, errors=(404,), description="For phones that keep no data, the same as a restart.")  # fmt: skip
async def resync(call: ApiRequest) -> None:
    await call.deps.phones.request_restart(call.org_no, call.required_phone.phone_no)
    call.deps.wake.phones((call.required_phone.phone_no,))


@route("DELETE", "/phones/delete", summary="Delete a phone", tag="Phones", phone=PhoneHeader.REQUIRED, status=204,
       errors=(404,), description="What still waits ends as failed; what was sent stays to be looked up.")  # fmt: skip
async def delete(call: ApiRequest) -> None:
    deleted = await call.deps.phones.delete_phone(call.org_no, call.required_phone.phone_no, "api")
    call.state.phones.forget(call.org_no)
    if not deleted:
        raise gone()


def gone() -> NotFound:
    message = "There is no such phone any more"
    return NotFound(message, fields={"x-phone": {"message": message, "value": None}})


def phone_with_code(call: ApiRequest, row: PhoneRow) -> PhoneObject:
    return phone_object(row, qr_code=_code(call, row))


def _code(call: ApiRequest, row: PhoneRow) -> str | None:
    return None if row.state == "connected" else call.deps.pairing_code(row)
