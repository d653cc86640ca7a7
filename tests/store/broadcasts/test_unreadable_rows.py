"""Tests of broadcasts and schedules that cannot be read: each stops alone, and says so."""

import pytest

from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.schedules.recurrence import Every, Repeat
from heliograph.store.database.due_work import UndecodableRow
from tests.kit.clocks import SECOND_US
from tests.kit.database import Location
from tests.kit.factories import recipients
from tests.kit.phone_queue import PhoneQueue
from tests.store.broadcasts.test_broadcasts import new, row_of
from tests.store.schedules import test_schedules


@pytest.mark.parametrize("spoilt", ["broadcasts SET content", "broadcast_recipients SET vars"])
async def test_a_broadcast_that_cannot_be_read_is_stopped_and_stops_no_other(
    queue: PhoneQueue, location: Location, spoilt: str
) -> None:
    bad, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(2))
    good, _ = await queue.stores.broadcasts.create_broadcast(new(queue), recipients(2, 10))
    await queue.execute(f"UPDATE {spoilt} = '{{' WHERE broadcast_no = {bad}")
    with pytest.raises(UndecodableRow, match=queue_id(bad)):
        await queue.stores.broadcasts.enqueue_recipients()
    await queue.drain()
    assert (await row_of(queue, good)).sent == 2
    assert len(await queue.stores.broadcasts.broadcasts(queue.org_no, None, limit=5, offset=0)) == 2
    (act,) = await queue.stores.control.audit_log(queue.org_no)
    assert (act.act, act.target, act.actor) == ("cancel", f"broadcast:{queue_id(bad)}", "gateway")
    assert act.detail.startswith("It cannot be read, and was stopped: ")


@pytest.mark.parametrize("spoilt", ["zone = 'Mars/Base'", "content = '{'"])
async def test_a_schedule_that_cannot_be_read_is_stopped_and_stops_no_other(
    queue: PhoneQueue, location: Location, spoilt: str
) -> None:
    bad, good = [
        await queue.stores.schedules.create_schedule(
            test_schedules.new(queue, repeat=Repeat(Every.DAY, zone="Asia/Kolkata"))
        )
        for _ in range(2)
    ]
    await queue.execute(f"UPDATE schedules SET {spoilt} WHERE schedule_no = {bad.schedule_no}")
    queue.clock.us = good.first_at_us + SECOND_US
    with pytest.raises(UndecodableRow, match=queue_id(bad.schedule_no)):
        await queue.stores.schedules.run_schedules()
    phones, due_us = await queue.stores.schedules.run_schedules()
    assert (phones, due_us) == (set(), good.first_at_us + 86_400 * SECOND_US)
    assert await test_schedules.outcomes(queue, good.schedule_no) == ["queued"]
    (run,) = await queue.stores.schedules.occurrences(queue.org_no, bad.schedule_no, limit=5, offset=0)
    assert len(await queue.stores.schedules.schedules(queue.org_no, None, limit=5, offset=0)) == 2
    assert run.outcome == "refused" and run.remarks.startswith("It cannot be read, and was stopped: ")
