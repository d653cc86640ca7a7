"""Tests of schedules: each run comes once, at its time."""

from dataclasses import replace

import msgspec

from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.contract.broadcasts import occurrence_object
from heliograph.domain.contract.jobs import serialized_id
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.messages.content import Content, Kind
from heliograph.domain.schedules.recurrence import Every, Repeat
from heliograph.domain.schedules.schedule import Missed, Schedule
from heliograph.store.metrics import BacklogReader
from tests.kit.clocks import SECOND_US
from tests.kit.phone_queue import SENT, PhoneQueue

HOUR = 3_600 * SECOND_US
DAY = 24 * HOUR
CHAT = "911111111111@c.us"


def new(queue: PhoneQueue, **given: object) -> Schedule:
    base = Schedule(
        queue.org_no, queue.ids.make(), queue.phone_no, CHAT, Content(Kind.TEXT, "hi"), queue.clock.us + HOUR
    )
    return replace(base, **given)  # type: ignore[arg-type]


async def outcomes(queue: PhoneQueue, number: JobId) -> list[str]:
    found = await queue.stores.schedules.occurrences(queue.org_no, number, limit=100, offset=0)
    return [one.outcome for one in reversed(found)]


async def test_an_occurrence_names_its_message_as_every_other_place_does(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue, chat_id="120363297269676566@g.us"))
    queue.clock.us = made.first_at_us
    await queue.stores.schedules.run_schedules()
    for verdict in (None, msgspec.structs.replace(SENT, provider_message_id="wamid.X")):
        if verdict is not None:
            await queue.run(verdict=verdict)
        (run,) = await queue.stores.schedules.occurrences(queue.org_no, made.schedule_no, limit=10, offset=0)
        assert run.job_id is not None
        shown = occurrence_object(run, made).message_id
        assert shown == serialized_id(await queue.get(run.job_id))
        assert shown is not None and shown.endswith("_919876543210@c.us")


async def test_a_single_run_comes_at_its_time_and_once(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue))
    assert await queue.stores.schedules.run_schedules() == (set(), made.first_at_us)
    queue.clock.us = made.first_at_us
    assert await queue.stores.schedules.run_schedules() == ({queue.phone_no}, None)
    assert await queue.stores.schedules.run_schedules() == (set(), None)
    (gone,) = await queue.run(5)
    job = await queue.get(gone.job_id)
    assert (job.chat_id, job.schedule_no, job.content.body) == (CHAT, made.schedule_no, "hi")
    row = await queue.stores.schedules.schedule(queue.org_no, made.schedule_no)
    assert row is not None and (row.state, row.runs, row.next_at_us) == ("completed", 1, None)
    (run,) = await queue.stores.schedules.occurrences(queue.org_no, made.schedule_no, limit=10, offset=0)
    assert (run.outcome, run.job_id, run.state, run.at_us) == ("queued", job.job_id, "sent", made.first_at_us)


async def test_a_daily_run_comes_every_day_until_its_end(queue: PhoneQueue) -> None:
    first = queue.clock.us + HOUR
    made = await queue.stores.schedules.create_schedule(new(queue, repeat=Repeat(Every.DAY, ends_us=first + 2 * DAY)))
    for day in range(5):
        queue.clock.us = first + day * DAY
        await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["queued", "queued", "queued"]
    row = await queue.stores.schedules.schedule(queue.org_no, made.schedule_no)
    assert row is not None and row.state == "completed" and row.runs == 3


async def test_a_missed_run_is_sent_late_once(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue, repeat=Repeat(Every.DAY)))
    queue.clock.us = made.first_at_us + 3 * DAY + HOUR
    await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["late"]
    assert len(await queue.run(10)) == 1
    row = await queue.stores.schedules.schedule(queue.org_no, made.schedule_no)
    assert row is not None and row.next_at_us == made.first_at_us + 4 * DAY


async def test_a_missed_run_is_skipped_if_the_schedule_says_so(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue, repeat=Repeat(Every.DAY), missed=Missed.SKIP))
    queue.clock.us = made.first_at_us + 3 * DAY + HOUR
    await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["missed"]
    assert await queue.run(10) == []
    queue.clock.us = made.first_at_us + 4 * DAY
    await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["missed", "queued"]


async def test_a_run_a_little_late_is_not_missed(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue, missed=Missed.SKIP))
    queue.clock.us = made.first_at_us + 30 * SECOND_US
    await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["queued"]


async def test_the_next_run_is_skipped_once_when_asked(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue, repeat=Repeat(Every.DAY)))
    changed = await queue.stores.schedules.change_schedule(
        queue.org_no, made.schedule_no, lambda row: replace(row, skip_next=True)
    )
    assert isinstance(changed, Schedule) and changed.skip_next
    for day in range(2):
        queue.clock.us = made.first_at_us + day * DAY
        await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["skipped", "queued"]


async def test_a_paused_schedule_does_not_run(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue))
    await queue.stores.schedules.change_schedule(
        queue.org_no, made.schedule_no, lambda row: replace(row, paused_at_us=queue.clock.us, paused_by="Asha")
    )
    queue.clock.us = made.first_at_us + SECOND_US
    assert await queue.stores.schedules.run_schedules() == (set(), None)
    await queue.stores.schedules.change_schedule(
        queue.org_no, made.schedule_no, lambda row: replace(row, paused_at_us=None, paused_by=None)
    )
    assert (await queue.stores.schedules.run_schedules())[0] == {queue.phone_no}


async def test_a_deleted_or_completed_schedule_is_not_changed(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue))
    queue.clock.us = made.first_at_us
    await queue.stores.schedules.run_schedules()
    done = await queue.stores.schedules.change_schedule(queue.org_no, made.schedule_no, lambda row: row)
    assert done == WrongState("completed")
    assert await queue.stores.schedules.delete_schedule(queue.org_no, made.schedule_no)
    assert not await queue.stores.schedules.delete_schedule(queue.org_no, made.schedule_no)
    assert await queue.stores.schedules.schedule(queue.org_no, made.schedule_no) is None
    assert await outcomes(queue, made.schedule_no) == ["queued"]  # what it did stays


async def test_a_chat_that_said_stop_gets_no_scheduled_message(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue))
    await queue.stores.control.suppress(queue.org_no, CHAT, "STOP", "them")
    queue.clock.us = made.first_at_us
    await queue.stores.schedules.run_schedules()
    assert await outcomes(queue, made.schedule_no) == ["refused"]


async def test_other_organisations_never_see_a_schedule(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue))
    other = await queue.stores.accounts.create_org("two")
    assert await queue.stores.schedules.schedule(other.org_no, made.schedule_no) is None
    assert not await queue.stores.schedules.delete_schedule(other.org_no, made.schedule_no)
    assert await queue.stores.schedules.schedules(other.org_no, None, limit=10, offset=0) == []
    assert await queue.stores.schedules.change_schedule(other.org_no, made.schedule_no, lambda row: row) is None


async def test_a_schedule_is_counted_until_its_last_run(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue))
    await queue.stores.schedules.create_schedule(new(queue, repeat=Repeat(Every.DAY)))
    for phone_no in (queue.phone_no, None):
        assert (await queue.stores.jobs.health(queue.org_no, phone_no)).delayed == 2
    queue.clock.us = made.first_at_us
    await queue.stores.schedules.run_schedules()
    for phone_no in (queue.phone_no, None):
        assert (await queue.stores.jobs.health(queue.org_no, phone_no)).delayed == 1
    assert (await BacklogReader(queue.stores.database, queue.clock)()).scheduled == 1


async def test_runs_past_their_retention_go(queue: PhoneQueue) -> None:
    made = await queue.stores.schedules.create_schedule(new(queue, repeat=Repeat(Every.DAY)))
    for day in range(3):
        queue.clock.us = made.first_at_us + day * DAY
        await queue.stores.schedules.run_schedules()
    await queue.stores.broadcasts.clean_up_broadcasts(queue.clock.us - HOUR)
    found = await queue.stores.schedules.occurrences(queue.org_no, made.schedule_no, limit=10, offset=0)
    assert [one.at_us for one in found] == [queue.clock.us]
