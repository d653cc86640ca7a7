"""Tests of throttles by the network: for a chat, a phone, or all phones of an account, and after a restart."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.outcome import Scope, SessionDown, Throttled
from heliograph.domain.jobs.states import State
from heliograph.ports.provider import SendRequest, SessionState
from tests.sender.senders import Member, Senders, open_senders


@pytest.fixture
async def senders(tmp_path: Path) -> AsyncIterator[Senders]:
    async with open_senders(tmp_path / "heliograph.db", tmp_path / "journal.db", phones=2) as opened:
        yield opened


def _asks_once(member: Member, outcome: object) -> None:
    """Makes the provider's next outcome this one."""
    sending_on, left = member.provider.send, 1

    async def send(request: SendRequest) -> Any:
        nonlocal left
        left -= 1
        return outcome if left >= 0 else await sending_on(request)

    member.provider.send = send  # type: ignore[method-assign]


async def _sent_after(senders: Senders, member: Member, job_id: int) -> float:
    times = [when for when, sent in member.sends if sent == unique_id(job_id)]  # type: ignore[arg-type]
    return times[-1]


async def _ready(senders: Senders, member: Member) -> None:
    for phone in senders.phones:
        await senders.until_state(await senders.put("hello", phone=phone), State.SENT)
    assert len(member.sender.owned) == 2


@pytest.mark.parametrize(
    ("scope", "other_chat_waits", "other_phone_waits"),
    [(Scope.CHAT, False, False), (Scope.PHONE, True, False), (Scope.APP, True, True)],
)
async def test_a_wait_reaches_as_far_as_its_scope(
    senders: Senders, scope: Scope, other_chat_waits: bool, other_phone_waits: bool
) -> None:
    member = await senders.join()
    await _ready(senders, member)
    _asks_once(member, Throttled("slow_down", "Wait.", 30.0, scope))
    asked = await senders.put("a")
    member.sender.phones([senders.phone.phone_no])

    async def throttled() -> bool:
        return (await senders.get(asked)).reason == "slow_down"

    await senders.clock.until(throttled)
    began = senders.clock.monotonic()
    same_chat = await senders.put("a")
    other_chat = await senders.put("b")
    other_phone = await senders.put("c", phone=senders.phones[1])
    for job in (asked, same_chat, other_chat, other_phone):
        await senders.until_state(job, State.SENT, limit_s=60)
    assert await _sent_after(senders, member, asked) - began >= 29
    assert await _sent_after(senders, member, same_chat) - began >= 29
    assert (await _sent_after(senders, member, other_chat) - began >= 29) is other_chat_waits
    assert (await _sent_after(senders, member, other_phone) - began >= 29) is other_phone_waits
    assert (await senders.get(asked)).attempts == 1


async def test_a_wait_is_kept_by_the_next_owner(senders: Senders) -> None:
    first = await senders.join("a")
    await _ready(senders, first)
    _asks_once(first, Throttled("slow_down", "Wait.", 60.0, Scope.PHONE))
    asked = await senders.put("a")
    first.sender.phones([senders.phone.phone_no])

    async def throttled() -> bool:
        row = await senders.stores.phones.phone_row(senders.phone.org_no, senders.phone.phone_no)
        return row is not None and row.hold_until_us is not None

    await senders.clock.until(throttled)
    began = senders.clock.monotonic()
    await senders.crash(first)
    second = await senders.join("b")
    await senders.until_state(asked, State.SENT, limit_s=90)
    assert await _sent_after(senders, second, asked) - began >= 58


async def test_a_session_that_comes_back_does_not_end_a_wait_that_the_network_asked_for(senders: Senders) -> None:
    member = await senders.join()
    await _ready(senders, member)
    _asks_once(member, Throttled("slow_down", "Wait.", 30.0, Scope.PHONE))
    asked = await senders.put("a")
    member.sender.phones([senders.phone.phone_no])

    async def throttled() -> bool:
        return (await senders.get(asked)).reason == "slow_down"

    await senders.clock.until(throttled)
    began = senders.clock.monotonic()
    for state in (SessionState.OFFLINE, SessionState.CONNECTED):
        await senders.clock.forward(2)
        await member.sender.events.session(senders.phone.phone_no, state)
    await senders.until_state(asked, State.SENT, limit_s=60)
    assert await _sent_after(senders, member, asked) - began >= 29


async def test_a_session_that_was_down_continues_as_soon_as_it_is_up(senders: Senders) -> None:
    member = await senders.join()
    await _ready(senders, member)
    _asks_once(member, SessionDown("offline", "Offline."))
    asked = await senders.put("a")
    member.sender.phones([senders.phone.phone_no])

    async def throttled() -> bool:
        return (await senders.get(asked)).reason == "offline"

    await senders.clock.until(throttled)
    began = senders.clock.monotonic()
    await member.sender.events.session(senders.phone.phone_no, SessionState.CONNECTED)
    await senders.until_state(asked, State.SENT, limit_s=2)
    assert senders.clock.monotonic() - began < 1
    assert (await senders.get(asked)).attempts == 1
