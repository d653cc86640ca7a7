"""Retention: settled jobs and what hangs on them, keys, orphaned receipts and inbound messages.

Promise: nothing goes that a webhook has yet to tell of. A step reads a bounded piece beside the writer, whatever waits
in it, and writes only to remove.
"""

from collections.abc import Sequence
from typing import Any

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.sender_store import PrunePlace
from heliograph.store.database.unit import Rows, Unit, query, query_batch
from heliograph.store.jobs.lanes import INTAKE, CounterChanges, write_counters

_STEP = 2000  # rows that go in one transaction


async def step(shell: Any, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
    """Jobs from `place` on, in the order of organisations and keys: how many went, where to go on; None: the end."""
    below = JobIds(lambda: before_us).make()
    for row in await shell.read(lambda: query("orgs_all")):
        org_no = row["org_no"]
        if org_no < place[0]:
            continue
        above = place[1] if org_no == place[0] else 0
        rows, over = await shell.read(lambda: _page(org_no, before_us, above, below, limit))  # noqa: B023
        gone = (await shell.write(lambda: prune(org_no, over, before_us))) if over else 0  # noqa: B023
        if len(rows) == limit:
            return gone, (org_no, rows[-1]["job_id"])
        if gone:
            return gone, (org_no + 1, 0)
    return 0, None


def _page(org_no: int, before_us: int, above: int, below: int, limit: int) -> Unit[tuple[Rows, list[Any]]]:
    rows = yield from query("prune_page", org_no=org_no, before=before_us, above=above, below=below, limit=limit)
    told = yield from query_batch("prune_told", [(org_no, row["job_id"]) for row in rows if row["over"]])
    ended = {row["job_id"] for row in told}
    return rows, [row for row in rows if row["job_id"] in ended]


def prune(org_no: int, rows: Sequence[Any], before_us: int) -> Unit[int]:
    """Removes these of an organisation's jobs with all that hangs on them, if they are still over."""
    yield from query_batch("queue_lock", sorted({(org_no, row["phone_no"], row["priority"], INTAKE) for row in rows}))
    gone = yield from query_batch("prune_jobs", [(org_no, row["job_id"]) for row in rows], before=before_us)
    counts = CounterChanges()
    for row in gone:
        sent = row["state"] == "sent"
        counts.add((org_no, row["phone_no"], row["priority"]), completed=-int(sent), failed=-int(not sent))
    yield from query_batch("provider_message_ids_prune", [(org_no, row["alias"]) for row in gone if row["alias"]])
    yield from query_batch("prune_events", [(org_no, row["job_id"]) for row in gone])
    yield from write_counters(INTAKE, counts)
    return len(gone)


async def rest(shell: Any, before_us: int, day_ago_us: int) -> None:
    """Keys, receipts that nobody claimed, and inbound messages."""
    while await shell.write(lambda: keys(day_ago_us, _STEP)) == _STEP:
        pass
    while await shell.write(lambda: orphans(day_ago_us, _STEP)) == _STEP:
        pass
    since_us: int | None = 0
    while since_us is not None:
        since_us = await shell.write(lambda: inbound(before_us, since_us or 0, _STEP))  # noqa: B023


def keys(before_us: int, limit: int) -> Unit[int]:
    rows = yield from query("idempotency_old", before=before_us, limit=limit)
    yield from query_batch("idempotency_drop", sorted(tuple(row) for row in rows), before=before_us)
    return len(rows)


def orphans(before_us: int, limit: int) -> Unit[int]:
    rows = yield from query("unmatched_receipts_old", before=before_us, limit=limit)
    yield from query_batch("unmatched_receipts_delete", sorted(tuple(row) for row in rows))
    return len(rows)


def inbound(before_us: int, since_us: int, limit: int) -> Unit[int | None]:
    """From `since_us` on; gives the time to go on from, None at the end."""
    rows = yield from query("inbound_old", before=before_us, since=since_us, limit=limit)
    yield from query_batch("inbound_drop", sorted((row[0], row[1], row[2]) for row in rows))
    if len(rows) < limit:
        return None
    last: int = rows[-1]["created_at"]
    return last if last > since_us else last + 1  # more of one moment than a step takes: the rest in a minute


def lanes_of_phone(org_no: int, phone_no: int) -> Unit[int]:
    """Of a deleted phone: what hangs in them is decided."""
    return len((yield from query("phone_lanes_forget", org_no=org_no, phone_no=phone_no, limit=_STEP)))


def pace_of_phone(org_no: int, phone_no: int, now_us: int) -> Unit[int]:
    """Of a deleted phone: its starts and its holds."""
    yield from query("phone_holds_forget", org_no=org_no, phone_no=phone_no)
    return len((yield from query("pace_prune", org_no=org_no, phone_no=phone_no, before=now_us + 1)))
