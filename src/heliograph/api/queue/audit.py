"""The audit log: who did what to the queues of an organisation."""

import msgspec

from heliograph.api.http.pagination import page_of
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import QueryParameter, route
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.timestamps import iso
from heliograph.ports.stores.control_store import AuditEntry


class AuditEntryObject(msgspec.Struct, frozen=True):
    """`phone_id` and `number`: the phone that was acted on, if any."""

    at: str
    by: str
    act: str
    what: str
    detail: str
    phone_id: str | None
    number: str | None


@route(
    "GET", "/audit", summary="The audit log of the queues, newest first", tag="Steering", answer=list[AuditEntryObject],
    query=(QueryParameter("limit", "How many", "integer", 1, 1000),),
)  # fmt: skip
async def list_audit_log(call: ApiRequest) -> list[AuditEntryObject]:
    limit, _ = page_of(call, 100, 1000)
    entries = await call.deps.control.audit_log(call.org_no, limit=limit)
    phones = {phone.phone_no: phone for phone in await call.deps.phones.phones(call.org_no)}
    for phone_no in {entry.phone_no for entry in entries if entry.phone_no is not None} - phones.keys():
        if (deleted := await call.deps.phones.phone_row(call.org_no, phone_no)) is not None:
            phones[phone_no] = deleted
    return [_object(entry, phones.get(entry.phone_no or 0)) for entry in entries]


def _object(entry: AuditEntry, phone: PhoneRow | None) -> AuditEntryObject:
    name, number = (None, None) if phone is None else (phone.phone_id, phone.number)
    return AuditEntryObject(iso(entry.at_us), entry.actor, entry.act, entry.target, entry.detail, name, number)
