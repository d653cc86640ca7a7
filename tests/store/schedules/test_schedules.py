"""Schedules: each run once, at its time or as the schedule says."""

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
from tests.store.control_setup import SENT, S, World

HOUR = 3_600 * S
DAY = 24 * HOUR
CHAT = "911111111111@c.us"


def new(world: World, **given: object) -> Schedule:
    base = Schedule(
        world.org_no, world.ids.make(), world.phone_no, CHAT, Content(Kind.TEXT, "hi"), world.clock.us + HOUR
    )
    return replace(base, **given)  # type: ignore[arg-type]


async def outcomes(world: World, number: JobId) -> list[str]:
    found = await world.steering.occurrences(world.org_no, number, limit=100, offset=0)
    return [one.outcome for one in reversed(found)]


async def test_an_occurrence_names_its_message_as_every_other_place_does(world: World) -> None:
    made = await world.steering.schedule(new(world, chat_id="120363297269676566@g.us"))
    world.clock.us = made.first_at_us
    await world.steering.run_schedules()
    for verdict in (None, msgspec.structs.replace(SENT, provider_message_id="wamid.X")):
        if verdict is not None:
            await world.step(verdict=verdict)
        (run,) = await world.steering.occurrences(world.org_no, made.schedule_no, limit=10, offset=0)
        assert run.job_id is not None
        shown = occurrence_object(run, made).message_id
        assert shown == serialized_id(await world.job(run.job_id))
        assert shown is not None and shown.endswith("_919876543210@c.us")


async def test_a_single_run_comes_at_its_time_and_once(world: World) -> None:
    made = await world.steering.schedule(new(world))
    assert await world.steering.run_schedules() == (set(), made.first_at_us)
    world.clock.us = made.first_at_us
    assert await world.steering.run_schedules() == ({world.phone_no}, None)
    assert await world.steering.run_schedules() == (set(), None)
    (gone,) = await world.step(5)
    job = await world.job(gone.job_id)
    assert (job.chat_id, job.schedule_no, job.content.body) == (CHAT, made.schedule_no, "hi")
    row = await world.steering.schedule_row(world.org_no, made.schedule_no)
    assert row is not None and (row.state, row.runs, row.next_at_us) == ("completed", 1, None)
    (run,) = await world.steering.occurrences(world.org_no, made.schedule_no, limit=10, offset=0)
    assert (run.outcome, run.job_id, run.state, run.at_us) == ("queued", job.job_id, "sent", made.first_at_us)


async def test_a_daily_run_comes_every_day_until_its_end(world: World) -> None:
    first = world.clock.us + HOUR
    made = await world.steering.schedule(new(world, repeat=Repeat(Every.DAY, ends_us=first + 2 * DAY)))
    for day in range(5):
        world.clock.us = first + day * DAY
        await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["queued", "queued", "queued"]
    row = await world.steering.schedule_row(world.org_no, made.schedule_no)
    assert row is not None and row.state == "completed" and row.runs == 3


async def test_what_was_missed_is_sent_late_once(world: World) -> None:
    made = await world.steering.schedule(new(world, repeat=Repeat(Every.DAY)))
    world.clock.us = made.first_at_us + 3 * DAY + HOUR
    await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["late"]
    assert len(await world.step(10)) == 1
    row = await world.steering.schedule_row(world.org_no, made.schedule_no)
    assert row is not None and row.next_at_us == made.first_at_us + 4 * DAY


async def test_what_was_missed_is_skipped_if_the_schedule_says_so(world: World) -> None:
    made = await world.steering.schedule(new(world, repeat=Repeat(Every.DAY), missed=Missed.SKIP))
    world.clock.us = made.first_at_us + 3 * DAY + HOUR
    await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["missed"]
    assert await world.step(10) == []
    world.clock.us = made.first_at_us + 4 * DAY
    await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["missed", "queued"]


async def test_a_run_a_little_late_is_not_missed(world: World) -> None:
    made = await world.steering.schedule(new(world, missed=Missed.SKIP))
    world.clock.us = made.first_at_us + 30 * S
    await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["queued"]


async def test_the_next_run_is_skipped_once_when_asked(world: World) -> None:
    made = await world.steering.schedule(new(world, repeat=Repeat(Every.DAY)))
    changed = await world.steering.change_schedule(
        world.org_no, made.schedule_no, lambda row: replace(row, skip_next=True)
    )
    assert isinstance(changed, Schedule) and changed.skip_next
    for day in range(2):
        world.clock.us = made.first_at_us + day * DAY
        await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["skipped", "queued"]


async def test_a_paused_schedule_does_not_run(world: World) -> None:
    made = await world.steering.schedule(new(world))
    await world.steering.change_schedule(
        world.org_no, made.schedule_no, lambda row: replace(row, paused_at_us=world.clock.us, paused_by="Asha")
    )
    world.clock.us = made.first_at_us + S
    assert await world.steering.run_schedules() == (set(), None)
    await world.steering.change_schedule(
        world.org_no, made.schedule_no, lambda row: replace(row, paused_at_us=None, paused_by=None)
    )
    assert (await world.steering.run_schedules())[0] == {world.phone_no}


async def test_a_deleted_or_completed_schedule_is_not_changed(world: World) -> None:
    made = await world.steering.schedule(new(world))
    world.clock.us = made.first_at_us
    await world.steering.run_schedules()
    done = await world.steering.change_schedule(world.org_no, made.schedule_no, lambda row: row)
    assert done == WrongState("completed")
    assert await world.steering.delete_schedule(world.org_no, made.schedule_no)
    assert not await world.steering.delete_schedule(world.org_no, made.schedule_no)
    assert await world.steering.schedule_row(world.org_no, made.schedule_no) is None
    assert await outcomes(world, made.schedule_no) == ["queued"]  # what it did stays


async def test_a_chat_that_said_stop_gets_no_scheduled_message(world: World) -> None:
    made = await world.steering.schedule(new(world))
    await world.steering.suppress(world.org_no, CHAT, "STOP", "them")
    world.clock.us = made.first_at_us
    await world.steering.run_schedules()
    assert await outcomes(world, made.schedule_no) == ["refused"]


async def test_other_organisations_never_see_a_schedule(world: World) -> None:
    made = await world.steering.schedule(new(world))
    other = await world.store.create_org("two")
    assert await world.steering.schedule_row(other.org_no, made.schedule_no) is None
    assert not await world.steering.delete_schedule(other.org_no, made.schedule_no)
    assert await world.steering.schedules(other.org_no, None, limit=10, offset=0) == []
    assert await world.steering.change_schedule(other.org_no, made.schedule_no, lambda row: row) is None


async def test_what_is_scheduled_is_counted_until_its_last_run(world: World) -> None:
    made = await world.steering.schedule(new(world))
    await world.steering.schedule(new(world, repeat=Repeat(Every.DAY)))
    for phone_no in (world.phone_no, None):
        assert (await world.store.health(world.org_no, phone_no)).delayed == 2
    world.clock.us = made.first_at_us
    await world.steering.run_schedules()
    for phone_no in (world.phone_no, None):
        assert (await world.store.health(world.org_no, phone_no)).delayed == 1
    assert (await BacklogReader(world.shell, world.clock)()).scheduled == 1


async def test_runs_past_their_retention_go(world: World) -> None:
    made = await world.steering.schedule(new(world, repeat=Repeat(Every.DAY)))
    for day in range(3):
        world.clock.us = made.first_at_us + day * DAY
        await world.steering.run_schedules()
    await world.steering.sweep_broadcasts(world.clock.us - HOUR)
    found = await world.steering.occurrences(world.org_no, made.schedule_no, limit=10, offset=0)
    assert [one.at_us for one in found] == [world.clock.us]
