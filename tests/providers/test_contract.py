"""Tests of the contract that every provider keeps (ports/provider.py), on each network."""

import asyncio

import pytest
from msgspec.structs import replace

from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, SessionDown, Throttled, Unknown
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import SessionState
from tests.kit.provider import ProviderCase, RecordingSink, Unsupported
from tests.kit.until import until

KINDS: list[type[Outcome]] = [Accepted, NotSent, Rejected, Throttled, SessionDown, Unknown]


async def chat(case: ProviderCase, kind: str) -> str:
    try:
        return await case.prepare(kind)
    except Unsupported as reason:
        pytest.skip(f"unsupported: {reason}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_what_the_network_does_comes_back_as_a_value(case: ProviderCase, kind: type[Outcome]) -> None:
    outcome = await case.send(await chat(case, kind.__name__.lower()))
    assert type(outcome) is kind
    if not isinstance(outcome, Accepted):
        assert outcome.code and outcome.code == outcome.code.lower() and " " not in outcome.code
        assert outcome.detail.endswith(".") and case.phone.number not in outcome.detail
    if isinstance(outcome, Throttled):
        assert outcome.retry_after_s > 0


async def test_a_message_that_was_not_accepted_is_not_shown(case: ProviderCase) -> None:
    for kind in ("notsent", "rejected", "throttled"):
        request = case.request(await chat(case, kind))
        await case.provider.send(request)
        assert await case.shown(request) == 0


async def test_a_message_is_followed_up_to_read(case: ProviderCase) -> None:
    request = case.request(await chat(case, "accepted"))
    assert isinstance(await case.provider.send(request), Accepted)
    await until(lambda: max(case.acks(request), default=0) == 4)


async def test_a_lost_answer_is_settled_by_a_receipt_or_a_repeat(case: ProviderCase) -> None:
    request = case.request(await chat(case, "unknown"))
    assert isinstance(await case.provider.send(request), Unknown)
    await until(lambda: max(case.acks(request), default=0) >= 3)


async def test_where_ids_are_honoured_a_repeat_is_shown_once(case: ProviderCase) -> None:
    request = case.request(await chat(case, "unknown"))
    if not case.provider.honours_client_id(request.content, request.chat_id):
        pytest.skip("unsupported: this provider does not honour ids")
    await case.provider.send(request)
    assert isinstance(await case.provider.send(replace(request, attempt=2)), Accepted)
    assert await case.shown(request) == 1


async def test_where_ids_are_not_honoured_the_provider_says_so(case: ProviderCase) -> None:
    if case.unhonoured is None:
        pytest.skip("unsupported: there is no such chat")
    request = case.request(case.unhonoured)
    assert not case.provider.honours_client_id(request.content, request.chat_id)
    for _ in range(2):
        await case.provider.send(request)
    assert await case.shown(request) == 2


async def test_opening_twice_is_opening_once(case: ProviderCase) -> None:
    await case.provider.open(case.phone, case.sink)
    request = case.request(await chat(case, "accepted"))
    await case.provider.send(request)
    await until(lambda: 4 in case.acks(request))
    await asyncio.sleep(0.1)  # a second line would bring them now
    assert sorted(set(case.acks(request))) == sorted(case.acks(request))


async def test_after_closing_nothing_comes_and_closing_again_does_no_harm(case: ProviderCase) -> None:
    request = case.request(await chat(case, "accepted"))
    await case.provider.send(request)
    await case.provider.close(case.phone.phone_no)
    seen = len(case.sink.got)
    await case.provider.close(case.phone.phone_no)
    await case.provider.close(99)
    await asyncio.sleep(0.7)  # as long as the receipts would take
    assert len(case.sink.got) == seen


async def test_an_unconfirmed_event_comes_when_the_session_opens_again(case: ProviderCase) -> None:
    if not case.redelivers:
        pytest.skip("unsupported: this network does not hand over again")
    request = case.request(await chat(case, "accepted"))
    await case.provider.send(request)
    await case.provider.close(case.phone.phone_no)
    later = RecordingSink()
    await case.provider.open(case.phone, later)
    case.sink = later
    await until(lambda: sorted(case.acks(request))[-2:] == [3, 4])  # some networks tell of the server's rung too


async def test_a_receipt_is_confirmed_only_after_the_sink_stored_it(case: ProviderCase) -> None:
    if not case.redelivers:
        pytest.skip("unsupported: this network does not hand over again")
    case.sink.broken = True
    request = case.request(await chat(case, "accepted"))
    await case.provider.send(request)
    await until(lambda: case.sink.refused > 0)
    case.sink.broken = False
    await until(lambda: sorted(case.acks(request))[-2:] == [3, 4])  # some networks tell of the server's rung too


async def test_a_cancelled_send_leaves_the_provider_in_order(case: ProviderCase) -> None:
    task = asyncio.create_task(case.send(await chat(case, "unknown")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(await case.send(await chat(case, "accepted")), Accepted)


async def test_a_restart_ends_connected(case: ProviderCase) -> None:
    case.sink.sessions.clear()
    await case.provider.restart(case.phone.phone_no)
    await until(lambda: case.sink.state() is SessionState.CONNECTED)
    assert isinstance(await case.send(await chat(case, "accepted")), Accepted)


async def test_what_can_never_be_sent_is_refused_by_field_and_reason(case: ProviderCase) -> None:
    can = case.provider.capabilities.kinds
    assert Kind.TEXT in can
    assert case.provider.refuses(Content(Kind.TEXT, "hello"), "919537851844@c.us") is None
    for kind in set(Kind) - can:
        refused = case.provider.refuses(Content(kind), "919537851844@c.us")
        field = "poll" if kind is Kind.POLL else kind.value
        assert refused and refused[0] == field and len(refused[1]) > 10


async def test_shutting_down_twice_does_no_harm(case: ProviderCase) -> None:
    await case.provider.shutdown()
    await case.provider.shutdown()
