"""The contract that every provider keeps (ports/provider.py), whatever network is behind it."""

import asyncio

import pytest
from msgspec.structs import replace

from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, SessionDown, Throttled, Unknown
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import SessionState
from tests.kit.provider import Ground, Notes, Unsupported, until

KINDS: list[type[Outcome]] = [Accepted, NotSent, Rejected, Throttled, SessionDown, Unknown]


async def chat(ground: Ground, kind: str) -> str:
    try:
        return await ground.prepare(kind)
    except Unsupported as reason:
        pytest.skip(f"unsupported: {reason}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_what_the_network_does_comes_back_as_a_value(ground: Ground, kind: type[Outcome]) -> None:
    outcome = await ground.send(await chat(ground, kind.__name__.lower()))
    assert type(outcome) is kind
    if not isinstance(outcome, Accepted):
        assert outcome.code and outcome.code == outcome.code.lower() and " " not in outcome.code
        assert outcome.detail.endswith(".") and ground.phone.number not in outcome.detail
    if isinstance(outcome, Throttled):
        assert outcome.retry_after_s > 0


async def test_what_was_not_taken_is_not_shown(ground: Ground) -> None:
    for kind in ("notsent", "rejected", "throttled"):
        request = ground.request(await chat(ground, kind))
        await ground.provider.send(request)
        assert await ground.shown(request) == 0


async def test_a_message_is_followed_up_to_read(ground: Ground) -> None:
    request = ground.request(await chat(ground, "accepted"))
    assert isinstance(await ground.provider.send(request), Accepted)
    await until(lambda: max(ground.acks(request), default=0) == 4)


async def test_a_lost_answer_is_settled_by_a_receipt_or_a_repeat(ground: Ground) -> None:
    request = ground.request(await chat(ground, "unknown"))
    assert isinstance(await ground.provider.send(request), Unknown)
    await until(lambda: max(ground.acks(request), default=0) >= 3)


async def test_where_ids_are_honoured_a_repeat_is_shown_once(ground: Ground) -> None:
    request = ground.request(await chat(ground, "unknown"))
    if not ground.provider.honours_client_id(request.content, request.chat_id):
        pytest.skip("unsupported: this provider does not honour ids")
    await ground.provider.send(request)
    assert isinstance(await ground.provider.send(replace(request, attempt=2)), Accepted)
    assert await ground.shown(request) == 1


async def test_where_ids_are_not_honoured_the_provider_says_so(ground: Ground) -> None:
    if ground.another is None:
        pytest.skip("unsupported: there is no such chat")
    request = ground.request(ground.another)
    assert not ground.provider.honours_client_id(request.content, request.chat_id)
    for _ in range(2):
        await ground.provider.send(request)
    assert await ground.shown(request) == 2


async def test_opening_twice_is_opening_once(ground: Ground) -> None:
    await ground.provider.open(ground.phone, ground.notes)
    request = ground.request(await chat(ground, "accepted"))
    await ground.provider.send(request)
    await until(lambda: 4 in ground.acks(request))
    await asyncio.sleep(0.1)  # a second line would bring them now
    assert sorted(set(ground.acks(request))) == sorted(ground.acks(request))


async def test_after_closing_nothing_comes_and_closing_again_does_no_harm(ground: Ground) -> None:
    request = ground.request(await chat(ground, "accepted"))
    await ground.provider.send(request)
    await ground.provider.close(ground.phone.phone_no)
    seen = len(ground.notes.got)
    await ground.provider.close(ground.phone.phone_no)
    await ground.provider.close(99)
    await asyncio.sleep(0.7)  # as long as the receipts would take
    assert len(ground.notes.got) == seen


async def test_what_was_not_confirmed_comes_when_the_session_opens_again(ground: Ground) -> None:
    if not ground.redelivers:
        pytest.skip("unsupported: this network does not hand over again")
    request = ground.request(await chat(ground, "accepted"))
    await ground.provider.send(request)
    await ground.provider.close(ground.phone.phone_no)
    later = Notes()
    await ground.provider.open(ground.phone, later)
    ground.notes = later
    await until(lambda: sorted(ground.acks(request))[-2:] == [3, 4])  # some networks tell of the server's rung too


async def test_a_receipt_is_confirmed_only_after_the_sink_stored_it(ground: Ground) -> None:
    if not ground.redelivers:
        pytest.skip("unsupported: this network does not hand over again")
    ground.notes.broken = True
    request = ground.request(await chat(ground, "accepted"))
    await ground.provider.send(request)
    await until(lambda: ground.notes.refused > 0)
    ground.notes.broken = False
    await until(lambda: sorted(ground.acks(request))[-2:] == [3, 4])  # some networks tell of the server's rung too


async def test_a_cancelled_send_leaves_the_provider_in_order(ground: Ground) -> None:
    task = asyncio.create_task(ground.send(await chat(ground, "unknown")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(await ground.send(await chat(ground, "accepted")), Accepted)


async def test_a_restart_ends_connected(ground: Ground) -> None:
    ground.notes.states.clear()
    await ground.provider.restart(ground.phone.phone_no)
    await until(lambda: ground.notes.states[-1:] == [SessionState.CONNECTED])
    assert isinstance(await ground.send(await chat(ground, "accepted")), Accepted)


async def test_what_can_never_be_sent_is_refused_by_field_and_reason(ground: Ground) -> None:
    can = ground.provider.capabilities.kinds
    assert Kind.TEXT in can
    assert ground.provider.refuses(Content(Kind.TEXT, "hello"), "919537851844@c.us") is None
    for kind in set(Kind) - can:
        refused = ground.provider.refuses(Content(kind), "919537851844@c.us")
        field = "poll" if kind is Kind.POLL else kind.value
        assert refused and refused[0] == field and len(refused[1]) > 10


async def test_shutting_down_twice_does_no_harm(ground: Ground) -> None:
    await ground.provider.shutdown()
    await ground.provider.shutdown()
