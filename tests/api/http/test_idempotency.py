"""Tests of Idempotency-Key: the same key and request make one thing, and get the same response."""

import asyncio
import base64
import hashlib
from typing import Any

import httpx
import pytest

from heliograph.domain.timestamps import iso
from tests.api.gateway import Gateway

BODY = {"chat_id": "919537851844", "message": "Your code is 42"}


async def post(gateway: Gateway, path: str = "/v1/message/send", body: Any = None, **headers: str) -> httpx.Response:
    sent = {"Idempotency-Key": "order-1"} | headers
    return await gateway.http.post(path, json=BODY if body is None else body, headers=sent)


async def test_a_replay_is_the_same_json_and_says_so(gateway: Gateway) -> None:
    await gateway.send()
    first, second = await post(gateway), await post(gateway)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert first.json()["queue_position"] == 1
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert len(await gateway.jobs()) == 2


async def test_a_replay_is_the_same_long_after_and_by_the_other_path(gateway: Gateway) -> None:
    first = await post(gateway)
    gateway.clock.advance(3600)
    again = await post(gateway, "/v1/messages/send")
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_replay_is_the_same_when_the_message_could_not_be_accepted_any_more(gateway: Gateway) -> None:
    ends = iso(gateway.clock.now_us() + 60_000_000)
    first = await post(gateway, body=BODY | {"expires_at": ends})
    gateway.clock.advance(120)
    assert (await gateway.send(expires_at=ends)).status_code == 422
    again = await post(gateway, body=BODY | {"expires_at": ends})
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_file_that_comes_with_the_key_of_another_request_is_not_stored(gateway: Gateway) -> None:
    assert (await post(gateway)).status_code == 200
    file = {"type": "document", "filedata": base64.b64encode(b"a new file").decode(), "filename": "a.txt"}
    refused = await post(gateway, body=BODY | {"media": file})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["Idempotency-Key"])
    assert not gateway.media.path(hashlib.sha256(b"a new file").hexdigest()).exists()


async def test_requests_with_one_key_that_arrive_together_make_one_message(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(post(gateway) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(await gateway.jobs()) == 1


async def test_another_body_path_or_phone_under_the_same_key_is_refused(gateway: Gateway) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    x_phone = {"x-phone": gateway.phone.number}
    assert (await post(gateway, **x_phone)).status_code == 200
    others = [
        await post(gateway, body=BODY | {"message": "Your code is 43"}, **x_phone),
        await post(gateway, body=BODY | {"extra": 1}, **x_phone),
        await post(gateway, path="/v1/message/send-sync", **x_phone),
        await post(gateway, **{"x-phone": second.number}),
        await post(gateway, path="/v1/phones/create", body={"number": "447700900005"}),
    ]
    for answer in others:
        assert answer.status_code == 422
        assert list(answer.json()["fields"]) == ["Idempotency-Key"]
    assert len(await gateway.jobs()) == 1


async def test_the_phone_may_be_spelled_differently_in_a_replay(gateway: Gateway) -> None:
    first = await post(gateway)
    for spelling in (gateway.phone.number, f"+{gateway.phone.number}", gateway.phone.phone_id):
        again = await post(gateway, **{"x-phone": spelling})
        assert again.content == first.content


async def test_a_refused_request_does_not_use_up_its_key(gateway: Gateway) -> None:
    assert (await post(gateway, body=BODY | {"chat_id": "nonsense"})).status_code == 422
    assert (await post(gateway)).status_code == 200


async def test_a_phone_is_created_once_under_a_key(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "phone-1"}
    first = await gateway.http.post("/v1/phones/create", headers=headers)
    second = await gateway.http.post("/v1/phones/create", headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len(await gateway.stores.phones.phones(gateway.org.org_no)) == 2


@pytest.mark.parametrize("path", ["/v1/phones", "/v1/message/queues/health"])
async def test_on_a_call_that_makes_nothing_the_key_means_nothing(gateway: Gateway, path: str) -> None:
    answers = [await gateway.http.get(path, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
