"""Loads the source of each webhook delivery (job, inbound message or phone) in batches."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.webhooks.webhook import Delivery, EventSource, InboundRow, OrgEvent, SigningKeyRow
from heliograph.ports.stores.delivery_store import ClaimedDelivery, DeliveryBatch
from heliograph.store.database import named
from heliograph.store.database.rows import event_of, job_of, phone_of
from heliograph.store.database.unit import Unit, query, query_values


def delivery_of(row: "named.DeliveryColumns", org_id: str) -> Delivery:
    return Delivery(
        org_no=row["org_no"],
        org_id=org_id,
        no=row["no"],
        hook_no=row["hook_no"],
        hook_id=row["hook_id"],
        event=row["event"],
        source=row["source"],
        ack=row["ack"],
        ack_before=row["ack_before"],
        sequence=row["sequence"],
        state=row["state"],
        tries=row["tries"],
        attempts=row["attempts"],
        outcome=row["outcome"],
        not_before_us=row["not_before"],
        created_at_us=row["created_at"],
        finished_at_us=row["finished_at"],
    )


def read_runs(
    streams: Sequence[tuple[int, int, str]],
    rows: "Sequence[named.DeliveriesOfStreamsColumns]",
    probing: set[tuple[int, int]],
    claim: int,
) -> Unit[tuple[list[DeliveryBatch], dict[int, SigningKeyRow]]]:
    """Gives the batches to deliver, and the signing keys. `rows` are in order within each stream."""
    if not streams:
        return [], {}
    org_ids: dict[int, str] = {}
    keys: dict[int, SigningKeyRow] = {}
    orgs = sorted({key[0] for key in streams})
    for org in (yield from query(named.orgs_with_signing_keys([(org_no,) for org_no in orgs]))):
        org_ids[org["org_no"]] = org["org_id"]
        keys[org["org_no"]] = SigningKeyRow(org["current"], org["previous"], org["switch_at"])
    sources = yield from _sources(rows)
    items: dict[tuple[int, int, str], list[ClaimedDelivery]] = {key: [] for key in streams}
    for row in rows:
        items[row["org_no"], row["endpoint_no"], row["stream"]].append(
            ClaimedDelivery(
                delivery=delivery_of(row, org_ids[row["org_no"]]),
                url=row["url"],
                wanted=row["deleted_at"] is None,
                body=row["body"],
                story=sources.get((row["org_no"], row["no"]), EventSource()),
            )
        )
    runs = [DeliveryBatch(*key, claim, tuple(found), key[:2] in probing) for key, found in items.items()]
    return runs, keys


_Rows: TypeAlias = "Sequence[named.DeliveriesOfStreamsColumns]"
_Phones = dict[tuple[int, int], PhoneRow]
_Sources = dict[tuple[int, int], EventSource]  # by organisation and delivery number


def _sources(rows: _Rows) -> Unit[_Sources]:
    """Loads sources. Deliveries with a stored body need none."""
    new = [row for row in rows if row["body"] is None]
    phone_keys = sorted({(row["org_no"], row["phone_no"]) for row in new if row["phone_no"] is not None})
    phones = {
        (phone.org_no, phone.phone_no): phone
        for phone in map(phone_of, (yield from query(named.phones_by_no(phone_keys))))
    }
    sources = yield from _job_sources([row for row in new if row["source"] == "job"], phones)
    sources |= yield from _inbound_sources([row for row in new if row["source"] == "inbound"], phones)
    sources |= yield from _org_sources([row for row in new if row["source"] == "org"], phones)
    return sources


def _job_sources(rows: _Rows, phones: _Phones) -> Unit[_Sources]:
    keys = sorted({(row["org_no"], row["job_id"] or 0, row["n"]) for row in rows})
    found = yield from query_values(named.jobs_by_id(sorted({key[:2] for key in keys})))
    jobs = {(job.org_no, int(job.job_id)): job for job in map(job_of, found)}
    events = {
        (row[0], int(row[1]), row[2]): event_of(row[1:]) for row in (yield from query_values(named.events_by_key(keys)))
    }
    return {
        (row["org_no"], row["no"]): EventSource(
            job=jobs.get((row["org_no"], row["job_id"] or 0)),
            change=events.get((row["org_no"], row["job_id"] or 0, row["n"])),
            phone=phones.get((row["org_no"], row["phone_no"] or 0)),
        )
        for row in rows
    }


def _inbound_sources(rows: _Rows, phones: _Phones) -> Unit[_Sources]:
    keys = {(row["org_no"], row["no"]): (row["org_no"], row["phone_no"] or 0, row["ref"] or "") for row in rows}
    found = {
        (row["org_no"], row["phone_no"], row["message_id"]): InboundRow(
            row["message_id"],
            row["chat_id"],
            row["author"],
            row["type"],
            row["body"],
            row["at"],
            msgspec.json.decode(row["raw"]),
        )
        for row in (yield from query(named.inbound_by_key(sorted(set(keys.values())))))
    }
    return {delivery: EventSource(inbound=found.get(key), phone=phones.get(key[:2])) for delivery, key in keys.items()}


def _org_sources(rows: _Rows, phones: _Phones) -> Unit[_Sources]:
    found = {
        row["org_event_no"]: OrgEvent(row["name"], row["at"], row["detail"], msgspec.json.decode(row["data"]))
        for row in (yield from query(named.org_events_by_no(sorted({(row["org_no"], row["n"]) for row in rows}))))
    }
    return {
        (row["org_no"], row["no"]): EventSource(
            org_event=found.get(row["n"]), phone=phones.get((row["org_no"], row["phone_no"] or 0))
        )
        for row in rows
    }
