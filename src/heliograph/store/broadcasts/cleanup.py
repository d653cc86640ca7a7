"""What steering leaves behind goes in small steps: cut off loads and cancels, old broadcasts, acts, runs and starts."""

from typing import Any

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.clock import Clock
from heliograph.store.accounts import phones
from heliograph.store.broadcasts import lifecycle
from heliograph.store.broadcasts.jobs import cancel_fed
from heliograph.store.database.unit import Unit, query
from heliograph.store.explain import load_facts

STEP = 500
LOAD_LIMIT_US = 600_000_000  # a load that takes longer was cut off; no start is forgotten sooner


async def sweep(shell: Any, clock: Clock, before_us: int) -> int:
    """How many broadcasts were removed. `before_us`: what ended earlier is past its retention."""
    now_us = clock.now_us()
    below, old = JobIds(lambda: now_us - LOAD_LIMIT_US).make(), JobIds(lambda: before_us).make()
    removed = 0
    for row in await shell.read(lambda: query("orgs_all")):
        org_no = row["org_no"]
        for half in await shell.read(lambda: query("broadcasts_half_cancelled", org_no=org_no)):  # noqa: B023
            await cancel_fed(shell, clock, org_no, half["phone_no"], half["broadcast_no"], half["actor"])
        stale = await shell.read(
            lambda: query("broadcasts_stale", org_no=org_no, below=below, before=before_us, limit=100)  # noqa: B023
        )
        for each in stale:
            await _forget(shell, org_no, each["broadcast_no"], each["state"], before_us)
            removed += 1
        await shell.write(lambda: query("audit_log_prune", org_no=org_no, below=old))  # noqa: B023
        while await shell.write(
            lambda: query("schedule_runs_prune", org_no=org_no, before=before_us, limit=STEP)  # noqa: B023
        ):
            pass
    await _sweep_pace(shell, now_us)
    return removed


async def _forget(shell: Any, org_no: int, broadcast_no: int, state: str, before_us: int) -> None:
    """It is taken out first: then it neither begins nor is reopened while it is removed, and is found after a crash."""
    which = {"org_no": org_no, "broadcast_no": broadcast_no}
    if state == "loading":
        await shell.write(lambda: lifecycle.drop(org_no, broadcast_no))
    elif state != "gone":
        await shell.write(lambda: query("broadcast_retire", before=before_us, **which))
    if not await shell.read(lambda: query("broadcast_gone", **which)):
        return
    while await shell.write(lambda: query("recipients_delete", limit=STEP, **which)):
        pass

    def unit() -> Unit[None]:
        yield from query("broadcast_counts_forget", **which)
        yield from query("broadcast_forget", **which)

    await shell.write(unit)


async def _sweep_pace(shell: Any, now_us: int) -> None:
    """Starts that no window of their phone's policy holds any more."""
    for phone in await shell.read(lambda: phones.phones(None)):
        horizon_us = round(load_facts.policy_of(phone).horizon_s * 1_000_000)
        which = {"org_no": phone.org_no, "phone_no": phone.phone_no, "before": now_us - max(horizon_us, LOAD_LIMIT_US)}
        while await shell.write(lambda: query("pace_prune", **which)):  # noqa: B023
            pass
