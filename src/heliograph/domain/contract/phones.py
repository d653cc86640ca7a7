"""The phone object of the contract (section 3.4). `wa_state` is CONNECTED or DISCONNECTED; `phone_state` says more."""

import hashlib
from typing import Any

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.job import QueueCounts
from heliograph.domain.timestamps import iso, iso_or_none

_SMALL = 26


class PhoneObject(msgspec.Struct, frozen=True, kw_only=True):
    """The last seven are extensions that say why a phone does not send."""

    org_id: str
    org_phone: str
    created_at: str
    updated_at: str
    wa_state: str
    phone_id: str
    qr_code: str | None
    phone_image: str | None
    phone_name: str | None
    first_connected_at: str | None
    is_ready: bool
    label_ids: dict[str, bool]
    labels: list[str]
    number: str
    provider: str
    phone_state: str
    state_detail: str
    pacing: str
    paused_at: str | None
    hold_until: str | None


class ListedPhone(PhoneObject, frozen=True, kw_only=True):
    """An element of GET /phones/all: with how much waits, an extension."""

    queue_status: dict[str, dict[str, Any]]


class PhoneDetails(PhoneObject, frozen=True, kw_only=True):
    """The whole row, as POST /phones/create gives it."""

    is_browser_open: bool = False
    last_disconnect: str | None = None
    library: str
    queue_status: dict[str, dict[str, Any]]
    server_image: str | None = None
    server_ip: str | None = None
    server_name: str | None = None
    server_zone: str | None = None
    wa_version: str | None = None


class LegacyHealth(msgspec.Struct, frozen=True):
    """The answer of GET /queue. `pending`: everything that has not started, on paused phones too. `is_running`: the
    phone, or one of the organisation's, is not paused.
    """

    active: int
    failed: int
    completed: int
    is_running: bool
    pending: int


def phone_object(phone: PhoneRow, *, qr_code: str | None = None) -> PhoneObject:
    return PhoneObject(**_shared(phone, qr_code))


def listed_phone(phone: PhoneRow, health: QueueCounts, *, qr_code: str | None = None) -> ListedPhone:
    return ListedPhone(**_shared(phone, qr_code), queue_status=_queue_status(phone, health))


def phone_details(phone: PhoneRow, health: QueueCounts, *, qr_code: str | None = None) -> PhoneDetails:
    down_at = None if phone.state == "connected" else iso(phone.state_at_us)
    return PhoneDetails(
        **_shared(phone, qr_code),
        last_disconnect=down_at,
        library=phone.provider,
        queue_status=_queue_status(phone, health),
    )


def _queue_status(phone: PhoneRow, health: QueueCounts) -> dict[str, dict[str, Any]]:
    return {"message": msgspec.to_builtins(legacy_health(health, running=phone.paused_at_us is None))}


def _shared(phone: PhoneRow, qr_code: str | None) -> dict[str, Any]:
    up = phone.state == "connected"
    return {
        "org_id": phone.org_id,
        "org_phone": f"{phone.number}@c.us",
        "created_at": iso(phone.created_at_us),
        "updated_at": iso(phone.updated_at_us),
        "wa_state": "CONNECTED" if up else "DISCONNECTED",
        "phone_id": phone.phone_id,
        "qr_code": None if up else qr_code,
        "phone_image": phone.image or None,
        "phone_name": phone.name or None,
        "first_connected_at": iso_or_none(phone.first_connected_at_us),
        "is_ready": up,
        "label_ids": {label_id(phone.org_id, label): True for label in phone.labels},
        "labels": list(phone.labels),
        "number": phone.number,
        "provider": phone.provider,
        "phone_state": phone.state,
        "state_detail": phone.state_detail,
        "pacing": phone.pacing,
        "paused_at": iso_or_none(phone.paused_at_us),
        "hold_until": iso_or_none(phone.hold_until_us),
    }


def label_id(org_id: str, label: str) -> str:
    """`label-` + 16 letters: the same label of an organisation, in any case of letters, has the same id."""
    number = int.from_bytes(hashlib.sha256(f"{org_id}\n{label.casefold()}".encode()).digest())
    letters = ""
    for _ in range(16):
        number, rest = divmod(number, _SMALL)
        letters += chr(ord("a") + rest)
    return f"label-{letters}"


def legacy_health(health: QueueCounts, *, running: bool) -> LegacyHealth:
    return LegacyHealth(
        active=health.active,
        failed=health.failed,
        completed=health.completed,
        is_running=running,
        pending=health.waiting + health.delayed,
    )
