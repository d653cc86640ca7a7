"""Crashes, stalls, lost answers and an absent database: nothing is lost, shown twice, or left on its way for ever."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.outcome import Outcome, Scope, Throttled
from heliograph.domain.jobs.states import State
from heliograph.ports.faultpoint import Point, arm
from heliograph.ports.provider import Receipt, SendRequest
from tests.sender.setup import World, sending


@pytest.fixture(params=["sqlite", "postgresql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    where = tmp_path / "heliograph.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with sending(where, tmp_path / "journal.db") as opened:
        yield opened


async def _starts(world: World, member_sends: list[tuple[float, str]], count: int) -> None:
    async def begun() -> bool:
        return len(member_sends) >= count

    await world.clock.until(begun)


async def test_a_chat_has_one_message_in_flight_and_a_phone_as_many_as_its_provider_may(world: World) -> None:
    member = await world.join()
    jobs = [await world.put("14"), await world.put("14")]
    world.network.contacts.update({f"slow{n}@c.us": "14" for n in range(50)})
    others = [await world.put(f"slow{n}") for n in range(50)]
    await world.clock.forward(5)
    assert len(member.sends) == 32
    assert unique_id(jobs[1]) not in {sent for _, sent in member.sends}
    await world.until_state(jobs[1], State.SENT)
    await world.until_settled()
    order = [row["message_id"] for row in await world.journal() if row["chat_id"].startswith("1202")]
    assert order == [unique_id(job) for job in jobs]
    assert {(await world.get(job)).attempts for job in others} == {1}


async def test_a_crash_in_the_middle_of_an_attempt_sends_the_same_id_again_and_shows_it_once(world: World) -> None:
    first = await world.join("a")
    job_id, behind = await world.put("14"), await world.put("14")
    await _starts(world, first.sends, 1)
    await world.crash(first)
    assert (await world.get(job_id)).state is State.SENDING
    second = await world.join("b")
    await world.until_state(job_id, State.SENT)
    await world.until_state(behind, State.SENT)
    assert [sent for _, sent in second.sends] == [unique_id(job_id), unique_id(behind)]
    assert await world.shown() == {unique_id(job_id): 1, unique_id(behind): 1}
    assert "recovered" in await world.kinds(job_id)


async def test_a_crash_in_the_middle_of_an_attempt_whose_id_is_not_honoured_ends_uncertain(world: World) -> None:
    first = await world.join("a")
    job_id, behind = await world.put("66"), await world.put("66")
    await _starts(world, first.sends, 1)
    await world.crash(first)
    second = await world.join("b")
    await world.until_state(job_id, State.UNCERTAIN)
    began = world.clock.monotonic()
    await world.until_state(behind, State.UNCERTAIN)
    assert world.clock.monotonic() - began >= 19
    assert unique_id(job_id) not in {sent for _, sent in second.sends}
    assert await world.shown() == {unique_id(job_id): 1, unique_id(behind): 1}


async def test_a_message_that_ends_its_process_four_times_is_parked_and_lets_others_go_on(world: World) -> None:
    poison, behind = await world.put("14"), await world.put("14")
    for n in range(4):
        member = await world.join(f"sender-{n}")
        await _starts(world, member.sends, 1)
        await world.crash(member)
    await world.join("last")
    job = await world.until_state(poison, State.FAILED)
    assert (job.reason, job.attempts, job.maybe_sent) == ("poison", 4, True)
    await world.until_state(behind, State.SENT)


async def test_receipts_that_come_right_after_a_crash_are_not_lost(world: World) -> None:
    first = await world.join("a")
    job_id = await world.put("66")
    await _starts(world, first.sends, 1)
    await world.crash(first)
    world.network.contacts[(await world.get(job_id)).chat_id] = "66"
    second = await world.join("b")
    second.shell.slow_s = 0.3  # its writes are slow: the receipt is there before the attempt is settled

    async def connected() -> bool:
        return second.sender.owned != {}

    await world.clock.until(connected)
    telling = asyncio.ensure_future(
        second.sender.inflow.receipts(
            world.phone.phone_no, [Receipt(3, world.clock.now_us(), unique_id=unique_id(job_id))]
        )
    )
    job = await world.until_state(job_id, State.SENT, ack=3, limit_s=15)
    await telling
    assert job.attempts == 1


async def test_a_sender_whose_heartbeat_stalls_stops_before_its_lease_ends_and_begins_anew(world: World) -> None:
    member = await world.join("a")
    await world.until_state(await world.put("00"), State.SENT)
    token = member.sender.owned[world.phone.phone_no].token
    heartbeat = member.sender._deps.store.heartbeat

    async def stalled(owner: str, *, first: bool = False) -> None:
        await world.clock.sleep(15)
        raise OSError("no way to the database")

    member.sender._deps.store.heartbeat = stalled  # type: ignore[method-assign,assignment]
    beats_end = world.clock.monotonic()
    jobs = []
    for _ in range(14):
        jobs.append(await world.put("00"))
        member.sender.phones([world.phone.phone_no])
        await world.clock.forward(1)
    assert max(when for when, _ in member.sends) <= beats_end + 8.0
    assert (await world.get(jobs[-1])).state is State.QUEUED
    member.sender._deps.store.heartbeat = heartbeat  # type: ignore[method-assign]
    for job in jobs:
        await world.until_state(job, State.SENT, limit_s=30)
    assert member.sender.owned[world.phone.phone_no].token > token
    assert set((await world.shown()).values()) == {1}


async def test_a_start_whose_lease_ran_out_meanwhile_is_taken_back_when_the_lease_is_good_again(world: World) -> None:
    """The start was stored, the answer came after the lease's end by our clock, and then the beat came through."""
    member = await world.join("a")
    await world.until_state(await world.put("00"), State.SENT)
    own = member.sender._own
    job_id = await world.put("66")
    good_until = own.good_until
    advance = member.sender._deps.store.settle_and_start

    async def late(*args: object, **more: object) -> object:
        done = await advance(*args, **more)  # type: ignore[arg-type]
        if done.started:
            own.good_until = world.clock.monotonic()  # as if the answer had taken seconds
        return done

    member.sender._deps.store.settle_and_start = late  # type: ignore[method-assign,assignment]
    member.sender.phones([world.phone.phone_no])

    async def left() -> bool:
        return (await world.get(job_id)).state is State.SENDING or own.good_until < good_until

    await world.clock.until(left)
    await world.clock.idle()
    member.sender._deps.store.settle_and_start = advance  # type: ignore[method-assign]
    own.good_until = good_until
    job = await world.until_state(job_id, State.UNCERTAIN, limit_s=6)
    assert job.reason == "answer_lost"  # it was tried, once
    assert (await world.shown())[unique_id(job_id)] == 1


async def test_lost_answers_to_commits_leave_nothing_on_its_way_and_send_nothing_twice(world: World) -> None:
    member = await world.join("a")
    jobs = []
    for n in range(40):
        jobs.append(await world.put(f"chat{n % 9}"))
        if n % 4 == 0:
            member.shell.lose = 2
        member.sender.phones([world.phone.phone_no])
        await world.clock.forward(0.05)
    for job in jobs:
        await world.until_state(job, State.SENT, ack=4)
    assert member.shell.lost >= 3
    assert set((await world.shown()).values()) == {1}
    assert len(await world.journal()) == 40
    by_chat: dict[str, list[str]] = {}
    for row in await world.journal():
        by_chat.setdefault(row["chat_id"], []).append(row["message_id"])
    for n in range(9):
        assert by_chat[f"chat{n}@c.us"] == [unique_id(job) for job in jobs[n::9]]


async def test_an_answer_that_is_lost_again_and_again_is_mended_when_it_comes_through(world: World) -> None:
    member = await world.join("a")
    await world.until_state(await world.put("00"), State.SENT)
    job_id = await world.put("00")
    member.shell.lose = 7
    await world.until_state(job_id, State.SENT, ack=4)
    job = await world.get(job_id)
    assert (job.attempts, job.starts) == (1, 0)
    assert (await world.shown())[unique_id(job_id)] == 1


async def test_a_database_that_is_away_for_a_while_stops_nothing_for_good(world: World) -> None:
    member = await world.join("a")
    for away_s in (0.5, 4.0, 30.0):
        slow, quick = await world.put("14"), await world.put("00")
        member.sender.phones([world.phone.phone_no])
        await world.clock.forward(0.3)
        member.shell.away = True
        await world.clock.forward(away_s)
        member.shell.away = False
        began = world.clock.monotonic()
        await world.until_state(quick, State.SENT, ack=4, limit_s=20)
        await world.until_state(slow, State.SENT, ack=4, limit_s=40)
        later = await world.put("00")
        member.sender.phones([world.phone.phone_no])
        await world.until_state(later, State.SENT, limit_s=12)
        assert world.clock.monotonic() - began < 40
    assert set((await world.shown()).values()) == {1}


async def test_a_database_that_fails_while_a_phone_is_taken_does_not_lose_the_phone(world: World) -> None:
    job_id = await world.put("00")
    member = await world.join("a")
    store = member.sender._deps.store
    interrupted = store.interrupted_jobs

    async def once(*args: object) -> object:
        store.interrupted_jobs = interrupted  # type: ignore[method-assign]
        raise OSError("the connection broke")

    store.interrupted_jobs = once  # type: ignore[method-assign,assignment]
    await world.until_state(job_id, State.SENT, limit_s=12)
    assert member.said("phone_failed") == 1


async def test_a_session_that_cannot_be_opened_at_first_is_opened_later(world: World) -> None:
    job_id = await world.put("00")
    member = await world.join("a")
    opening, fails = member.provider.open, 3

    async def sometimes(*args: object) -> None:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise OSError("no way to the network")
        await opening(*args)  # type: ignore[arg-type]

    member.provider.open = sometimes  # type: ignore[method-assign,assignment]
    await world.until_state(job_id, State.SENT, limit_s=30)


async def test_a_provider_that_fails_is_an_unknown_outcome_and_the_phone_goes_on(world: World) -> None:
    member = await world.join("a")
    sending, fails = member.provider.send, 1

    async def sometimes(request: object) -> object:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise RuntimeError("a defect")
        return await sending(request)  # type: ignore[arg-type]

    member.provider.send = sometimes  # type: ignore[method-assign,assignment]
    job_id = await world.put("00")
    job = await world.until_state(job_id, State.SENT)
    assert (job.attempts, member.said("provider_failed")) == (2, 1)


async def test_a_wait_that_was_asked_for_as_the_store_went_away_is_written_when_it_is_back(world: World) -> None:
    member = await world.join()

    async def wait(_request: SendRequest) -> Outcome:
        arm(goes_away)
        return Throttled("slow_down", "Wait.", 3600.0, Scope.PHONE)

    def goes_away(point: Point) -> None:
        """After the transaction that settles it, before the wait is written."""
        if point == "send.after":
            arm(lambda point: setattr(member.shell, "away", point == "settle.after" or member.shell.away))

    member.provider.send = wait  # type: ignore[method-assign, assignment]
    try:
        asked = await world.put("a")
        member.sender.phones([world.phone.phone_no])
        await world.clock.forward(3)
    finally:
        arm(lambda _point: None)
    assert member.shell.away
    member.shell.away = False
    assert (await world.get(asked)).reason == "slow_down"

    async def told() -> bool:
        row = await world.store.phone_row(world.phone.org_no, world.phone.phone_no)
        return row is not None and row.hold_until_us is not None

    await world.clock.until(told, limit_s=5)
