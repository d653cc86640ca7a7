"""How far a wait reaches that the network asks for: a chat, a phone, all phones of an account; and after a restart."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.outcome import Scope, SessionDown, Throttled
from heliograph.domain.jobs.states import State
from heliograph.ports.provider import SendRequest, SessionState
from tests.sender.setup import Member, World, sending


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sending(tmp_path / "heliograph.db", tmp_path / "journal.db", phones=2) as opened:
        yield opened


def _asks_once(member: Member, outcome: object) -> None:
    """The provider's next answer is this one."""
    sending_on, left = member.provider.send, 1

    async def send(request: SendRequest) -> Any:
        nonlocal left
        left -= 1
        return outcome if left >= 0 else await sending_on(request)

    member.provider.send = send  # type: ignore[method-assign]


async def _sent_after(world: World, member: Member, job_id: int) -> float:
    times = [when for when, sent in member.sends if sent == unique_id(job_id)]  # type: ignore[arg-type]
    return times[-1]


async def _ready(world: World, member: Member) -> None:
    for phone in world.phones:
        await world.until_state(await world.put("hello", phone=phone), State.SENT)
    assert len(member.sender.owned) == 2


@pytest.mark.parametrize(
    ("scope", "other_chat_waits", "other_phone_waits"),
    [(Scope.CHAT, False, False), (Scope.PHONE, True, False), (Scope.APP, True, True)],
)
async def test_a_wait_reaches_as_far_as_its_scope(
    world: World, scope: Scope, other_chat_waits: bool, other_phone_waits: bool
) -> None:
    member = await world.join()
    await _ready(world, member)
    _asks_once(member, Throttled("slow_down", "Wait.", 30.0, scope))
    asked = await world.put("a")
    member.sender.phones([world.phone.phone_no])

    async def told() -> bool:
        return (await world.get(asked)).reason == "slow_down"

    await world.clock.until(told)
    began = world.clock.monotonic()
    same_chat = await world.put("a")
    other_chat = await world.put("b")
    other_phone = await world.put("c", phone=world.phones[1])
    for job in (asked, same_chat, other_chat, other_phone):
        await world.until_state(job, State.SENT, limit_s=60)
    assert await _sent_after(world, member, asked) - began >= 29
    assert await _sent_after(world, member, same_chat) - began >= 29
    assert (await _sent_after(world, member, other_chat) - began >= 29) is other_chat_waits
    assert (await _sent_after(world, member, other_phone) - began >= 29) is other_phone_waits
    assert (await world.get(asked)).attempts == 1


async def test_a_wait_is_kept_by_the_next_owner(world: World) -> None:
    first = await world.join("a")
    await _ready(world, first)
    _asks_once(first, Throttled("slow_down", "Wait.", 60.0, Scope.PHONE))
    asked = await world.put("a")
    first.sender.phones([world.phone.phone_no])

    async def told() -> bool:
        row = await world.store.phone_row(world.phone.org_no, world.phone.phone_no)
        return row is not None and row.hold_until_us is not None

    await world.clock.until(told)
    began = world.clock.monotonic()
    await world.crash(first)
    second = await world.join("b")
    await world.until_state(asked, State.SENT, limit_s=90)
    assert await _sent_after(world, second, asked) - began >= 58


async def test_a_session_that_comes_back_does_not_end_a_wait_that_the_network_asked_for(world: World) -> None:
    member = await world.join()
    await _ready(world, member)
    _asks_once(member, Throttled("slow_down", "Wait.", 30.0, Scope.PHONE))
    asked = await world.put("a")
    member.sender.phones([world.phone.phone_no])

    async def told() -> bool:
        return (await world.get(asked)).reason == "slow_down"

    await world.clock.until(told)
    began = world.clock.monotonic()
    for state in (SessionState.OFFLINE, SessionState.CONNECTED):
        await world.clock.forward(2)
        await member.sender.inflow.session(world.phone.phone_no, state)
    await world.until_state(asked, State.SENT, limit_s=60)
    assert await _sent_after(world, member, asked) - began >= 29


async def test_a_session_that_was_down_goes_on_as_soon_as_it_is_up(world: World) -> None:
    member = await world.join()
    await _ready(world, member)
    _asks_once(member, SessionDown("offline", "Offline."))
    asked = await world.put("a")
    member.sender.phones([world.phone.phone_no])

    async def told() -> bool:
        return (await world.get(asked)).reason == "offline"

    await world.clock.until(told)
    began = world.clock.monotonic()
    await member.sender.inflow.session(world.phone.phone_no, SessionState.CONNECTED)
    await world.until_state(asked, State.SENT, limit_s=2)
    assert world.clock.monotonic() - began < 1
    assert (await world.get(asked)).attempts == 1
