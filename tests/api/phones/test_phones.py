"""Tests of phones over HTTP: list, create, name, restart, delete, and the pairing code."""

import base64
from typing import Any

import pytest

from tests.api.gateway import NUMBER, Gateway


async def set_state(gateway: Gateway, state: str) -> None:
    from heliograph.store.database import named
    from heliograph.store.database.unit import Unit, query

    def unit() -> Unit[Any]:
        yield from query(
            named.phone_state(org_no=gateway.org.org_no, phone_no=gateway.phone.phone_no, state=state, detail="", now=1)
        )

    await gateway.stores.database.write(unit)


async def test_the_phone_of_the_header_has_the_shape_of_the_contract(gateway: Gateway) -> None:
    phone = (await gateway.http.get("/v1/phones", headers={"x-phone": NUMBER})).json()
    for name in ("org_id", "org_phone", "created_at", "updated_at", "wa_state", "phone_id", "qr_code", "phone_image",
                 "phone_name", "first_connected_at", "is_ready", "label_ids", "labels"):  # fmt: skip
        assert name in phone
    assert (phone["org_phone"], phone["phone_id"]) == (f"{NUMBER}@c.us", gateway.phone.phone_id)
    assert (phone["wa_state"], phone["is_ready"]) == ("DISCONNECTED", False)


async def test_all_phones_are_a_bare_array(gateway: Gateway) -> None:
    await gateway.add_phone(gateway.org.org_no, "447700900002")
    phones = (await gateway.http.get("/v1/phones/all")).json()
    assert [phone["number"] for phone in phones] == [NUMBER, "447700900002"]


async def test_a_phone_is_created_with_a_number_and_can_send_at_once(gateway: Gateway) -> None:
    body = {"provider": "simulator", "number": "+44 7700 900-005", "phone_name": "Second"}
    answer = await gateway.http.post("/v1/phones/create", json=body)
    assert answer.status_code == 200
    phone = answer.json()
    assert (phone["number"], phone["phone_name"], phone["library"]) == ("447700900005", "Second", "simulator")
    for name in ("is_browser_open", "last_disconnect", "phone_state", "queue_status", "server_ip", "wa_version"):
        assert name in phone
    sent = await gateway.http.post(
        "/v1/message/send", json={"chat_id": "919537851844", "message": "Hi"}, headers={"x-phone": phone["phone_id"]}
    )
    assert sent.status_code == 200


async def test_an_empty_call_creates_simulator_phones_with_numbers_of_their_own(gateway: Gateway) -> None:
    made = [(await gateway.http.post("/v1/phones/create", content=content)).json() for content in (b"", b"{}", b"")]
    assert len({phone["number"] for phone in made}) == 3
    assert all(phone["number"].startswith("447700900") for phone in made)
    assert len((await gateway.http.get("/v1/phones/all")).json()) == 4


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"number": NUMBER}, 409, "number"), ({"number": "12"}, 422, "number"), ({"number": 5}, 422, "number"),
        ({"provider": "pigeon"}, 422, "provider"), ({"provider": 5}, 422, "provider"),
        ({"phone_name": "x" * 300}, 422, "phone_name"),
    ],
)  # fmt: skip
async def test_a_phone_that_cannot_be_made_is_refused(gateway: Gateway, body: Any, status: int, field: str) -> None:
    answer = await gateway.http.post("/v1/phones/create", json=body)
    assert (answer.status_code, list(answer.json()["fields"])) == (status, [field])
    assert len(await gateway.stores.phones.phones(gateway.org.org_no)) == 1


async def test_a_phone_is_named_and_labelled(gateway: Gateway) -> None:
    body = {"phone_name": "Support", "phone_image": "https://example.com/a.png", "labels": "vip, India ,VIP,,"}
    phone = (await gateway.http.patch("/v1/phones/update", json=body)).json()
    assert (phone["phone_name"], phone["phone_image"]) == ("Support", "https://example.com/a.png")
    assert phone["labels"] == ["vip", "India"]
    assert len(phone["label_ids"]) == 2
    phone = (await gateway.http.patch("/v1/phones/update", json={"labels": ["new"]})).json()
    assert (phone["labels"], phone["phone_name"]) == (["new"], "Support")
    assert (await gateway.http.get("/v1/phones")).json()["labels"] == ["new"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone_name"), ({"other": 1}, "phone_name"), ({"phone_name": "x" * 300}, "phone_name"),
        ({"phone_image": "javascript:alert(1)"}, "phone_image"), ({"labels": 5}, "labels"),
        ({"labels": ",".join(map(str, range(101)))}, "labels"), ({"phone_name": "a\0b"}, "phone_name"),
    ],
)  # fmt: skip
async def test_an_update_that_says_nothing_or_nonsense_is_refused(gateway: Gateway, body: Any, field: str) -> None:
    answer = await gateway.http.patch("/v1/phones/update", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["fields"]


@pytest.mark.parametrize("what", ["restart", "reset", "resync"])
async def test_a_restart_is_an_empty_204_and_reaches_the_owner(gateway: Gateway, what: str) -> None:
    answer = await gateway.http.post(f"/v1/phones/{what}", headers={"Content-Length": "0"})
    assert (answer.status_code, answer.content) == (204, b"")
    after = await gateway.stores.phones.phone(gateway.org.org_no, NUMBER)
    assert after is not None
    assert after.restarts == gateway.phone.restarts + 1
    assert gateway.wake.phone_nos == [gateway.phone.phone_no]


async def test_the_list_of_phones_tells_how_much_waits_on_each(gateway: Gateway) -> None:
    other = await gateway.add_phone(gateway.org.org_no, "447700900123")
    for _ in range(3):
        await gateway.http.post(
            "/v1/message/send", json={"chat_id": "919537851844", "message": "Hi"}, headers={"x-phone": NUMBER}
        )
    await gateway.http.post("/v1/phones/pause", headers={"x-phone": other.phone_id})
    listed = {one["number"]: one["queue_status"] for one in (await gateway.http.get("/v1/phones/all")).json()}
    idle = {"active": 0, "failed": 0, "completed": 0, "is_running": True, "pending": 0}
    assert listed == {
        NUMBER: {"message": idle | {"pending": 3}},
        "447700900123": {"message": idle | {"is_running": False}},
    }


async def test_a_deleted_phone_is_gone_and_its_waiting_messages_end(gateway: Gateway) -> None:
    sent = (await gateway.send()).json()
    assert (await gateway.http.delete("/v1/phones/delete")).status_code == 204
    assert (await gateway.http.get("/v1/phones/all")).json() == []
    assert (await gateway.http.delete("/v1/phones/delete", headers={"x-phone": NUMBER})).status_code == 404
    status = (await gateway.http.get(f"/v1/message/{sent['queue_id']}/status")).json()
    assert status["status"] == "failed"
    assert (await gateway.http.post("/v1/phones/create", json={"number": NUMBER})).status_code == 200


async def test_the_code_is_json_for_the_client_and_a_picture_for_a_browser(gateway: Gateway) -> None:
    as_json = [
        await gateway.http.get("/v1/phones/qr", headers={"client-version": "1.1.2"}),
        await gateway.http.get("/v1/phones/qr", headers={"accept": "application/json"}),
        await gateway.http.get("/v1/phones/qr", params={"format": "json"}, headers={"accept": "image/png"}),
    ]
    for answer in as_json:
        body = answer.json()
        assert body["type"] == "Buffer"
        assert bytes(body["data"]).startswith(b"\x89PNG")
        assert base64.b64decode(body["image"].removeprefix("data:image/png;base64,")) == bytes(body["data"])
        assert gateway.phone.phone_id in body["qr_code"]
    as_picture = [
        await gateway.http.get("/v1/phones/qr", headers={"accept": "*/*"}),
        await gateway.http.get("/v1/phones/qr", headers={"accept": "image/png,*/*", "client-version": "1.1.2"}),
        await gateway.http.get("/v1/phones/qr", params={"format": "png"}, headers={"client-version": "1.1.2"}),
    ]
    for answer in as_picture:
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
    assert (await gateway.http.get("/v1/phones/qr", params={"format": "gif"})).status_code == 422


async def test_a_connected_phone_has_no_code_to_scan(gateway: Gateway) -> None:
    await set_state(gateway, "connected")
    answer = await gateway.http.get("/v1/phones/qr", headers={"client-version": "1.1.2"})
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT_ERROR")
    assert (await gateway.http.get("/v1/phones")).json()["wa_state"] == "CONNECTED"
