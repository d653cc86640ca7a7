"""Retention: deletes settled jobs with what belongs to them, old keys, unmatched receipts and inbound messages.

Promise: nothing is deleted that a webhook delivery still has to report. A step reads a bounded number of rows beside
the writer, and writes only to delete.
"""

from collections.abc import Sequence
from typing import TypeAlias

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.stores.maintenance_store import PrunePlace
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.lanes import INTAKE, CounterChanges, write_counters

_STEP = 2000  # rows that one transaction deletes


async def step(database: Database, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
    """Deletes jobs from `place` on, by organisation and key: gives how many, and where to go on; None: the end."""
    below = JobIds(lambda: before_us).make()
    for row in await database.read(query, named.orgs_all()):
        org_no = row["org_no"]
        if org_no < place[0]:
            continue
        above = place[1] if org_no == place[0] else 0
        rows, over = await database.read(_page, org_no, before_us, above, below, limit)
        gone = (await database.write(prune, org_no, over, before_us)) if over else 0
        if len(rows) == limit:
            return gone, (org_no, rows[-1]["job_id"])
        if gone:
            return gone, (org_no + 1, 0)
    return 0, None


_Page: TypeAlias = "Sequence[named.JobsPageColumns]"


def _page(org_no: int, before_us: int, above: int, below: int, limit: int) -> Unit["tuple[_Page, _Page]"]:
    rows = yield from query(named.jobs_page(org_no=org_no, before=before_us, above=above, below=below, limit=limit))
    told = yield from query(named.jobs_without_deliveries([(org_no, row["job_id"]) for row in rows if row["over"]]))
    ended = {row["job_id"] for row in told}
    return rows, [row for row in rows if row["job_id"] in ended]


def prune(org_no: int, rows: _Page, before_us: int) -> Unit[int]:
    """Deletes these jobs of an organisation with all that belongs to them, if they are still settled."""
    yield from query(named.queue_lock(sorted({(org_no, row["phone_no"], row["priority"], INTAKE) for row in rows})))
    gone = yield from query(named.jobs_prune([(org_no, row["job_id"]) for row in rows], before=before_us))
    counts = CounterChanges()
    for row in gone:
        sent = row["state"] == "sent"
        counts.add((org_no, row["phone_no"], row["priority"]), completed=-int(sent), failed=-int(not sent))
    yield from query(named.provider_message_ids_prune([(org_no, row["alias"]) for row in gone if row["alias"]]))
    yield from query(named.events_prune([(org_no, row["job_id"]) for row in gone]))
    yield from write_counters(INTAKE, counts)
    return len(gone)


async def rest(database: Database, before_us: int, day_ago_us: int) -> None:
    """Deletes old keys, unmatched receipts and inbound messages."""
    while await database.write(keys, day_ago_us, _STEP) == _STEP:
        pass
    while await database.write(orphans, day_ago_us, _STEP) == _STEP:
        pass
    since_us: int | None = 0
    while since_us is not None:
        since_us = await database.write(inbound, before_us, since_us or 0, _STEP)


def keys(before_us: int, limit: int) -> Unit[int]:
    rows = yield from query_values(named.idempotency_old(before=before_us, limit=limit))
    yield from query(named.idempotency_prune(sorted((row[0], row[1]) for row in rows), before=before_us))
    return len(rows)


def orphans(before_us: int, limit: int) -> Unit[int]:
    rows = yield from query_values(named.unmatched_receipts_old(before=before_us, limit=limit))
    yield from query(named.unmatched_receipts_prune(sorted((row[0], row[1], row[2], row[3]) for row in rows)))
    return len(rows)


def inbound(before_us: int, since_us: int, limit: int) -> Unit[int | None]:
    """Deletes from `since_us` on; gives the time to go on from, None at the end."""
    rows = yield from query_values(named.inbound_old(before=before_us, since=since_us, limit=limit))
    yield from query(named.inbound_prune(sorted((row[0], row[1], row[2]) for row in rows)))
    if len(rows) < limit:
        return None
    last = rows[-1][3]
    return last if last > since_us else last + 1  # more of one moment than a step deletes: the rest later


def lanes_of_phone(org_no: int, phone_no: int) -> Unit[int]:
    """Deletes empty lanes of a deleted phone."""
    return len((yield from query(named.lanes_delete_of_phone(org_no=org_no, phone_no=phone_no, limit=_STEP))))


def pace_of_phone(org_no: int, phone_no: int, now_us: int) -> Unit[int]:
    """Deletes the starts and holds of a deleted phone."""
    yield from query(named.holds_delete_of_phone(org_no=org_no, phone_no=phone_no))
    return len((yield from query(named.pace_log_prune(org_no=org_no, phone_no=phone_no, before=now_us + 1))))
