"""Retention of deliveries: deletes ended ones, and cancels those that wait for endpoints disabled long ago.

Promise: a waiting delivery is kept, with what it reports, as long as its endpoint may be tried again. An endpoint that
fails for five days is disabled, and what waits for one that was disabled long ago is cancelled.
Order of locks: as in `settle_and_claim.py`.
"""

from collections.abc import Sequence

from heliograph.ports.stores.maintenance_store import PrunePlace
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.webhooks.settle_and_claim import set_stream_heads


async def step(database: Database, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
    """Deletes from `place` on, by organisation and number: gives how many, and where to go on; None: the end."""
    for org_no in await database.read(_orgs):
        if org_no < place[0]:
            continue
        above = place[1] if org_no == place[0] else 0
        rows = await database.read(query, named.deliveries_page(org_no=org_no, above=above, limit=limit))
        # numbers rise with time: after the first young one there is no old one
        old = rows[: next((n for n, row in enumerate(rows) if row["created_at"] >= before_us), len(rows))]
        ended = [(org_no, row["no"]) for row in old if row["state"] != "pending"]
        gone = (await database.write(_remove, ended)) if ended else 0
        if len(old) == limit:
            return gone, (org_no, old[-1]["no"])
        if gone:
            return gone, (org_no + 1, 0)
    return 0, None


def _orgs() -> Unit[list[int]]:
    return [row["org_no"] for row in (yield from query(named.fanouts_all()))]


def _remove(keys: Sequence[tuple[int, int]]) -> Unit[int]:
    gone = [(row[0], row[1]) for row in (yield from query_values(named.deliveries_delete(keys)))]
    yield from query(named.delivery_attempts_delete(gone))
    yield from query(named.delivery_bodies_delete(gone))
    return len(gone)


async def give_up(database: Database, disabled_before_us: int, now_us: int, limit: int) -> int:
    """Cancels the next waiting deliveries of endpoints disabled before then; 0: there are none left."""
    ended = 0
    for row in await database.read(query, named.endpoints_given_up(before=disabled_before_us)):
        place = (row["org_no"], row["endpoint_no"])
        ended += await database.write(_cancel, *place, disabled_before_us, now_us, limit)
    return ended


def _cancel(org_no: int, endpoint_no: int, disabled_before_us: int, now_us: int, limit: int) -> Unit[int]:
    (endpoint,) = yield from query(named.endpoints_lock([(org_no, endpoint_no)]))
    if endpoint["disabled_at"] is None or endpoint["disabled_at"] >= disabled_before_us:
        return 0  # somebody subscribed again
    rows = yield from query(named.deliveries_waiting_for_endpoint(org_no=org_no, endpoint_no=endpoint_no, limit=limit))
    streams = sorted({(org_no, endpoint_no, row["stream"]) for row in rows})
    yield from query(named.streams_lock(streams))
    yield from query(named.deliveries_cancel(sorted((org_no, row["no"]) for row in rows), now=now_us))
    yield from set_stream_heads(streams, {})
    return len(rows)


async def org_events(database: Database, before_us: int, limit: int) -> None:
    for org_no in await database.read(_orgs):
        await database.write(query, named.org_events_prune(org_no=org_no, before=before_us, limit=limit))
