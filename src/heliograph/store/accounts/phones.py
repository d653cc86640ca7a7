"""Phones: created, changed, deleted, and the states that their sessions report."""

from collections.abc import Sequence
from typing import Literal

from heliograph.domain.accounts.phone import NewPhone, PhoneRow
from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.ports.simulated_network import DeviceScope
from heliograph.store.accounts import idempotency as idempotency_keys
from heliograph.store.accounts.org_events import emit_org_event
from heliograph.store.database import named
from heliograph.store.database.rows import phone_of
from heliograph.store.database.unit import Unit, query, query_one, query_row


def create_phone(
    phone: NewPhone, idempotency: Idempotency | None, now_us: int
) -> Unit[tuple[PhoneRow, bool] | Literal["reused"] | None]:
    """None: the number is taken. `reused`: the idempotency key was used for another request."""
    if idempotency is not None:
        earlier = yield from idempotency_keys.claim_key(phone.org_no, idempotency, now_us)
        if earlier is not None:
            if not earlier.same or earlier.response is None:
                return "reused"
            row = yield from query_row(named.phone_by_no(org_no=phone.org_no, phone_no=int(earlier.response)))
            return phone_of(row), True
    inserted = yield from query_one(
        named.phone_insert(
            org_no=phone.org_no,
            phone_id=phone.phone_id,
            number=phone.number,
            provider=phone.provider,
            name=phone.name,
            pacing=phone.pacing,
            config=phone.config,
            now=now_us,
        )
    )
    if inserted is None:
        if idempotency is not None:
            yield from idempotency_keys.release(phone.org_no, idempotency)
        return None
    phone_no = inserted["phone_no"]
    if idempotency is not None:
        yield from idempotency_keys.save_response(phone.org_no, idempotency, str(phone_no))
    yield from query(named.lease_insert(org_no=phone.org_no, phone_no=phone_no))
    sides = [(phone.org_no, phone_no, priority, side) for priority in (0, 1, 2) for side in (0, 1)]
    yield from query(named.queue_counters_insert(sides))
    yield from emit_org_event(phone.org_no, phone_no, WebhookEvent.PHONE_CREATED, "", {}, now_us)
    return phone_of((yield from query_row(named.phone_by_no(org_no=phone.org_no, phone_no=phone_no)))), False


def phones(org_no: int | None) -> Unit[list[PhoneRow]]:
    return [phone_of(row) for row in (yield from query(named.phones_all(org_no=org_no or 0)))]


def device_scope(org_no: int, provider: str) -> Unit[DeviceScope]:
    others = yield from query_row(named.phones_of_others(org_no=org_no, provider=provider))
    if not others["ever"]:
        return DeviceScope()
    rows = yield from query(named.phone_ids(org_no=org_no, provider=provider))
    return DeviceScope(tuple(row["phone_id"] for row in rows), alone=not others["now"])


def phone(org_no: int, number_or_id: str) -> Unit[PhoneRow | None]:
    row = yield from query_one(named.phone_by_name(org_no=org_no, handle=number_or_id))
    return None if row is None else phone_of(row)


def phone_row(org_no: int, phone_no: int) -> Unit[PhoneRow | None]:
    row = yield from query_one(named.phone_by_no(org_no=org_no, phone_no=phone_no))
    return None if row is None else phone_of(row)


def phone_versions(phones: Sequence[tuple[int, int]]) -> Unit[dict[int, tuple[int, int]]]:
    rows = yield from query(named.phones_versions(sorted(phones)))
    return {row["phone_no"]: (row["updated_at"], row["restarts"]) for row in rows}


def update_phone(
    org_no: int,
    phone_no: int,
    *,
    name: str | None,
    image: str | None,
    labels: str | None,
    pacing: str | None,
    config: str | None,
    now_us: int,
) -> Unit[PhoneRow | None]:
    yield from query(
        named.phone_update(
            org_no=org_no,
            phone_no=phone_no,
            name=name,
            image=image,
            labels=labels,
            pacing=pacing,
            config=config,
            now=now_us,
        )
    )
    row = yield from phone_row(org_no, phone_no)
    if row is not None:
        yield from emit_org_event(org_no, phone_no, WebhookEvent.PHONE_UPDATED, "", {}, now_us)
    return row


def delete_phone(org_no: int, phone_no: int, now_us: int) -> Unit[bool]:
    yield from query(named.leases_lock([(org_no, phone_no)]))
    if (yield from query_one(named.phone_delete(org_no=org_no, phone_no=phone_no, now=now_us))) is None:
        return False
    yield from query(named.lease_delete(org_no=org_no, phone_no=phone_no))
    yield from query(named.queue_counters_delete(org_no=org_no, phone_no=phone_no))
    return True


def set_phone_state(org_no: int, phone_no: int, token: int, *, state: str, detail: str, now_us: int) -> Unit[bool]:
    if not (yield from query(named.fence([(org_no, phone_no, token)]))):
        return False
    yield from query(
        named.phone_state_event_insert(org_no=org_no, phone_no=phone_no, state=state, detail=detail, now=now_us)
    )
    if state == "restricted":
        before = yield from phone_row(org_no, phone_no)
        if before is not None and before.state != state:
            yield from emit_org_event(
                org_no, phone_no, WebhookEvent.PHONE_RESTRICTED, detail, {"new_chats_only": False}, now_us
            )
    yield from query(named.phone_state(org_no=org_no, phone_no=phone_no, state=state, detail=detail, now=now_us))
    return True


def throttle_phone(
    org_no: int, phone_no: int, token: int, *, until_us: int | None, new_chats_only: bool, reason: str, now_us: int
) -> Unit[bool]:
    if not (yield from query(named.fence([(org_no, phone_no, token)]))):
        return False
    if new_chats_only and until_us is not None:
        before = yield from phone_row(org_no, phone_no)
        if before is not None and (before.new_chats_until_us or 0) <= now_us:
            data = {"new_chats_only": True, "until": iso(until_us)}
            yield from emit_org_event(org_no, phone_no, WebhookEvent.PHONE_RESTRICTED, reason, data, now_us)
    store = named.phone_hold_new if new_chats_only else named.phone_hold
    yield from query(store(org_no=org_no, phone_no=phone_no, until=until_us, reason=reason))
    return True
