"""Tests of the provider over the local Graph server: every kind, every test number, and the server's journal."""

import asyncio
from typing import Any

import aiohttp
import pytest

from heliograph.clock import SystemClock
from heliograph.domain.jobs.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Scope,
    SessionDown,
    Throttled,
    Unknown,
)
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import SessionState
from heliograph.providers.cloud.graph_client import Timeouts
from heliograph.providers.cloud.provider import CloudProvider
from heliograph.simulator.graph import Rules
from heliograph.simulator.graph.errors import fault
from heliograph.simulator.graph.test_numbers import NumberBehaviour, Way
from tests.kit.provider import RecordingSink
from tests.kit.until import until
from tests.providers.cloud.session import CLOCK, Uploads, cloud_phone, cloud_session, request, text
from tests.simulator.graph.graph_client import graph_client

PERSON = "447700900000"


async def test_a_text_is_accepted_and_its_statuses_name_our_queue_id() -> None:
    async with cloud_session() as cloud:
        asked = request(cloud.phone, "447700900777")
        outcome = await cloud.provider.send(asked)
        assert isinstance(outcome, Accepted)
        await until(lambda: len(cloud.receipts()) == 3)
        assert sorted(r.ack for r in cloud.receipts()) == [2, 3, 4]
        assert {r.tracker for r in cloud.receipts()} == {asked.queue_id}
        assert {r.provider_message_id for r in cloud.receipts()} == {outcome.provider_message_id}


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("010", NotSent("service_unavailable", "")),
        ("014", NotSent("network_error", "")),
        ("015", NotSent("service_unavailable", "", 1.0)),
        ("020", Throttled("pair_limit", "", 1.0, Scope.CHAT)),
        ("021", Throttled("throughput", "", 1.0, Scope.PHONE)),
        ("022", Throttled("app_limit", "", 60.0, Scope.APP)),
        ("023", Throttled("account_limit", "", 60.0, Scope.PHONE)),
        ("024", Throttled("maintenance", "", 60.0, Scope.PHONE)),
        ("030", SessionDown("unauthorized", "")),
        ("031", SessionDown("account_blocked", "", 3600.0)),
        ("032", SessionDown("account_blocked", "", 3600.0)),
        ("033", SessionDown("payment", "", 3600.0)),
        ("034", SessionDown("spam_limit", "", 3600.0)),
        ("035", SessionDown("not_registered", "", 3600.0)),
        ("043", Rejected("not_allowed_recipient", "")),
        ("046", Rejected("country", "")),
        ("050", Unknown("lost_answer", "")),
        ("051", Unknown("lost_answer", "")),
        ("052", Unknown("unreadable_answer", "")),
        ("053", SessionDown("bad_answer", "", 60.0)),
        ("064", Unknown("lost_answer", "")),
        ("065", Unknown("lost_answer", "")),
    ],
)
async def test_each_test_number_comes_back_as_its_outcome(ending: str, expected: Outcome) -> None:
    async with cloud_session() as cloud:
        found = await cloud.provider.send(request(cloud.phone, f"447700900{ending}"))
        assert type(found) is type(expected)
        assert not isinstance(found, Accepted) and not isinstance(expected, Accepted)
        assert found.code == expected.code
        assert found.detail
        assert getattr(found, "retry_after_s", None) == getattr(expected, "retry_after_s", None)
        if isinstance(found, Throttled) and isinstance(expected, Throttled):
            assert found.scope is expected.scope


@pytest.mark.parametrize("ending", ["064", "050", "052"])
async def test_a_lost_answer_is_settled_by_the_status_that_names_it(ending: str) -> None:
    async with cloud_session() as cloud:
        asked = request(cloud.phone, f"447700900{ending}")
        assert isinstance(await cloud.provider.send(asked), Unknown)
        await until(lambda: [r.ack for r in cloud.receipts() if r.tracker == asked.queue_id] == [2, 3, 4])
        assert cloud.shown(asked.queue_id) == 1


async def test_an_answer_that_comes_too_late_is_unknown_and_the_message_is_there() -> None:
    hurried = Timeouts(connect_s=1, answer_s=0.2)
    async with cloud_session(Rules(slow_answer_ms=400), timeouts=hurried) as cloud:
        asked = request(cloud.phone, "447700900063")
        assert isinstance(await cloud.provider.send(asked), Unknown)
        await until(lambda: cloud.shown(asked.queue_id) == 1)


async def test_a_failure_after_acceptance_comes_as_a_receipt_with_its_reason() -> None:
    async with cloud_session() as cloud:
        asked = request(cloud.phone, "447700900041")
        assert isinstance(await cloud.provider.send(asked), Accepted)
        await until(lambda: len(cloud.receipts()) == 1)
        (receipt,) = cloud.receipts()
        assert (receipt.ack, receipt.code, receipt.tracker) == (-1, "window_closed", asked.queue_id)
        assert receipt.detail and "template" in receipt.detail


async def test_the_pair_limit_waits_longer_each_time_and_is_forgotten_after_a_success() -> None:
    async with cloud_session(Rules(pair_interval_s=0.3, pair_burst=1)) as cloud:
        outcomes = [await cloud.provider.send(request(cloud.phone, "447700900700")) for _ in range(4)]
        assert isinstance(outcomes[0], Accepted)
        waits = [o.retry_after_s for o in outcomes[1:] if isinstance(o, Throttled) and o.scope is Scope.CHAT]
        assert waits == [1.0, 4.0, 16.0]
        begun = CLOCK.monotonic()
        await until(lambda: CLOCK.monotonic() - begun > 0.35)
        assert isinstance(await cloud.provider.send(request(cloud.phone, "447700900700")), Accepted)
        again = await cloud.provider.send(request(cloud.phone, "447700900700"))
        assert isinstance(again, Throttled) and again.retry_after_s == 1.0


async def test_an_app_limit_holds_the_other_phones_of_the_app_without_asking() -> None:
    rules = Rules(phones={"100000000000001": "447700900000", "100000000000002": "447700900999"})
    async with cloud_session(rules) as cloud:
        sibling = cloud_phone(cloud.graph.server.base_url, phone_no=2, phone_number_id="100000000000002")
        await cloud.provider.open(sibling, cloud.sink)
        await until(lambda: cloud.sink.state(2) is SessionState.CONNECTED)
        assert isinstance(await cloud.provider.send(request(cloud.phone, "447700900022")), Throttled)
        held = await cloud.provider.send(request(sibling, PERSON))
        assert isinstance(held, Throttled) and held.scope is Scope.APP and 0 < held.retry_after_s <= 60
        assert cloud.graph.server.network.journal(phone_number_id="100000000000002") == []


async def test_a_wrong_token_stops_the_phone_and_says_what_to_do() -> None:
    async with cloud_session(token="graph-wrong-token") as cloud:
        assert cloud.sink.state(1) is SessionState.UNAUTHORIZED
        assert "token" in cloud.sink.sessions[-1][2]
        outcome = await cloud.provider.send(request(cloud.phone, PERSON))
        assert isinstance(outcome, SessionDown) and outcome.retry_after_s is None


async def test_a_wrong_phone_number_id_stops_the_phone_and_names_it() -> None:
    async with cloud_session(phone_number_id="999999999999999") as cloud:
        assert cloud.sink.state(1) is SessionState.UNAUTHORIZED
        assert "phone_number_id" in cloud.sink.sessions[-1][2]


async def test_settings_that_are_not_complete_stop_the_phone_and_name_the_field() -> None:
    async with cloud_session(app_secret="") as cloud:
        assert cloud.sink.state(1) is SessionState.UNAUTHORIZED
        assert "app_secret" in cloud.sink.sessions[-1][2]


async def test_a_token_that_is_revoked_while_sending_stops_the_phone() -> None:
    async with cloud_session() as cloud:
        assert cloud.sink.state(1) is SessionState.CONNECTED
        await cloud.provider.send(request(cloud.phone, "447700900030"))
        assert cloud.sink.state(1) is SessionState.UNAUTHORIZED


async def test_a_phone_whose_server_is_unreachable_is_offline_and_nothing_counts_as_sent() -> None:
    async with cloud_session() as cloud:
        away = cloud_phone("http://127.0.0.1:1", phone_no=7)
        await cloud.provider.open(away, cloud.sink)
        await until(lambda: cloud.sink.state(7) is SessionState.OFFLINE)
        outcome = await cloud.provider.send(request(away, PERSON))
        assert isinstance(outcome, SessionDown) and outcome.code == "offline" and outcome.retry_after_s


async def test_after_close_nothing_is_sent_and_no_event_comes() -> None:
    async with cloud_session() as cloud:
        events_before = len(cloud.sink.sessions)
        await cloud.provider.close(1)
        await cloud.provider.close(1)
        assert isinstance(await cloud.provider.send(request(cloud.phone, PERSON)), SessionDown)
        assert len(cloud.sink.sessions) == events_before
        assert cloud.graph.server.network.journal() == []


async def test_a_reply_names_the_message_and_one_that_was_never_sent_is_refused() -> None:
    async with cloud_session() as cloud:
        first = await cloud.provider.send(request(cloud.phone, PERSON))
        assert isinstance(first, Accepted)
        reply = request(cloud.phone, PERSON, quoted_id=first.provider_message_id)
        assert isinstance(await cloud.provider.send(reply), Accepted)
        (row,) = cloud.graph.server.network.journal(tracker=reply.queue_id)
        assert row["body"]["context"] == {"message_id": first.provider_message_id}
        unsent = request(cloud.phone, PERSON, quoted_id="3EB0AAAAAAAAAAAAAAAAAA")
        refused = await cloud.provider.send(unsent)
        assert isinstance(refused, Rejected) and refused.code == "reply_unknown"


@pytest.mark.parametrize("kind", [Kind.LOCATION, Kind.CONTACT, Kind.TEMPLATE, Kind.INTERACTIVE, Kind.REACTION])
async def test_each_kind_without_a_file_is_taken(kind: Kind) -> None:
    extras: dict[Kind, dict[str, Any]] = {
        Kind.LOCATION: {"location": {"latitude": 51.5, "longitude": -0.12, "name": "A bridge", "address": "London"}},
        Kind.CONTACT: {"contacts": [{"name": {"formatted_name": "Ada"}, "phones": [{"phone": "+447700900001"}]}]},
        Kind.TEMPLATE: {"template": {"name": "hello_world", "language": {"code": "en_US"}}},
        Kind.INTERACTIVE: {
            "interactive": {
                "type": "button",
                "body": {"text": "Shall we?"},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
            }
        },
        Kind.REACTION: {"reaction": {"emoji": "👍"}},
    }
    async with cloud_session() as cloud:
        first = await cloud.provider.send(request(cloud.phone, PERSON))
        assert isinstance(first, Accepted)
        asked = request(
            cloud.phone, PERSON, Content(type=kind, extra=extras[kind]), quoted_id=first.provider_message_id
        )
        assert isinstance(await cloud.provider.send(asked), Accepted)
        assert cloud.shown(asked.queue_id) == 1


async def test_the_preview_of_links_can_be_switched_off() -> None:
    async with cloud_session() as cloud:
        plain = Content(type=Kind.TEXT, body="https://example.org", hide_url_preview=True)
        asked = request(cloud.phone, PERSON, plain)
        await cloud.provider.send(asked)
        (row,) = cloud.graph.server.network.journal(tracker=asked.queue_id)
        assert row["body"]["text"] == {"body": "https://example.org", "preview_url": False}
        shown = request(cloud.phone, PERSON, text("https://example.org"))
        await cloud.provider.send(shown)
        (row,) = cloud.graph.server.network.journal(tracker=shown.queue_id)
        assert row["body"]["text"]["preview_url"] is True


async def test_an_answer_that_comes_after_the_phone_was_re_keyed_says_nothing_of_the_new_session() -> None:
    async with cloud_session(Rules(latency_ms=0, slow_answer_ms=300)) as cloud:
        cloud.graph.server.network.choose("447911123456", NumberBehaviour(way=Way.LATE, answer=None))
        cloud.graph.server.network.choose("447911123457", NumberBehaviour(answer=fault(190)))
        late = asyncio.create_task(cloud.provider.send(request(cloud.phone, "447911123456")))
        await until(lambda: len(cloud.graph.server.network.journal(to="447911123456")) == 1)
        again = cloud_phone(cloud.graph.server.base_url, api_version="v24.0")
        await cloud.provider.open(again, cloud.sink)
        await until(lambda: cloud.sink.state(1) is SessionState.CONNECTED)
        assert isinstance(await late, Accepted)
        await cloud.provider.close(1)
        events_before = len(cloud.sink.sessions)
        assert isinstance(await cloud.provider.send(request(cloud.phone, "447911123457")), SessionDown)
        assert len(cloud.sink.sessions) == events_before


async def test_a_sink_that_fails_gets_the_event_again_and_breaks_no_send() -> None:
    class Failing(RecordingSink):
        failures = 1

        async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
            if Failing.failures:
                Failing.failures -= 1
                raise OSError("the store is away")
            await super().session(phone_no, state, detail)

    class Hasty(SystemClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.02))

    async with graph_client() as graph, aiohttp.ClientSession() as session:
        sink = Failing()
        provider = CloudProvider(session, clock=Hasty(), uploads=Uploads())
        phone = cloud_phone(graph.server.base_url)
        await provider.open(phone, sink)
        await until(lambda: sink.state(1) is SessionState.CONNECTED)
        assert isinstance(await provider.send(request(phone, PERSON)), Accepted)
        await provider.shutdown()


@pytest.mark.parametrize("trouble", ["030", "031", "053"])
async def test_a_phone_reconnects_by_itself_when_the_error_is_over(trouble: str) -> None:
    class Hasty(SystemClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.05))

    async with graph_client() as graph, aiohttp.ClientSession() as session:
        sink = RecordingSink()
        provider = CloudProvider(session, clock=Hasty(), uploads=Uploads())
        phone = cloud_phone(graph.server.base_url)
        await provider.open(phone, sink)
        await until(lambda: sink.state(1) is SessionState.CONNECTED)
        assert isinstance(await provider.send(request(phone, f"447700900{trouble}")), SessionDown)
        states = [state for _, state, _ in sink.sessions]
        assert states[-1] is not SessionState.CONNECTED
        await until(lambda: sink.state(1) is SessionState.CONNECTED)
        assert isinstance(await provider.send(request(phone, PERSON)), Accepted)
        await provider.shutdown()
