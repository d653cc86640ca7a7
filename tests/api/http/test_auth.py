"""Tests of authentication: keys, the caller's phones, and organisations that never see each other."""

import asyncio

import pytest

from heliograph.api.http.auth import KEY_TTL_S
from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.guess_limit import BURST, MAX_WAIT_S
from tests.api.gateway import NUMBER, SECRET, Gateway

OTHER_SECRET = "hg_live_another_organisations_key"


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {SECRET}",
        f"bearer {SECRET}",
        f"Bearer Bearer {SECRET}",
        f"  Bearer   {SECRET}  ",
        f"BEARER  bearer {SECRET}",
    ],
)
async def test_a_key_is_taken_with_stray_spaces_and_a_doubled_prefix(gateway: Gateway, header: str) -> None:
    async with gateway.client(None, Authorization=header) as http:
        assert (await http.get("/v1/phones")).status_code == 200


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", SECRET, f"Basic {SECRET}", "Bearer wrong", "Bearer \u00fc"]
)
@pytest.mark.parametrize("path", ["/v1/phones", "/v1/message/send", "/v1/nothing"])
async def test_a_call_without_a_known_key_is_unauthorized(gateway: Gateway, header: str | None, path: str) -> None:
    async with gateway.client(None) as http:
        headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
        answer = await http.post(path, headers=headers, json={"chat_id": "919537851844", "message": "Hi"})
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "UNAUTHORIZED_ERROR",
        "name": "Unauthorized Error",
        "status": 401,
        "message": "Invalid bearer auth token",
        "fields": {},
    }
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await gateway.jobs() == []


async def test_a_revoked_key_stops_within_the_time_it_is_remembered(gateway: Gateway) -> None:
    assert KEY_TTL_S < 5
    assert (await gateway.send()).status_code == 200
    await gateway.stores.accounts.revoke_key(gateway.org.org_no, gateway.key.prefix)
    gateway.clock.advance(KEY_TTL_S)
    assert (await gateway.send()).status_code == 401
    assert (await gateway.http.get("/v1/phones")).status_code == 401


async def test_concurrent_requests_share_one_lookup(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    real = gateway.stores.accounts.key_by_digest

    async def counted(digest: bytes) -> KeyRow | None:
        asked.append(digest)
        await asyncio.sleep(0)
        return await real(digest)

    monkeypatch.setattr(gateway.stores.accounts, "key_by_digest", counted)
    answers = await asyncio.gather(*(gateway.http.get("/v1/phones") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) == 1
    await gateway.http.get("/v1/phones")
    assert len(asked) == 1, "remembered for a few seconds"


@pytest.mark.parametrize("spelling", [NUMBER, f"+{NUMBER}", "+91 98765 43210", f"{NUMBER}@c.us", " 919876543210 "])
async def test_a_phone_is_named_by_its_number_in_any_spelling(gateway: Gateway, spelling: str) -> None:
    await gateway.add_phone(gateway.org.org_no, "447700900002")
    answer = await gateway.http.get("/v1/phones", headers={"x-phone": spelling})
    assert answer.json()["phone_id"] == gateway.phone.phone_id


async def test_a_phone_is_named_by_its_id(gateway: Gateway) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    answer = await gateway.http.get("/v1/phones", headers={"x-phone": second.phone_id})
    assert answer.json()["org_phone"] == "447700900002@c.us"
    assert answer.headers["x-periskope-phone-id"] == second.phone_id


async def test_organisations_never_see_each_other(gateway: Gateway) -> None:
    mine = (await gateway.send()).json()
    other = await gateway.stores.accounts.create_org("Second")
    await gateway.add_key(other.org_no, OTHER_SECRET)
    await gateway.add_phone(other.org_no, "447700900001")
    async with gateway.client(OTHER_SECRET) as http:
        for name in (mine["queue_id"], mine["unique_id"], f"true_919537851844@c.us_{mine['unique_id']}"):
            for path in ("", "/status", "/history"):
                assert (await http.get(f"/v1/message/{name}{path}")).status_code == 404
        assert (await http.get(f"/v1/queue/jobs?queue_id={mine['queue_id']}")).json() == []
        assert (await http.get("/v1/queue/jobs")).json() == []
        assert (await http.post("/v1/message/queues", json={})).json() == []
        assert (await http.get("/v1/message/queues/health")).json()["waiting"] == 0
        purged = await http.post("/v1/message/queues/purge", json={"queue_ids": [mine["queue_id"]]})
        assert purged.json() == {"purged": True, "mode": "queue_ids", "queue_ids": []}
        assert (await http.post("/v1/message/queues/purge")).json()["queue_ids"] == []
        assert (await http.delete("/v1/queue/purge")).status_code == 204
        reply = {"chat_id": "919537851844", "message": "Hi", "reply_to": mine["unique_id"]}
        assert (await http.post("/v1/message/send", json=reply)).status_code == 422
        assert [phone["number"] for phone in (await http.get("/v1/phones/all")).json()] == ["447700900001"]
        for method, path in (("GET", ""), ("PATCH", "/update"), ("POST", "/restart"), ("DELETE", "/delete")):
            answer = await http.request(method, f"/v1/phones{path}", headers={"x-phone": NUMBER}, json={"labels": "x"})
            assert answer.status_code == 404
    assert (await gateway.http.get(f"/v1/message/{mine['queue_id']}")).json()["ack"] == "0"


async def test_the_same_idempotency_key_of_two_organisations_is_two_keys(gateway: Gateway) -> None:
    other = await gateway.stores.accounts.create_org("Second")
    await gateway.add_key(other.org_no, OTHER_SECRET)
    await gateway.add_phone(other.org_no, NUMBER)
    body, headers = {"chat_id": "919537851844", "message": "Hi"}, {"Idempotency-Key": "order-1"}
    first = await gateway.http.post("/v1/message/send", json=body, headers=headers)
    async with gateway.client(OTHER_SECRET) as http:
        second = await http.post("/v1/message/send", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["queue_id"] != second.json()["queue_id"]
    assert "idempotent-replayed" not in second.headers


async def test_wrong_keys_of_an_address_are_refused_with_429_after_a_burst_and_right_ones_never(
    gateway: Gateway,
) -> None:
    async def met(secret: str) -> tuple[int, str | None]:
        async with gateway.client(secret) as http:
            answer = await http.get("/v1/phones")
            return answer.status_code, answer.headers.get("retry-after")

    await gateway.add_key(gateway.org.org_no, OTHER_SECRET)
    began_us = gateway.clock.now_us()
    assert [await met(f"hg_wrong_{n}") for n in range(BURST)] == [(401, None)] * BURST
    assert await met("hg_wrong") == (429, "5")
    assert await met(OTHER_SECRET) == (200, None)  # never seen before: it waited for its turn
    await met("hg_wrong")  # the right one gave its turn back
    assert [(await met(f"hg_wrong_{n}"))[0] for n in range(20)] == [429] * 20
    assert gateway.clock.now_us() - began_us < MAX_WAIT_S * 1_000_000
    assert await met(OTHER_SECRET) == (200, None)
    async with gateway.client(None) as http:
        assert (await http.get("/v1/phones")).status_code == 401  # no key is no guess
    gateway.clock.advance(60)
    assert await met("hg_wrong") == (401, None)
