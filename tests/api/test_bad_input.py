"""Tests of bad input: it gets a clear refusal in the contract's shape, never a 5xx, and nothing is stored."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.api.gateway import BODY_LIMIT, Gateway
from tests.api.messages.test_send import PNG

CHAT = {"chat_id": "919537851844"}


def media(**changes: Any) -> dict[str, Any]:
    whole = {"type": "image", "filedata": base64.b64encode(PNG).decode(), "mimetype": "image/png"} | changes
    return {"media": {name: value for name, value in whole.items() if value is not ...}}


def poll(*options: str, name: str = "Lunch?") -> dict[str, Any]:
    return {"poll": {"pollName": name, "pollOptions": list(options)}}


async def assert_nothing_stored(gateway: Gateway) -> None:
    assert await gateway.jobs() == []
    assert gateway.files() == []
    health = await gateway.stores.jobs.health(gateway.org.org_no, None)
    assert health.waiting == 0


def assert_refused(answer: httpx.Response, status: int, code: str, field: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"code", "name", "status", "message", "fields"}
    assert (body["code"], body["status"]) == (code, status)
    assert body["message"]
    if field:
        assert list(body["fields"]) == [field]
        assert body["fields"][field]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "chat_id"),
        ({"message": "Hi"}, "chat_id"),
        ({"chat_id": "", "message": "Hi"}, "chat_id"),
        ({"chat_id": None, "message": "Hi"}, "chat_id"),
        ({"chat_id": ["919537851844"], "message": "Hi"}, "chat_id"),
        ({"chat_id": "hello", "message": "Hi"}, "chat_id"),
        ({"chat_id": "12", "message": "Hi"}, "chat_id"),
        ({"chat_id": "0123456789", "message": "Hi"}, "chat_id"),
        ({"chat_id": "1" * 40, "message": "Hi"}, "chat_id"),
        ({"chat_id": "919537851844@g.us.com", "message": "Hi"}, "chat_id"),
        ({"chat_id": "919537851844@newsletter", "message": "Hi"}, "chat_id"),
        ({"chat_id": "919537851844@lid", "message": "Hi"}, "chat_id"),
        ({"chat_id": "status@broadcast", "message": "Hi"}, "chat_id"),
        (CHAT, "message"),
        (CHAT | {"message": ""}, "message"),
        (CHAT | {"message": 5}, "message"),
        (CHAT | {"message": "x" * 65_537}, "message"),
        (CHAT | {"message": "nul \0 inside"}, "message"),
        (CHAT | {"message": "Hi", "media": "x"}, "media"),
        (CHAT | {"message": "Hi", "poll": []}, "poll"),
        (CHAT | {"message": "Hi", "options": {"hide_url_preview": "yes"}}, "hide_url_preview"),
        (CHAT | {"message": "Hi", "reply_to": "true_919537851844@c.us_3EB05FC204C28E456D8596"}, "reply_to"),
        (CHAT | {"message": "Hi", "reply_to": "x" * 1000}, "reply_to"),
        (CHAT | {"message": "Hi", "reply_to": "' OR 1=1 --"}, "reply_to"),
        (CHAT | poll("Yes"), "pollOptions"),
        (CHAT | poll(), "pollOptions"),
        (CHAT | poll("Yes", "Yes"), "pollOptions"),
        (CHAT | poll("Yes", " Yes "), "pollOptions"),
        (CHAT | poll("Yes", " "), "pollOptions"),
        (CHAT | poll("Yes", "x" * 101), "pollOptions"),
        (CHAT | poll(*map(str, range(13))), "pollOptions"),
        (CHAT | poll("Yes", "No", name=" "), "pollName"),
        (CHAT | {"poll": {"pollOptions": ["Yes", "No"]}}, "pollName"),
        (CHAT | {"poll": {"pollName": "Lunch?"}}, "pollOptions"),
        (CHAT | {"poll": {"pollName": "Lunch?", "pollOptions": "Yes"}}, "pollOptions"),
        (CHAT | media() | poll("Yes", "No"), "poll"),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused_by_the_name_of_its_field(
    gateway: Gateway, body: dict[str, Any], field: str
) -> None:
    assert_refused(await gateway.http.post("/v1/message/send", json=body), 422, "VALIDATION_ERROR", field)
    await assert_nothing_stored(gateway)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (media(filedata=...), "media"),
        (media(filedata=None), "media"),
        (media(filedata=""), "media"),
        (media(url="https://example.com/a.png"), "media"),
        (media(filedata=..., url="https://example.com/a.png"), "url"),
        (media(filedata="not base64!"), "filedata"),
        (media(filedata="AAAA="), "filedata"),
        (media(filedata="AA==AAAA"), "filedata"),
        (media(filedata="AAA"), "filedata"),
        (media(filedata="AAAA\u00e9AAA"), "filedata"),
        (media(filedata="data:image/png,AAAA"), "filedata"),
        (media(filedata="data:image/png;base64,"), "filedata"),
        (media(filedata=5), "filedata"),
        (media(filedata={"a": 1}), "filedata"),
        (media(filedata=base64.b64encode(b"just a text").decode()), "filedata"),
        (media(filedata=base64.b64encode(PNG + b"x" * 6000).decode()), "filedata"),
        (media(mimetype="image/jpeg"), "mimetype"),
        (media(mimetype="application/pdf"), "mimetype"),
        (media(type="document", mimetype="application/pdf"), "mimetype"),
        (media(mimetype="nonsense"), "mimetype"),
        (media(type="video", mimetype="video/mp4"), "filedata"),
        (media(type="hologram"), "type"),
        (media(type=...), "type"),
        (media(type=7), "type"),
        (media(filename="x" * 300), "filename"),
        (media(filename="a\nb"), "filename"),
    ],
)
async def test_media_that_cannot_be_sent_is_refused_and_leaves_no_file(
    gateway: Gateway, given: dict[str, Any], field: str
) -> None:
    assert_refused(await gateway.http.post("/v1/message/send", json=CHAT | given), 422, "VALIDATION_ERROR", field)
    await assert_nothing_stored(gateway)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "BAD_REQUEST_ERROR"),
        (b"{", 400, "BAD_REQUEST_ERROR"),
        (b"hello", 400, "BAD_REQUEST_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi"', 400, "BAD_REQUEST_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi"} x', 400, "BAD_REQUEST_ERROR"),
        (b'{"chat_id":"919537851844","message":"\xff"}', 400, "BAD_REQUEST_ERROR"),
        (
            b'{"chat_id":"919537851844","message":"Hi","deep":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            400,
            "BAD_REQUEST_ERROR",
        ),
        (b'{"chat_id":"919537851844","message":"Hi","deep":' + b"[" * 40 + b"]" * 40 + b"}", 400, "BAD_REQUEST_ERROR"),
        (b"[" * 90_000, 400, "BAD_REQUEST_ERROR"),
        (b'{"chat_id":"919537851844","n":' + b"9" * 6000 + b',"message":"\\u0000"}', 422, "VALIDATION_ERROR"),
        (b'{"chat_id":"919537851844","message":' + b"9" * 5000 + b"}", 422, "VALIDATION_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi","ttl_seconds":1e999}', 422, "VALIDATION_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi","ttl_seconds":Infinity}', 400, "BAD_REQUEST_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi","ttl_seconds":NaN}', 400, "BAD_REQUEST_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi","note":"caf\xe9"}', 400, "BAD_REQUEST_ERROR"),
        (
            b'{"chat_id":"919537851844","media":{"type":"image","filedata":"caf\xe9"}}',
            400,
            "BAD_REQUEST_ERROR",
        ),
        (b'{"chat_id":5,', 400, "BAD_REQUEST_ERROR"),
        (b"[]", 422, "VALIDATION_ERROR"),
        (b"null", 422, "VALIDATION_ERROR"),
        (b'"text"', 422, "VALIDATION_ERROR"),
        (b'{"chat_id":"919537851844","message":"\\ud83d"}', 422, "VALIDATION_ERROR"),
        (b'{"chat_id":"919537851844","message":"Hi","options":{"\\u0000":1}}', 422, "VALIDATION_ERROR"),
    ],
)
async def test_a_body_that_is_no_message_is_refused(gateway: Gateway, raw: bytes, status: int, code: str) -> None:
    answer = await gateway.http.post("/v1/message/send", content=raw, headers={"Content-Type": "application/json"})
    assert_refused(answer, status, code)
    await assert_nothing_stored(gateway)


@pytest.mark.parametrize(("raw", "field"), [(b"1e999", "ttl_seconds"), (b"9" * 5000, "ttl_seconds")])
async def test_a_number_beyond_all_bounds_is_refused_by_its_name(gateway: Gateway, raw: bytes, field: str) -> None:
    body = b'{"chat_id":"919537851844","message":"Hi","ttl_seconds":' + raw + b"}"
    answer = await gateway.http.post("/v1/message/send", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])
    assert "python" not in answer.text.lower() and "sys." not in answer.text


async def test_brackets_that_are_not_nested_or_stand_in_a_text_are_no_depth(gateway: Gateway) -> None:
    shallow = [[n] for n in range(200)]
    body = CHAT | {"message": "[" * 100 + '{\\"' * 100, "other": shallow}
    assert (await gateway.http.post("/v1/message/send", json=body)).status_code == 200


async def test_an_escaped_backslash_before_u0000_is_a_text_like_any_other(gateway: Gateway) -> None:
    raw = rb'{"chat_id":"919537851844","message":"the escape is \\u0000"}'
    answer = await gateway.http.post("/v1/message/send", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused_before_it_is_parsed(gateway: Gateway, announced: bool) -> None:
    raw = b"x" * (BODY_LIMIT + 1)  # not even JSON

    async def pieces():  # type: ignore[no-untyped-def]
        for start in range(0, len(raw), 50_000):
            yield raw[start : start + 50_000]

    content: Any = raw if announced else pieces()  # type: ignore[no-untyped-call]
    answer = await gateway.http.post("/v1/message/send", content=content, headers={"Content-Type": "application/json"})
    assert_refused(answer, 413, "PAYLOAD_TOO_LARGE_ERROR")
    await assert_nothing_stored(gateway)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "text/plain"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/message/send", "/v1/message/send-sync", "/v1/message/queues", "/v1/phones/create"]
)
async def test_a_body_in_another_form_is_refused(gateway: Gateway, path: str, headers: dict[str, str]) -> None:
    raw = json.dumps(CHAT | {"message": "Hi"}).encode()
    assert_refused(await gateway.http.post(path, content=raw, headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE_ERROR")
    await assert_nothing_stored(gateway)


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "schl\u00fcssel"])
async def test_an_idempotency_key_that_cannot_be_kept_is_refused(gateway: Gateway, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    answer = await gateway.http.post("/v1/message/send", json=CHAT | {"message": "Hi"}, headers=headers)
    assert_refused(answer, 422, "VALIDATION_ERROR", "Idempotency-Key")
    await assert_nothing_stored(gateway)


async def test_a_phone_that_is_unknown_deleted_or_anothers_is_not_found(gateway: Gateway) -> None:
    other = await gateway.stores.accounts.create_org("Second")
    theirs = await gateway.add_phone(other.org_no, "447700900001")
    gone = await gateway.add_phone(gateway.org.org_no, "447700900002")
    await gateway.stores.phones.delete_phone(gateway.org.org_no, gone.phone_no, "test")
    for name in (
        "447700900999",
        theirs.number,
        theirs.phone_id,
        gone.number,
        gone.phone_id,
        "nonsense",
        "phone-x",
        "1" * 50,
    ):
        answer = await gateway.http.post("/v1/message/send", json=CHAT | {"message": "Hi"}, headers={"x-phone": name})
        assert_refused(answer, 404, "NOT_FOUND_ERROR", "x-phone")
    await assert_nothing_stored(gateway)


async def test_a_phone_deleted_a_moment_ago_is_not_found_although_it_was_known(gateway: Gateway) -> None:
    phone = await gateway.add_phone(gateway.org.org_no, "447700900002")
    headers = {"x-phone": phone.number}
    body = CHAT | {"message": "Hi"}
    assert (await gateway.http.post("/v1/message/send", json=body, headers=headers)).status_code == 200
    await gateway.stores.phones.delete_phone(gateway.org.org_no, phone.phone_no, "another process")
    assert_refused(
        await gateway.http.post("/v1/message/send", json=body, headers=headers), 404, "NOT_FOUND_ERROR", "x-phone"
    )
    assert len(await gateway.jobs()) == 1


async def test_without_x_phone_an_organisation_of_several_phones_is_asked_for_it(gateway: Gateway) -> None:
    await gateway.add_phone(gateway.org.org_no, "447700900002")
    answer = await gateway.send()
    assert_refused(answer, 422, "VALIDATION_ERROR", "x-phone")
    assert answer.json()["message"] == "Missing Header: {x-phone}"


async def test_a_phone_of_a_real_provider_refuses_test_recipients_and_what_it_cannot_send(gateway: Gateway) -> None:
    await gateway.add_phone(gateway.org.org_no, "447700900003", provider="cloud")
    headers = {"x-phone": "447700900003"}
    for chat_id in ("12025550140", "12025550100@c.us", "120363000000000140@g.us"):
        body = {"chat_id": chat_id, "message": "Hi"}
        answer = await gateway.http.post("/v1/message/send", json=body, headers=headers)
        assert_refused(answer, 422, "VALIDATION_ERROR", "chat_id")
    answer = await gateway.http.post("/v1/message/send", json=CHAT | poll("Yes", "No"), headers=headers)
    assert_refused(answer, 422, "VALIDATION_ERROR", "type")
    await assert_nothing_stored(gateway)
    body = {"chat_id": "12025550140", "message": "Hi"}
    simulated = await gateway.http.post("/v1/message/send", json=body, headers={"x-phone": "919876543210"})
    assert simulated.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"), ("GET", "/v1/"), ("GET", "/nothing"), ("POST", "/v1/message/x/edit"),
        ("POST", "/v1/message/x/react"), ("GET", "/v1/chats"), ("GET", "/v1/message/x/%00/status"),
        ("GET", "/index.html"),
    ],
)  # fmt: skip
async def test_a_path_that_is_not_there_is_a_404_in_json(gateway: Gateway, method: str, path: str) -> None:
    assert_refused(await gateway.http.request(method, path), 404, "NOT_FOUND_ERROR")


async def test_a_method_that_a_path_does_not_take_is_a_405_in_json(gateway: Gateway) -> None:
    answer = await gateway.http.put("/v1/message/send", json={})
    assert_refused(answer, 405, "METHOD_NOT_ALLOWED_ERROR")
    assert "POST" in answer.headers["allow"]
