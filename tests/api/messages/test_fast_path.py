"""Tests of the fast path of POST send against the ordinary path: the same checks, responses and headers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heliograph.api.http.auth import AHEAD_S, PHONE_TTL_S
from heliograph.api.messages.send import SendAnswer
from heliograph.domain.errors import Unavailable
from tests.api.gateway import NUMBER, SECRET, Gateway, open_gateway

BODY = {"chat_id": "919537851844", "message": "Hi"}
ANSWERS = ("content-type", "x-periskope-trace-id", "x-periskope-org-id", "x-periskope-phone-id")


async def offer(
    gateway: Gateway, body: Any = BODY, *, secret: str = SECRET, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]] | None:
    """Status, headers and body from the fast path, or None if it left the request alone."""
    answer: asyncio.Future[tuple[int, bytes, bytes]] = asyncio.get_running_loop().create_future()
    given = {"authorization": f"Bearer {secret}", "content-type": "application/json", "x-phone": NUMBER} | headers
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    if not gateway.app.fast_path.take(listed, raw, lambda *said: answer.set_result(said)):
        return None
    status, lines, text = await asyncio.wait_for(answer, 5)
    assert lines.endswith(b"\r\n")
    said = dict(line.split(": ", 1) for line in lines.decode().splitlines())
    return status, said, json.loads(text)


async def remember(gateway: Gateway) -> None:
    """Sends once by the ordinary path, so that the key and the phone are cached."""
    assert (await gateway.http.post("/v1/message/send", json=BODY, headers={"x-phone": NUMBER})).status_code == 200


async def test_a_send_gets_the_response_of_the_ordinary_path(gateway: Gateway) -> None:
    ordinary = await gateway.http.post("/v1/message/send", json=BODY, headers={"x-phone": NUMBER})
    short = await offer(gateway)
    assert short is not None
    status, headers, body = short
    assert status == ordinary.status_code == 200
    assert list(body) == list(ordinary.json())
    assert msgspec.convert(body, SendAnswer).hint.endswith(body["queue_id"])
    assert (ordinary.json()["queue_position"], body["queue_position"]) == (0, 1)
    assert set(headers) == {name for name in ordinary.headers if name != "content-length"} == set(ANSWERS)
    for name in ANSWERS:
        assert (headers[name] == ordinary.headers[name]) is (name != "x-periskope-trace-id")
    first, second = sorted(await gateway.jobs(), key=lambda job: job.job_id)
    assert (first.chat_id, first.content, first.priority) == (second.chat_id, second.content, second.priority)
    assert gateway.wake.phone_nos == [gateway.phone.phone_no] * 2


async def test_the_fast_path_takes_nothing_for_a_key_or_phone_that_is_not_cached(gateway: Gateway) -> None:
    assert await offer(gateway) is None
    await remember(gateway)
    assert await offer(gateway, secret="hg_live_ffffffffffffffffffffffffffffffff") is None
    assert await offer(gateway, x_phone="447700900002") is None
    assert await offer(gateway) is not None
    gateway.clock.advance(2.5)  # the phone is to be asked for again
    assert await offer(gateway) is None
    gateway.clock.advance(1)  # and the key
    assert await offer(gateway) is None
    assert len(await gateway.jobs()) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"chat_id":"919537851844","message":"\\ud800"}',
        b'{"chat_id":"919537851844","message":"\\u0000"}',
        {"chat_id": "919537851844"},
        {"message": "Hi"},
        {"chat_id": "919537851844", "message": 5},
        {"chat_id": "somebody", "message": "Hi"},
        {"chat_id": "919537851844", "message": "x" * 65_537},
        {"chat_id": "919537851844", "poll": {"pollName": "?", "pollOptions": ["one"]}},
        {"chat_id": "919537851844", "message": "Hi", "priority": "soon"},
        {"chat_id": "919537851844", "message": "Hi", "by": "A\nB"},
        {"chat_id": "919537851844", "message": "Hi", "ttl_seconds": -1},
        {"chat_id": "919537851844", "message": "Hi", "expires_at": "2001-01-01T00:00:00Z"},
        {"chat_id": "919537851844", "message": "Hi", "reply_to": "nothing"},
        {"chat_id": "919537851844", "media": {"type": "image", "filedata": "!"}},
        {"chat_id": "919537851844", "reaction": {"message_id": "nothing", "emoji": "x"}},
    ],
)
async def test_wrong_or_unusual_bodies_are_left_to_the_ordinary_path(gateway: Gateway, body: Any) -> None:
    await remember(gateway)
    assert await offer(gateway, body) is None
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"x-phone": NUMBER, "content-type": "application/json"}
    assert (await gateway.http.post("/v1/message/send", content=raw, headers=headers)).status_code in (400, 422)
    assert len(await gateway.jobs()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic abc"},
        {"content_encoding": "gzip"},
        {"content_type": "text/plain"},
        {"idempotency_key": "x" * 256},
    ],
)
async def test_odd_headers_are_left_to_the_ordinary_path(gateway: Gateway, headers: dict[str, str]) -> None:
    await remember(gateway)
    assert await offer(gateway, **headers) is None
    assert len(await gateway.jobs()) == 1


async def test_a_body_over_the_limit_is_left_to_the_ordinary_path(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, max_body_bytes=60) as gateway:
        await remember(gateway)
        assert await offer(gateway, BODY | {"message": "x" * 30}) is None
        assert await offer(gateway) is not None


async def test_the_fast_path_takes_plain_sends(gateway: Gateway) -> None:
    await remember(gateway)
    poll = {"pollName": "Lunch?", "pollOptions": ["Yes", "No"]}
    for body in (
        {"chat_id": "120363029999999999@g.us", "message": "Hi", "options": {"hide_url_preview": True}},
        {"chat_id": "919537851844", "poll": poll, "priority": "urgent", "ttl_seconds": 60},
        {"chat_id": "919537851844", "location": {"latitude": 1.5, "longitude": 2.5}},
    ):
        taken = await offer(gateway, body, content_type="application/json; charset=utf-8")
        assert taken is not None
        assert taken[0] == 200
    assert len(await gateway.jobs()) == 4


async def test_a_replay_gets_the_same_response_on_either_path(gateway: Gateway) -> None:
    await remember(gateway)
    first = await offer(gateway, idempotency_key="order-1")
    again = await offer(gateway, idempotency_key="order-1")
    assert first is not None
    assert again is not None
    assert ("idempotent-replayed" in first[1], again[1]["idempotent-replayed"]) == (False, "true")
    headers = {"x-phone": NUMBER, "idempotency-key": "order-1", "content-type": "application/json"}
    ordinary = await gateway.http.post("/v1/message/send", content=json.dumps(BODY).encode(), headers=headers)
    assert first[2] == again[2] == ordinary.json()
    assert ordinary.headers["idempotent-replayed"] == "true"
    other = await offer(gateway, BODY | {"message": "Ho"}, idempotency_key="order-1")
    assert other is not None
    assert (other[0], list(other[2]["fields"])) == (422, ["Idempotency-Key"])
    assert len(await gateway.jobs()) == 2


async def test_each_request_is_counted_once_against_the_limit(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, rate_limit_per_second=4) as gateway:
        await remember(gateway)
        assert await offer(gateway, {"chat_id": "somebody", "message": "Hi"}) is None
        answers = [await offer(gateway) for _ in range(4)]
        assert [answer[0] for answer in answers if answer] == [200, 200, 200, 429]
        assert [answer[1]["x-ratelimit-remaining"] for answer in answers if answer] == ["2", "1", "0", "0"]
        refused = answers[3]
        assert refused is not None
        assert (refused[1]["retry-after"], refused[2]["code"]) == ("1", "RATE_LIMIT_ERROR")
        assert len(await gateway.jobs()) == 4


async def test_a_phone_that_was_deleted_in_between_is_a_404(gateway: Gateway) -> None:
    await remember(gateway)
    assert await gateway.stores.phones.delete_phone(gateway.org.org_no, gateway.phone.phone_no, "test")
    answer = await offer(gateway)
    assert answer is not None
    assert (answer[0], answer[2]["code"], list(answer[2]["fields"])) == (404, "NOT_FOUND_ERROR", ["x-phone"])


async def test_a_store_that_is_away_is_a_503_and_a_defect_a_500(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember(gateway)
    failure: list[Exception] = [Unavailable("The database cannot write now", retry_after_s=2), ValueError("a defect")]

    async def fails(_job: Any) -> Any:
        raise failure.pop(0)

    monkeypatch.setattr(gateway.stores.jobs, "enqueue", fails)
    away, defect = await offer(gateway), await offer(gateway)
    assert away is not None
    assert defect is not None
    assert (away[0], away[1]["retry-after"], away[2]["code"]) == (503, "2", "SERVICE_UNAVAILABLE_ERROR")
    assert (defect[0], defect[2]["message"]) == (500, "Internal server error")


async def test_one_request_refreshes_the_cache_while_the_others_continue(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember(gateway)
    gateway.clock.advance(PHONE_TTL_S - AHEAD_S)  # the phone is to be asked for again soon
    asked, go_on = asyncio.Event(), asyncio.Event()
    look_up = gateway.stores.phones.phone

    async def slowly(org_no: int, name: str) -> Any:
        asked.set()
        await go_on.wait()
        return await look_up(org_no, name)

    monkeypatch.setattr(gateway.stores.phones, "phone", slowly)
    assert await offer(gateway) is None
    asking = asyncio.create_task(remember(gateway))
    await asyncio.wait_for(asked.wait(), 5)
    assert await offer(gateway) is not None
    go_on.set()
    await asking
    assert await offer(gateway) is not None
    assert len(await gateway.jobs()) == 4
