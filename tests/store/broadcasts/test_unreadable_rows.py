"""One row that cannot be read stops nothing but itself, and says so."""

from pathlib import Path

import pytest

from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.schedules.recurrence import Every, Repeat
from heliograph.store.database.due_work import UndecodableRow
from tests.kit.store import change
from tests.store.broadcasts.test_broadcasts import new, row_of
from tests.store.control_setup import S, World, recipients
from tests.store.schedules import test_schedules


async def spoil(database: str, sql: str) -> None:
    await change(database if database.startswith("postgresql") else Path(database), sql)


@pytest.mark.parametrize("spoilt", ["broadcasts SET content", "broadcast_recipients SET vars"])
async def test_a_broadcast_that_cannot_be_read_is_stopped_and_stops_no_other(
    world: World, database: str, spoilt: str
) -> None:
    bad, _ = await world.steering.broadcast(new(world), recipients(2))
    good, _ = await world.steering.broadcast(new(world), recipients(2, 10))
    await spoil(database, f"UPDATE {spoilt} = '{{' WHERE broadcast_no = {bad}")
    with pytest.raises(UndecodableRow, match=queue_id(bad)):
        await world.steering.feed()
    await world.drain()
    assert (await row_of(world, good)).sent == 2
    assert len(await world.steering.broadcasts(world.org_no, None, limit=5, offset=0)) == 2
    (act,) = await world.steering.audit_log(world.org_no)
    assert (act.act, act.what, act.actor) == ("cancel", f"broadcast:{queue_id(bad)}", "gateway")
    assert act.detail.startswith("It cannot be read, and was stopped: ")


@pytest.mark.parametrize("spoilt", ["zone = 'Mars/Base'", "content = '{'"])
async def test_a_schedule_that_cannot_be_read_is_stopped_and_stops_no_other(
    world: World, database: str, spoilt: str
) -> None:
    bad, good = [
        await world.steering.schedule(test_schedules.new(world, repeat=Repeat(Every.DAY, zone="Asia/Kolkata")))
        for _ in range(2)
    ]
    await spoil(database, f"UPDATE schedules SET {spoilt} WHERE schedule_no = {bad.schedule_no}")
    world.clock.us = good.first_at_us + S
    with pytest.raises(UndecodableRow, match=queue_id(bad.schedule_no)):
        await world.steering.run_schedules()
    phones, due_us = await world.steering.run_schedules()
    assert (phones, due_us) == (set(), good.first_at_us + 86_400 * S)
    assert await test_schedules.outcomes(world, good.schedule_no) == ["queued"]
    (run,) = await world.steering.occurrences(world.org_no, bad.schedule_no, limit=5, offset=0)
    assert len(await world.steering.schedules(world.org_no, None, limit=5, offset=0)) == 2
    assert run.outcome == "refused" and run.remarks.startswith("It cannot be read, and was stopped: ")
