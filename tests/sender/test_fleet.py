"""Tests of several senders on one PostgreSQL: shares, hand-overs, take-overs, and no write by a former owner."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.states import State
from heliograph.ports.provider import SessionState
from heliograph.sender import sender
from tests.kit.database import fetch_rows
from tests.sender.senders import Member, Senders


async def _shares(senders: Senders, *wanted: int) -> None:
    async def fair() -> bool:
        held = [set(member.sender.owned) for member in senders.members if not member.task.done()]
        assert sum(len(phones) for phones in held) == len(set().union(*held)), "two senders own one phone"
        return sorted(len(phones) for phones in held) == sorted(wanted)

    await senders.clock.until(fair, limit_s=30)


async def test_senders_share_the_phones_as_they_join_and_leave(fleet: Senders) -> None:
    first = await fleet.join("a")
    await _shares(fleet, 4)
    await fleet.join("b")
    await _shares(fleet, 2, 2)
    await fleet.join("c")
    await _shares(fleet, 2, 1, 1)
    began = fleet.clock.monotonic()
    await _stop(fleet, first)
    await _shares(fleet, 2, 2)
    assert fleet.clock.monotonic() - began < 4


async def _stop(senders: Senders, member: Member) -> None:
    stopping = asyncio.ensure_future(member.sender.stop())

    async def stopped() -> bool:
        return stopping.done()

    await senders.clock.until(stopped, limit_s=10)
    stopping.result()
    member.task.cancel()
    await asyncio.gather(member.task, return_exceptions=True)


async def test_a_hand_over_takes_two_seconds_at_most_and_leaves_nothing_half_done(fleet: Senders) -> None:
    first = await fleet.join("a")
    await _shares(fleet, 4)
    slow = [await fleet.put("14", phone=phone) for phone in fleet.phones]
    quick = [await fleet.put(f"chat{n}", phone=phone) for n in range(20) for phone in fleet.phones]
    for phone in fleet.phones:
        first.sender.phones([phone.phone_no])
    second = await fleet.join("b")
    began = fleet.clock.monotonic()
    await _stop(fleet, first)
    assert fleet.clock.monotonic() - began <= 2.5
    for job in [*slow, *quick]:
        await fleet.until_state(job, State.SENT)
    assert len(second.sender.owned) == 4
    assert set((await fleet.shown()).values()) == {1}


async def test_a_hand_over_makes_no_message_uncertain_that_was_not_tried(fleet: Senders) -> None:
    first = await fleet.join("a")
    await _shares(fleet, 4)
    fleet.network.contacts.update({f"never{n}@c.us": "66" for n in range(30)})
    jobs = [await fleet.put(f"never{n}") for n in range(30)]
    first.database.slow_s = 0.05  # so that starts are under way when it stops
    first.sender.phones([fleet.phone.phone_no])
    await fleet.clock.forward(0.06)
    await _stop(fleet, first)
    await fleet.join("b")
    for job in jobs:
        await fleet.until_state(job, State.UNCERTAIN)
    tried = {row["message_id"] for row in await fleet.journal()}
    assert tried == {unique_id(job) for job in jobs}
    assert {(await fleet.get(job)).reason for job in jobs} == {"answer_lost"}


async def test_a_sender_that_dies_is_followed_within_fifteen_seconds(fleet: Senders) -> None:
    first = await fleet.join("a")
    await fleet.join("b")
    await _shares(fleet, 2, 2)
    jobs = [await fleet.put("14", phone=phone) for phone in fleet.phones]
    await fleet.clock.forward(3)
    await fleet.crash(first)
    began = fleet.clock.monotonic()
    await _shares(fleet, 4)
    assert fleet.clock.monotonic() - began <= 15
    for job in jobs:
        await fleet.until_state(job, State.SENT)
    assert set((await fleet.shown()).values()) == {1}


async def test_a_sender_that_stood_still_past_its_lease_finds_itself_replaced(fleet: Senders) -> None:
    first = await fleet.join("a")
    await _shares(fleet, 4)
    second = await fleet.join("b")
    await _shares(fleet, 2, 2)
    first.database.away = True  # it goes on by itself, but its database is gone
    jobs = [await fleet.put(f"chat{n}", phone=phone) for n in range(5) for phone in fleet.phones]

    async def taken() -> bool:
        return len(second.sender.owned) == 4

    await fleet.clock.until(taken, limit_s=15)
    # private: only its own leases know until when they are good
    assert first.sender.owned == {} or fleet.clock.monotonic() < first.sender._own.good_until + 5
    for job in jobs:
        await fleet.until_state(job, State.SENT)
    first.database.away = False
    await _shares(fleet, 2, 2)
    assert set((await fleet.shown()).values()) == {1}


@pytest.mark.timeout(300)
async def test_a_hundred_take_overs_write_nothing_by_a_former_owner(fleet: Senders) -> None:
    """The former owner works on in the belief that its lease is good; only the store refuses it."""
    members = [await fleet.join(name, lease_s=1.0) for name in ("a", "b")]
    await _shares(fleet, 2, 2)
    jobs = []
    takeovers = 0
    tokens = {phone.phone_no: 0 for phone in fleet.phones}
    for turn in range(60):
        zombie, heir = members[turn % 2], members[(turn + 1) % 2]
        beat = zombie.stores.leases.heartbeat
        revived = asyncio.Event()
        zombie.stores.leases.heartbeat = _stand_still(revived)  # type: ignore[method-assign]
        zombie.sender._own.good_until = float("inf")  # private: a program never believes in a lease for ever
        jobs += [await fleet.put(f"chat{turn % 3}", phone=phone) for phone in fleet.phones]
        for one in members:
            one.sender.phones(tokens)

        async def inherited(heir: Member = heir) -> bool:
            return len(heir.sender.owned) == len(fleet.phones)

        await fleet.clock.until(inherited, limit_s=10)
        for phone_no, owned in heir.sender.owned.items():
            assert owned.token >= tokens[phone_no]
            takeovers += owned.token > tokens[phone_no]
            tokens[phone_no] = owned.token
        jobs += [await fleet.put(f"chat{turn % 3}", phone=phone) for phone in fleet.phones]
        for one in members:
            one.sender.phones(tokens)  # the former owner tries, too
        await fleet.clock.forward(0.2)
        zombie.stores.leases.heartbeat = beat  # type: ignore[method-assign]
        zombie.sender._own.good_until = 0.0  # private: as above
        revived.set()
        await fleet.clock.forward(0.5)
    assert takeovers >= 100
    for job in jobs:
        await fleet.until_state(job, State.SENT)
    assert {row["shown"] for row in await fleet.journal()} == {1}
    assert len(await fleet.journal()) == len(jobs)
    await _tokens_never_go_down(fleet)


def _stand_still(until: asyncio.Event) -> Callable[..., Any]:
    """A heartbeat that does not end before the event, and then fails."""

    async def heartbeat(*_what: object, **_more: object) -> None:
        await until.wait()
        raise OSError("stood still")

    return heartbeat


async def _tokens_never_go_down(senders: Senders) -> None:
    events = await fetch_rows(
        senders.location,
        "SELECT j.phone_no, e.at, e.token FROM events e JOIN jobs j ON j.org_no = e.org_no AND j.job_id = e.job_id "
        "WHERE e.actor = 'engine' ORDER BY j.phone_no, e.at, e.token",
    )
    assert events
    for earlier, later in pairwise(events):
        if earlier["phone_no"] == later["phone_no"]:
            assert earlier["token"] <= later["token"], "a former owner wrote after the new one"


async def _frozen_while_opening(fleet: Senders, where: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """`a` stands still at `where` while it opens its phones, and wakes up when `b` has long taken them over. Gives
    the network's sessions before that and after."""
    first = await fleet.join("a", lease_s=3.0)
    frozen, waiting = asyncio.Event(), 0
    target: Any = {"recover": first.stores.sender, "open": first.watched}[where]
    name = {"recover": "interrupted_jobs", "open": "open"}[where]
    inner = getattr(target, name)

    async def stands_still(*what: Any) -> Any:
        nonlocal waiting
        waiting += 1
        await frozen.wait()
        return await inner(*what)

    setattr(target, name, stands_still)
    await fleet.clock.until(lambda: waiting == len(fleet.phones), limit_s=5)
    beat = first.stores.leases.heartbeat
    first.stores.leases.heartbeat = _stand_still(frozen)  # type: ignore[method-assign]
    second = await fleet.join("b", lease_s=3.0)

    async def taken() -> bool:
        return len(second.sender.owned) == len(fleet.phones) and all(
            owned.session is SessionState.CONNECTED for owned in second.sender.owned.values()
        )

    await fleet.clock.until(taken, limit_s=15)
    sessions = dict(fleet.network.sessions)
    setattr(target, name, inner)
    first.stores.leases.heartbeat = beat  # type: ignore[method-assign]
    frozen.set()
    await fleet.clock.forward(0.5)
    return sessions, dict(fleet.network.sessions)


async def test_a_sender_that_froze_before_it_opened_a_phone_leaves_the_next_session_alone(
    fleet: Senders,
) -> None:
    before, after = await _frozen_while_opening(fleet, "recover")
    assert len(before) == len(fleet.phones)
    assert all(after[name] is session for name, session in before.items())


async def test_a_session_that_another_sender_ended_is_opened_again_by_its_owner(fleet: Senders) -> None:
    """The network accepts the last connection, so a frozen sender ends the owner's session unnoticed."""
    before, after = await _frozen_while_opening(fleet, "open")
    assert all(after[name] is not session for name, session in before.items())
    jobs = [await fleet.put(f"chat{n}", phone=phone) for n in range(3) for phone in fleet.phones]
    for job in jobs:
        await fleet.until_state(job, State.SENT, limit_s=30)
    assert set((await fleet.shown()).values()) == {1}


async def test_a_session_without_any_event_is_opened_again(fleet: Senders) -> None:
    """A frozen sender came in between, so the first session event was lost."""
    member = await fleet.join("a", lease_s=3.0)
    opened: list[int] = []
    inner = member.watched.open

    async def open_in_silence(phone: Any, sink: Any) -> None:
        opened.append(phone.phone_no)
        if opened.count(phone.phone_no) > 1:
            await inner(phone, sink)

    member.watched.open = open_in_silence  # type: ignore[method-assign]
    jobs = [await fleet.put("chat", phone=phone) for phone in fleet.phones]
    for job in jobs:
        await fleet.until_state(job, State.SENT, limit_s=40)
    assert {opened.count(phone.phone_no) for phone in fleet.phones} == {2}


async def test_a_second_loop_is_begun_when_the_first_has_its_phones(
    fleet: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PHONES_PER_LOOP", 3)
    first = await fleet.join("a", changes={"loops": 2})
    await _shares(fleet, 4)

    async def loops() -> list[int]:
        return [len(loop.phones) for loop in first.sender._loops]  # private: a sender does not show its loops

    async def spread() -> bool:
        return await loops() == [3, 1]

    await fleet.clock.until(spread, limit_s=10)
    jobs = [await fleet.put("chat", phone=phone) for phone in fleet.phones]
    for phone in fleet.phones:
        first.sender.phones([phone.phone_no])
    for job in jobs:
        await fleet.until_state(job, State.SENT)
    await fleet.join("b")
    await _shares(fleet, 2, 2)
    assert sum(await loops()) == 2
