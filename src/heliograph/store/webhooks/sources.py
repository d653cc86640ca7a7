"""What deliveries tell of, read in batches: the job and the event's own snapshot, an inbound message, or a phone."""

from collections.abc import Sequence
from typing import Any

import msgspec

from heliograph.domain.jobs.job import Event, Job, PhoneRow
from heliograph.domain.webhooks.webhook import Delivery, EventSource, InboundRow, OrgEvent, SigningKeyRow
from heliograph.ports.webhook_store import ClaimedDelivery, DeliveryBatch
from heliograph.store.database.rows import event_of, job_of, phone_of
from heliograph.store.database.unit import Rows, Unit, query_batch


def delivery_of(row: Any, org_id: str) -> Delivery:
    """From `$columns(delivery)` and the hook's id."""
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
    streams: Sequence[tuple[int, int, str]], rows: Rows, probing: set[tuple[int, int]], claim: int
) -> Unit[tuple[list[DeliveryBatch], dict[int, SigningKeyRow]]]:
    """`rows` of `stream_deliveries`, in order within each stream."""
    if not streams:
        return [], {}
    org_ids: dict[int, str] = {}
    keys: dict[int, SigningKeyRow] = {}
    for row in (yield from query_batch("orgs_to_tell", [(org_no,) for org_no in sorted({key[0] for key in streams})])):
        org_ids[row["org_no"]] = row["org_id"]
        keys[row["org_no"]] = SigningKeyRow(row["current"], row["previous"], row["switch_at"])
    stories = yield from _stories(rows)
    items: dict[tuple[int, int, str], list[ClaimedDelivery]] = {key: [] for key in streams}
    for row in rows:
        items[row["org_no"], row["endpoint_no"], row["stream"]].append(
            ClaimedDelivery(
                delivery=delivery_of(row, org_ids[row["org_no"]]),
                url=row["url"],
                wanted=row["deleted_at"] is None,
                body=row["body"],
                story=stories.get((row["org_no"], row["no"]), EventSource()),
            )
        )
    runs = [DeliveryBatch(*key, claim, tuple(found), key[:2] in probing) for key, found in items.items()]
    return runs, keys


def _stories(rows: Rows) -> Unit[dict[tuple[int, int], EventSource]]:
    """By organisation and delivery number. Those that have their body already need none."""
    new = [row for row in rows if row["body"] is None]
    of_jobs = [row for row in new if row["source"] == "job"]
    of_inbound = [row for row in new if row["source"] == "inbound"]
    of_org = [row for row in new if row["source"] == "org"]
    phone_keys = {(row["org_no"], row["phone_no"]) for row in new if row["phone_no"] is not None}
    phones: dict[tuple[int, int], PhoneRow] = {
        (row["org_no"], row["phone_no"]): phone_of(row)
        for row in (yield from query_batch("phones_to_tell", sorted(phone_keys)))
    }
    job_keys = sorted({(row["org_no"], row["job_id"]) for row in of_jobs})
    jobs: dict[tuple[int, int], Job] = {}
    for row in (yield from query_batch("jobs_to_tell", job_keys)):
        job = job_of(row)
        jobs[job.org_no, job.job_id] = job
    changes: dict[tuple[int, int, int], Event] = {}
    change_keys = sorted({(row["org_no"], row["job_id"], row["n"]) for row in of_jobs})
    for row in (yield from query_batch("events_to_tell", change_keys)):
        org_no, *rest = row
        change = event_of(rest)
        changes[org_no, change.job_id, change.n] = change
    stories = {
        (row["org_no"], row["no"]): EventSource(
            job=jobs.get((row["org_no"], row["job_id"])),
            change=changes.get((row["org_no"], row["job_id"], row["n"])),
            phone=phones.get((row["org_no"], row["phone_no"])),
        )
        for row in of_jobs
    }
    stories |= yield from _inbound_stories(of_inbound, phones)
    stories |= yield from _org_stories(of_org, phones)
    return stories


def _inbound_stories(
    rows: Sequence[Any], phones: dict[tuple[int, int], PhoneRow]
) -> Unit[dict[tuple[int, int], EventSource]]:
    wanted = sorted({(row["org_no"], row["phone_no"], row["ref"]) for row in rows})
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
        for row in (yield from query_batch("inbound_to_tell", wanted))
    }
    return {
        (row["org_no"], row["no"]): EventSource(
            inbound=found.get((row["org_no"], row["phone_no"], row["ref"])),
            phone=phones.get((row["org_no"], row["phone_no"])),
        )
        for row in rows
    }


def _org_stories(
    rows: Sequence[Any], phones: dict[tuple[int, int], PhoneRow]
) -> Unit[dict[tuple[int, int], EventSource]]:
    found = {
        row["org_event_no"]: OrgEvent(row["name"], row["at"], row["detail"], msgspec.json.decode(row["data"]))
        for row in (yield from query_batch("org_events_to_tell", sorted({(row["org_no"], row["n"]) for row in rows})))
    }
    return {
        (row["org_no"], row["no"]): EventSource(
            org_event=found.get(row["n"]), phone=phones.get((row["org_no"], row["phone_no"] or 0))
        )
        for row in rows
    }
