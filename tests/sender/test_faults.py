"""Tests of crashes, stalls, lost answers and database outages: no message is lost, shown twice, or left in flight."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.outcome import Outcome, Scope, Throttled
from heliograph.domain.jobs.states import State
from heliograph.ports.faultpoint import Point, arm
from heliograph.ports.provider import Receipt, SendRequest
from tests.sender.senders import Senders, open_senders


@pytest.fixture(params=["sqlite", "postgresql"])
async def senders(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Senders]:
    where = tmp_path / "heliograph.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with open_senders(where, tmp_path / "journal.db") as opened:
        yield opened


async def _starts(senders: Senders, member_sends: list[tuple[float, str]], count: int) -> None:
    async def begun() -> bool:
        return len(member_sends) >= count

    await senders.clock.until(begun)


async def test_a_chat_has_one_message_in_flight_and_a_phone_as_many_as_its_provider_may(senders: Senders) -> None:
    member = await senders.join()
    jobs = [await senders.put("14"), await senders.put("14")]
    senders.network.contacts.update({f"slow{n}@c.us": "14" for n in range(50)})
    others = [await senders.put(f"slow{n}") for n in range(50)]
    await senders.clock.forward(5)
    assert len(member.sends) == 32
    assert unique_id(jobs[1]) not in {sent for _, sent in member.sends}
    await senders.until_state(jobs[1], State.SENT)
    await senders.until_settled()
    order = [row["message_id"] for row in await senders.journal() if row["chat_id"].startswith("1202")]
    assert order == [unique_id(job) for job in jobs]
    assert {(await senders.get(job)).attempts for job in others} == {1}


async def test_a_crash_in_the_middle_of_an_attempt_sends_the_same_id_again_and_shows_it_once(senders: Senders) -> None:
    first = await senders.join("a")
    job_id, behind = await senders.put("14"), await senders.put("14")
    await _starts(senders, first.sends, 1)
    await senders.crash(first)
    assert (await senders.get(job_id)).state is State.SENDING
    second = await senders.join("b")
    await senders.until_state(job_id, State.SENT)
    await senders.until_state(behind, State.SENT)
    assert [sent for _, sent in second.sends] == [unique_id(job_id), unique_id(behind)]
    assert await senders.shown() == {unique_id(job_id): 1, unique_id(behind): 1}
    assert "recovered" in await senders.kinds(job_id)


async def test_a_crash_in_the_middle_of_an_attempt_whose_id_is_not_honoured_ends_uncertain(senders: Senders) -> None:
    first = await senders.join("a")
    job_id, behind = await senders.put("66"), await senders.put("66")
    await _starts(senders, first.sends, 1)
    await senders.crash(first)
    second = await senders.join("b")
    await senders.until_state(job_id, State.UNCERTAIN)
    began = senders.clock.monotonic()
    await senders.until_state(behind, State.UNCERTAIN)
    assert senders.clock.monotonic() - began >= 19
    assert unique_id(job_id) not in {sent for _, sent in second.sends}
    assert await senders.shown() == {unique_id(job_id): 1, unique_id(behind): 1}


async def test_a_message_that_ends_its_process_four_times_fails_and_lets_others_continue(senders: Senders) -> None:
    poison, behind = await senders.put("14"), await senders.put("14")
    for n in range(4):
        member = await senders.join(f"sender-{n}")
        await _starts(senders, member.sends, 1)
        await senders.crash(member)
    await senders.join("last")
    job = await senders.until_state(poison, State.FAILED)
    assert (job.reason, job.attempts, job.maybe_sent) == ("poison", 4, True)
    await senders.until_state(behind, State.SENT)


async def test_receipts_that_come_right_after_a_crash_are_not_lost(senders: Senders) -> None:
    first = await senders.join("a")
    job_id = await senders.put("66")
    await _starts(senders, first.sends, 1)
    await senders.crash(first)
    senders.network.contacts[(await senders.get(job_id)).chat_id] = "66"
    second = await senders.join("b")
    second.database.slow_s = 0.3  # its writes are slow: the receipt is there before the attempt is settled

    async def connected() -> bool:
        return second.sender.owned != {}

    await senders.clock.until(connected)
    telling = asyncio.ensure_future(
        second.sender.events.receipts(
            senders.phone.phone_no, [Receipt(3, senders.clock.now_us(), unique_id=unique_id(job_id))]
        )
    )
    job = await senders.until_state(job_id, State.SENT, ack=3, limit_s=15)
    await telling
    assert job.attempts == 1


async def test_a_sender_whose_heartbeat_stalls_stops_before_its_lease_ends_and_begins_anew(senders: Senders) -> None:
    member = await senders.join("a")
    await senders.until_state(await senders.put("00"), State.SENT)
    token = member.sender.owned[senders.phone.phone_no].token
    heartbeat = member.stores.leases.heartbeat

    async def stalled(owner: str, *, first: bool = False) -> None:
        await senders.clock.sleep(15)
        raise OSError("no way to the database")

    member.stores.leases.heartbeat = stalled  # type: ignore[method-assign,assignment]
    beats_end = senders.clock.monotonic()
    jobs = []
    for _ in range(14):
        jobs.append(await senders.put("00"))
        member.sender.phones([senders.phone.phone_no])
        await senders.clock.forward(1)
    assert max(when for when, _ in member.sends) <= beats_end + 8.0
    assert (await senders.get(jobs[-1])).state is State.QUEUED
    member.stores.leases.heartbeat = heartbeat  # type: ignore[method-assign]
    for job in jobs:
        await senders.until_state(job, State.SENT, limit_s=30)
    assert member.sender.owned[senders.phone.phone_no].token > token
    assert set((await senders.shown()).values()) == {1}


async def test_a_start_that_is_answered_after_the_lease_ended_is_taken_back_when_the_lease_is_renewed(
    senders: Senders,
) -> None:
    """The start is stored, its answer comes after the end of the lease, and then a heartbeat renews the lease."""
    member = await senders.join("a")
    await senders.until_state(await senders.put("00"), State.SENT)
    own = member.sender._own  # private: only its own leases know until when they are good
    job_id = await senders.put("66")
    good_until = own.good_until
    advance = member.stores.sender.settle_and_start

    async def late(*args: object, **more: object) -> object:
        done = await advance(*args, **more)  # type: ignore[arg-type]
        if done.started:
            own.good_until = senders.clock.monotonic()  # as if the answer had taken seconds
        return done

    member.stores.sender.settle_and_start = late  # type: ignore[method-assign,assignment]
    member.sender.phones([senders.phone.phone_no])

    async def left() -> bool:
        return (await senders.get(job_id)).state is State.SENDING or own.good_until < good_until

    await senders.clock.until(left)
    await senders.clock.idle()
    member.stores.sender.settle_and_start = advance  # type: ignore[method-assign]
    own.good_until = good_until
    job = await senders.until_state(job_id, State.UNCERTAIN, limit_s=6)
    assert job.reason == "answer_lost"  # it was tried, once
    assert (await senders.shown())[unique_id(job_id)] == 1


async def test_lost_answers_to_commits_leave_nothing_in_flight_and_send_nothing_twice(senders: Senders) -> None:
    member = await senders.join("a")
    jobs = []
    for n in range(40):
        jobs.append(await senders.put(f"chat{n % 9}"))
        if n % 4 == 0:
            member.database.lose = 2
        member.sender.phones([senders.phone.phone_no])
        await senders.clock.forward(0.05)
    for job in jobs:
        await senders.until_state(job, State.SENT, ack=4)
    assert member.database.lost >= 3
    assert set((await senders.shown()).values()) == {1}
    assert len(await senders.journal()) == 40
    by_chat: dict[str, list[str]] = {}
    for row in await senders.journal():
        by_chat.setdefault(row["chat_id"], []).append(row["message_id"])
    for n in range(9):
        assert by_chat[f"chat{n}@c.us"] == [unique_id(job) for job in jobs[n::9]]


async def test_an_answer_that_is_lost_repeatedly_is_settled_when_it_arrives(senders: Senders) -> None:
    member = await senders.join("a")
    await senders.until_state(await senders.put("00"), State.SENT)
    job_id = await senders.put("00")
    member.database.lose = 7
    await senders.until_state(job_id, State.SENT, ack=4)
    job = await senders.get(job_id)
    assert (job.attempts, job.starts) == (1, 0)
    assert (await senders.shown())[unique_id(job_id)] == 1


async def test_a_database_that_is_away_for_a_while_stops_nothing_for_good(senders: Senders) -> None:
    member = await senders.join("a")
    for away_s in (0.5, 4.0, 30.0):
        slow, quick = await senders.put("14"), await senders.put("00")
        member.sender.phones([senders.phone.phone_no])
        await senders.clock.forward(0.3)
        member.database.away = True
        await senders.clock.forward(away_s)
        member.database.away = False
        began = senders.clock.monotonic()
        await senders.until_state(quick, State.SENT, ack=4, limit_s=20)
        await senders.until_state(slow, State.SENT, ack=4, limit_s=40)
        later = await senders.put("00")
        member.sender.phones([senders.phone.phone_no])
        await senders.until_state(later, State.SENT, limit_s=12)
        assert senders.clock.monotonic() - began < 40
    assert set((await senders.shown()).values()) == {1}


async def test_a_database_that_fails_while_a_phone_is_taken_does_not_lose_the_phone(senders: Senders) -> None:
    job_id = await senders.put("00")
    member = await senders.join("a")
    stores = member.stores
    interrupted = stores.sender.interrupted_jobs

    async def once(*args: object) -> object:
        stores.sender.interrupted_jobs = interrupted  # type: ignore[method-assign]
        raise OSError("the connection broke")

    stores.sender.interrupted_jobs = once  # type: ignore[method-assign,assignment]
    await senders.until_state(job_id, State.SENT, limit_s=12)
    assert member.times_logged("phone_failed") == 1


async def test_a_session_that_cannot_be_opened_at_first_is_opened_later(senders: Senders) -> None:
    job_id = await senders.put("00")
    member = await senders.join("a")
    opening, fails = member.provider.open, 3

    async def sometimes(*args: object) -> None:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise OSError("no way to the network")
        await opening(*args)  # type: ignore[arg-type]

    member.provider.open = sometimes  # type: ignore[method-assign,assignment]
    await senders.until_state(job_id, State.SENT, limit_s=30)


async def test_a_provider_that_fails_is_an_unknown_outcome_and_the_phone_continues(senders: Senders) -> None:
    member = await senders.join("a")
    sending, fails = member.provider.send, 1

    async def sometimes(request: object) -> object:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise RuntimeError("a defect")
        return await sending(request)  # type: ignore[arg-type]

    member.provider.send = sometimes  # type: ignore[method-assign,assignment]
    job_id = await senders.put("00")
    job = await senders.until_state(job_id, State.SENT)
    assert (job.attempts, member.times_logged("provider_failed")) == (2, 1)


async def test_a_wait_that_was_asked_for_as_the_store_went_away_is_written_when_it_is_back(senders: Senders) -> None:
    member = await senders.join()

    async def wait(_request: SendRequest) -> Outcome:
        arm(goes_away)
        return Throttled("slow_down", "Wait.", 3600.0, Scope.PHONE)

    def goes_away(point: Point) -> None:
        """Cuts the database off after the settling transaction, before the throttle is written."""
        if point == "send.after":
            arm(lambda point: setattr(member.database, "away", point == "settle.after" or member.database.away))

    member.provider.send = wait  # type: ignore[method-assign, assignment]
    try:
        asked = await senders.put("a")
        member.sender.phones([senders.phone.phone_no])
        await senders.clock.forward(3)
    finally:
        arm(lambda _point: None)
    assert member.database.away
    member.database.away = False
    assert (await senders.get(asked)).reason == "slow_down"

    async def hold_is_stored() -> bool:
        row = await senders.stores.phones.phone_row(senders.phone.org_no, senders.phone.phone_no)
        return row is not None and row.hold_until_us is not None

    await senders.clock.until(hold_is_stored, limit_s=5)
