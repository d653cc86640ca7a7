"""Retention of deliveries: those that have ended go, with their attempts and bodies; what waits for nobody ends.

Promise: a delivery that waits is kept, and what it tells of with it, as long as its endpoint may be tried again. That
ends: an endpoint that fails for five days is disabled, and what waits for one that was disabled long ago is cancelled.
Order of locks: as in `deliveries.py`.
"""

from collections.abc import Sequence
from typing import Any

from heliograph.ports.webhook_store import PrunePlace
from heliograph.store.database.unit import Unit, query, query_batch
from heliograph.store.webhooks.settle_and_claim import set_stream_heads


async def step(shell: Any, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
    """From `place` on, in the order of organisations and numbers: how many went, where to go on; None: the end."""
    for org_no in await shell.read(_orgs):
        if org_no < place[0]:
            continue
        above = place[1] if org_no == place[0] else 0
        rows = await shell.read(lambda: query("deliveries_page", org_no=org_no, above=above, limit=limit))  # noqa: B023
        # numbers rise with time: behind the first young one there is nothing old
        old = rows[: next((n for n, row in enumerate(rows) if row["created_at"] >= before_us), len(rows))]
        ended = [(org_no, row["no"]) for row in old if row["state"] != "pending"]
        gone = (await shell.write(lambda: _remove(ended))) if ended else 0  # noqa: B023
        if len(old) == limit:
            return gone, (org_no, old[-1]["no"])
        if gone:
            return gone, (org_no + 1, 0)
    return 0, None


def _orgs() -> Unit[list[int]]:
    return [row["org_no"] for row in (yield from query("fanouts_all"))]


def _remove(keys: Sequence[tuple[int, int]]) -> Unit[int]:
    gone = [(row[0], row[1]) for row in (yield from query_batch("deliveries_delete", keys))]
    yield from query_batch("attempts_delete", gone)
    yield from query_batch("bodies_delete", gone)
    return len(gone)


async def give_up(shell: Any, disabled_before_us: int, now_us: int, limit: int) -> int:
    """Ends the next piece of what waits for endpoints that were disabled before then; 0: there is none left."""
    ended = 0
    for row in await shell.read(lambda: query("endpoints_given_up", before=disabled_before_us)):
        place = (row["org_no"], row["endpoint_no"])
        ended += await shell.write(lambda: _cancel(*place, disabled_before_us, now_us, limit))  # noqa: B023
    return ended


def _cancel(org_no: int, endpoint_no: int, disabled_before_us: int, now_us: int, limit: int) -> Unit[int]:
    (endpoint,) = yield from query_batch("endpoints_lock", [(org_no, endpoint_no)])
    if endpoint["disabled_at"] is None or endpoint["disabled_at"] >= disabled_before_us:
        return 0  # somebody subscribed again
    rows = yield from query("deliveries_left", org_no=org_no, endpoint_no=endpoint_no, limit=limit)
    streams = sorted({(org_no, endpoint_no, str(row["stream"])) for row in rows})
    yield from query_batch("streams_lock", streams)
    yield from query_batch("deliveries_cancel", sorted((org_no, row["no"]) for row in rows), now=now_us)
    yield from set_stream_heads(streams, {})
    return len(rows)


async def org_events(shell: Any, before_us: int, limit: int) -> None:
    for org_no in await shell.read(_orgs):
        await shell.write(lambda: query("org_events_prune", org_no=org_no, before=before_us, limit=limit))  # noqa: B023
