"""Tests of the local Graph server: it accepts published shapes, refuses wrong ones, and calls back like WhatsApp."""

import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from heliograph.providers.cloud.webhook_payload import signed
from heliograph.simulator.graph import Rules
from heliograph.simulator.graph.config import draw
from heliograph.simulator.graph.rate_limit import Rate
from tests.kit.until import until
from tests.simulator.graph.graph_client import GraphClient, graph_client
from tests.simulator.graph.requests import SHAPES, TO, filled

QUICK = Rules(sent_after_s=0.01, delivered_after_s=0.02, read_after_s=0.04, webhook_retry_s=0.02)


def body(text: str = "hello", to: str = TO, **more: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text}, **more}


async def upload(graph: GraphClient, mimetype: str = "image/png") -> str:
    form = aiohttp.FormData({"messaging_product": "whatsapp"})
    form.add_field("file", b"bytes", filename="a.png", content_type=mimetype)
    headers = {"Authorization": "Bearer graph-test-token"}
    async with graph.http.post(f"{graph.root}/{graph.phone}/media", data=form, headers=headers) as response:
        answer = await response.json()
        assert response.status == 200, answer
        return str(answer["id"])


def statuses(graph: GraphClient) -> list[dict[str, Any]]:
    found = []
    for _, raw in graph.hooks.got:
        for entry in json.loads(raw)["entry"]:
            for change in entry["changes"]:
                found += change["value"].get("statuses", [])
    return found


def test_there_are_fifty_shapes() -> None:
    assert len(SHAPES) == 50


async def test_every_published_shape_is_taken() -> None:
    async with graph_client(replace(QUICK, pair_interval_s=0, throughput_per_s=0)) as graph:
        media_id = await upload(graph)
        refused = {}
        for name, shape in SHAPES.items():
            status, answer = await graph.post(filled(shape, media_id))
            if status != 200 or not ("messages" in answer or answer == {"success": True}):
                refused[name] = answer
        assert refused == {}
        assert len(graph.server.network.journal()) == 49


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"messaging_product": "sms"}, 100),
        ({"to": ""}, 100),
        ({"to": "somebody"}, 131009),
        ({"type": "poll", "poll": {}}, 100),
        ({"type": "image"}, 131008),
        ({"text": {}}, 131008),
        ({"text": {"body": "x" * 4_097}}, 131009),
        ({"type": "image", "image": {}}, 131008),
        ({"type": "image", "image": {"id": "1", "link": "https://example.org"}}, 131008),
        ({"type": "image", "image": {"id": "123"}}, 131009),
        ({"type": "image", "image": {"link": "ftp://example.org"}}, 131009),
        ({"type": "audio", "audio": {"link": "https://example.org/a", "caption": "no"}}, 100),
        ({"type": "location", "location": {"latitude": "north"}}, 131008),
        ({"type": "location", "location": {"latitude": 91, "longitude": 0}}, 131009),
        ({"type": "contacts", "contacts": []}, 131008),
        ({"type": "contacts", "contacts": [{"name": {}}]}, 131008),
        ({"type": "template", "template": {"name": "x"}}, 131008),
        ({"type": "template", "template": {"name": "no_such_template", "language": {"code": "en"}}}, 132001),
        ({"type": "interactive", "interactive": {"type": "button", "action": {"buttons": []}}}, 131009),
        ({"type": "interactive", "interactive": {"type": "dance"}}, 131009),
        ({"type": "reaction", "reaction": {"emoji": "👍"}}, 131008),
        ({"context": {}}, 100),
        ({"biz_opaque_callback_data": "x" * 513}, 100),
        ({"recipient_type": "crowd"}, 100),
    ],
)
async def test_a_wrong_request_is_refused_with_its_code_and_not_accepted(change: dict[str, Any], code: int) -> None:
    async with graph_client(QUICK) as graph:
        status, answer = await graph.post({**body(), **change})
        assert status >= 400
        assert isinstance(answer["error"], dict) and answer["error"]["code"] == code
        assert graph.server.network.journal() == []


async def test_a_wrong_token_and_a_wrong_phone_are_told_apart() -> None:
    async with graph_client(QUICK) as graph:
        status, answer = await graph.post(body(), token="wrong")
        assert (status, answer["error"]["code"]) == (401, 190)  # type: ignore[index]
        headers = {"Authorization": "Bearer graph-test-token"}
        async with graph.http.post(f"{graph.root}/42/messages", json=body(), headers=headers) as response:
            assert (await response.json())["error"]["error_subcode"] == 33


async def test_statuses_come_signed_in_order_with_our_tracker_and_without_contacts() -> None:
    async with graph_client(QUICK) as graph:
        await graph.post(body(biz_opaque_callback_data="job-1"))
        await until(lambda: len(statuses(graph)) == 3)
        assert [s["status"] for s in statuses(graph)] == ["sent", "delivered", "read"]
        assert {s["biz_opaque_callback_data"] for s in statuses(graph)} == {"job-1"}
        for signature, raw in graph.hooks.got:
            assert signed(raw, signature, "graph-test-app-secret")
            assert "contacts" not in json.loads(raw)["entry"][0]["changes"][0]["value"]


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("001", ["sent", "delivered"]),
        ("002", ["sent"]),
        ("003", ["sent", "read"]),
        ("004", ["sent", "delivered", "read", "played"]),
        ("040", ["failed"]),
        ("060", ["read", "delivered", "sent"]),
        ("061", ["sent", "delivered", "sent", "read", "delivered", "read"]),
        ("064", ["sent", "delivered", "read"]),
    ],
)
async def test_a_test_number_chooses_its_statuses(ending: str, expected: list[str]) -> None:
    rules = replace(QUICK, sent_after_s=0.02, delivered_after_s=0.06, read_after_s=0.10)
    async with graph_client(rules) as graph:
        try:
            await graph.post(body(to=f"447700900{ending}"))
        except aiohttp.ClientError:
            assert ending == "064"
        await until(lambda: len(statuses(graph)) >= len(expected))
        assert sorted(s["status"] for s in statuses(graph)) == sorted(expected)
        if ending != "061":  # repeats may share a webhook with what comes next
            assert [s["status"] for s in statuses(graph)] == expected


async def test_a_webhook_that_was_not_confirmed_comes_again_with_the_same_bytes() -> None:
    async with graph_client(replace(QUICK, statuses_a_webhook=1)) as graph:
        graph.hooks.answers += [500, 503]
        await graph.post(body(to="447700900002"))
        await until(lambda: graph.server.callbacks.delivered == 1)
        assert len(graph.hooks.got) == 3
        assert len({raw for _, raw in graph.hooks.got}) == 1


async def test_rates_of_faults_are_drawn_from_the_seed_and_repeat() -> None:
    assert [draw(7, "lost", n) for n in range(5)] == [draw(7, "lost", n) for n in range(5)]
    assert draw(7, "lost", 1) != draw(8, "lost", 1)
    share = sum(draw(3, "x", n) < 0.05 for n in range(20_000)) / 20_000
    assert 0.045 < share < 0.055

    async def outcomes() -> list[bool]:
        rules = replace(QUICK, lost_answer_rate=0.3, seed=11, pair_interval_s=0)
        async with graph_client(rules) as graph:
            got = []
            for n in range(20):
                try:
                    status, _ = await graph.post(body(str(n)))
                    got.append(status == 200)
                except aiohttp.ClientError:
                    got.append(False)
            assert len(graph.server.network.journal()) == 20  # a lost answer is a taken message
            return got

    first = await outcomes()
    assert first == await outcomes()
    assert 0 < first.count(False) < 20


def test_a_rate_lets_a_burst_through_and_then_its_pace() -> None:
    rate = Rate()
    taken = [rate.take("pair", 0.0, interval_s=6, burst=45) for _ in range(50)]
    assert taken.count(True) == 45
    assert not rate.take("pair", 5.9, interval_s=6, burst=45)
    assert rate.take("pair", 6.1, interval_s=6, burst=45)
    assert rate.take("another", 6.1, interval_s=6, burst=45)
    assert all(rate.take("pair", 6.1, interval_s=0, burst=1) for _ in range(100))


async def test_throughput_is_limited_for_a_phone_and_is_eighty_a_second_by_default() -> None:
    assert Rules().throughput_per_s == 80
    async with graph_client(replace(QUICK, throughput_per_s=4)) as graph:
        answers = [await graph.post(body(str(n), to=f"4479110{n:05d}")) for n in range(60)]  # 14 s if none is refused
        refused = [a["error"]["code"] for status, a in answers if status != 200]  # type: ignore[index]
        assert refused and set(refused) == {130429}
        assert len(graph.server.network.journal()) == 60 - len(refused) >= 4


async def test_free_text_outside_the_window_fails_later_and_a_template_does_not() -> None:
    async with graph_client(replace(QUICK, window=True)) as graph:
        await graph.post(body(to="447700900100"))
        await until(lambda: len(statuses(graph)) == 1)
        assert statuses(graph)[0]["errors"][0]["code"] == 131047
        await graph.post({**SHAPES["template without variables"], "to": "447700900100"})
        await until(lambda: [s["status"] for s in statuses(graph)][1:] == ["sent", "delivered", "read"])
        said = {"phone_number_id": graph.phone, "from": "447700900100", "text": "Hello?"}
        async with graph.http.post(f"{graph.server.base_url}/_graph/inbound", json=said) as response:
            assert response.status == 200
        await graph.post(body(to="447700900100"))
        await until(lambda: len(statuses(graph)) == 7)
        assert [s["status"] for s in statuses(graph)][4:] == ["sent", "delivered", "read"]


async def test_people_answer_and_their_messages_come_with_contacts() -> None:
    async with graph_client(QUICK) as graph:
        await graph.post(body("ping", to="447700900005"))
        await graph.post(body("offer", to="447700900006"))

        def words() -> list[str]:
            values = [json.loads(raw)["entry"][0]["changes"][0]["value"] for _, raw in graph.hooks.got]
            assert all(value["contacts"] for value in values if "messages" in value)
            return [m["text"]["body"] for value in values for m in value.get("messages", [])]

        await until(lambda: sorted(words()) == ["STOP", "ping"])


async def test_the_subscription_is_set_only_after_the_handshake() -> None:
    async with graph_client(QUICK) as graph:
        url = f"{graph.root}/200000000000001/subscribed_apps"
        headers = {"Authorization": "Bearer graph-test-token"}
        wrong = {"override_callback_uri": graph.hooks.url, "verify_token": "wrong"}
        async with graph.http.post(url, json=wrong, headers=headers) as response:
            assert (await response.json())["error"]["code"] == 2200
        right = {"override_callback_uri": graph.hooks.url, "verify_token": "graph-test-verify-token"}
        async with graph.http.post(url, json=right, headers=headers) as response:
            assert await response.json() == {"success": True}
        async with graph.http.get(url, headers=headers) as response:
            assert len((await response.json())["data"]) == 1


async def test_an_uploaded_file_can_be_looked_at_fetched_and_deleted() -> None:
    async with graph_client(QUICK) as graph:
        media_id = await upload(graph)
        headers = {"Authorization": "Bearer graph-test-token"}
        async with graph.http.get(f"{graph.root}/{media_id}", headers=headers) as response:
            about = await response.json()
        assert (about["mime_type"], about["file_size"]) == ("image/png", 5)
        async with graph.http.get(about["url"], headers=headers) as response:
            assert await response.read() == b"bytes"
        async with graph.http.delete(f"{graph.root}/{media_id}", headers=headers) as response:
            assert await response.json() == {"success": True}
        async with graph.http.get(f"{graph.root}/{media_id}", headers=headers) as response:
            assert response.status == 400


async def test_the_journal_shows_a_double_and_rules_change_while_it_runs() -> None:
    async with graph_client(QUICK) as graph:
        await graph.post(body(biz_opaque_callback_data="twice"))
        await graph.post(body(biz_opaque_callback_data="twice"))
        base = graph.server.base_url
        async with graph.http.get(f"{base}/_graph/messages", params={"tracker": "twice"}) as response:
            rows = await response.json()
        assert [row["shown"] for row in rows] == [2, 2]
        async with graph.http.put(f"{base}/_graph", json={"throughput_per_s": 5, "seed": 9}) as response:
            assert (await response.json())["rules"]["throughput_per_s"] == 5
        async with graph.http.put(f"{base}/_graph", json={"speed": 5}) as response:
            assert response.status == 422
        async with graph.http.put(f"{base}/_graph/recipients/447911123456", json={"answer": 131026}) as response:
            assert response.status == 204
        status, _ = await graph.post(body(to="447911123456"))
        assert status == 400
        async with graph.http.delete(f"{base}/_graph/messages") as response:
            assert response.status == 204
        assert graph.server.network.journal() == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 50_000])
async def test_a_body_that_is_no_object_is_a_clear_refusal(raw: bytes) -> None:
    async with graph_client(QUICK) as graph:
        headers = {"Authorization": "Bearer graph-test-token"}
        async with graph.http.post(f"{graph.root}/{graph.phone}/messages", data=raw, headers=headers) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, 100)
