"""Cleanup in small steps: loads and cancels that were cut off, old broadcasts, audit entries, runs and starts."""

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.clock import Clock
from heliograph.store.accounts import phones
from heliograph.store.broadcasts import lifecycle
from heliograph.store.broadcasts.jobs import cancel_enqueued
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit, query
from heliograph.store.explain import load_facts

STEP = 500
LOAD_LIMIT_US = 600_000_000  # a load that takes longer was cut off; no start is deleted sooner


async def clean_up(database: Database, clock: Clock, before_us: int) -> int:
    """Gives how many broadcasts were removed. `before_us`: what ended earlier is past its retention."""
    now_us = clock.now_us()
    below, old = JobIds(lambda: now_us - LOAD_LIMIT_US).make(), JobIds(lambda: before_us).make()
    removed = 0
    for row in await database.read(query, named.orgs_all()):
        org_no = row["org_no"]
        for half in await database.read(query, named.broadcasts_half_cancelled(org_no=org_no)):
            await cancel_enqueued(database, clock, org_no, half["phone_no"], half["broadcast_no"], half["actor"])
        stale = await database.read(
            query, named.broadcasts_stale(org_no=org_no, below=below, before=before_us, limit=100)
        )
        for each in stale:
            await _forget(database, org_no, each["broadcast_no"], each["state"], before_us)
            removed += 1
        await database.write(query, named.audit_log_prune(org_no=org_no, below=old))
        while await database.write(query, named.schedule_runs_prune(org_no=org_no, before=before_us, limit=STEP)):
            pass
    await _sweep_pace(database, now_us)
    return removed


async def _forget(database: Database, org_no: int, broadcast_no: int, state: str, before_us: int) -> None:
    """Removes a broadcast. It is marked first, so that it is neither begun nor reopened, and is found after a crash."""
    if state == "loading":
        await database.write(lifecycle.drop, org_no, broadcast_no)
    elif state != "gone":
        await database.write(query, named.broadcast_retire(org_no=org_no, broadcast_no=broadcast_no, before=before_us))
    if not await database.read(query, named.broadcast_gone(org_no=org_no, broadcast_no=broadcast_no)):
        return
    while await database.write(query, named.recipients_delete(org_no=org_no, broadcast_no=broadcast_no, limit=STEP)):
        pass

    def unit() -> Unit[None]:
        yield from query(named.broadcast_counts_delete(org_no=org_no, broadcast_no=broadcast_no))
        yield from query(named.broadcast_delete(org_no=org_no, broadcast_no=broadcast_no))

    await database.write(unit)


async def _sweep_pace(database: Database, now_us: int) -> None:
    """Deletes starts that no window of their phone's policy includes any more."""
    for phone in await database.read(phones.phones, None):
        horizon_us = round(load_facts.policy_of(phone).horizon_s * 1_000_000)
        old = named.pace_log_prune(
            org_no=phone.org_no, phone_no=phone.phone_no, before=now_us - max(horizon_us, LOAD_LIMIT_US)
        )
        while await database.write(query, old):
            pass
