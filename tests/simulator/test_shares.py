"""Tests of two organisations on one network: each changes only its own phones."""

import json
from typing import Any

import pytest

from heliograph.ports.provider import Phone
from heliograph.ports.simulated_network import DeviceScope
from heliograph.simulator.asgi import simulator_asgi
from heliograph.simulator.routes import Request, Routes
from tests.kit.provider import RecordingSink
from tests.simulator.network_client import Client

CHAT = "919537851844@c.us"
MINE = Phone(1, "phone-one", "919876543210", "simulator")
THEIRS = Phone(2, "phone-two", "447700900001", "simulator")
SAME_NUMBER = Phone(3, "phone-three", MINE.number, "simulator")
ME = DeviceScope((MINE.phone_id,), alone=False)
THEY = DeviceScope((THEIRS.phone_id, SAME_NUMBER.phone_id), alone=False)


async def call(client: Client, share: DeviceScope, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    raw = b"" if body is None else json.dumps(body).encode()
    reply = await client.finish(Routes(client.network).handle(Request(method, f"/simulator{path}", {}, raw, share)))
    return reply.status, json.loads(reply.body)


async def send(client: Client, phone: Phone, message_id: str) -> None:
    client.phone = phone
    await client.send(CHAT, f"from {phone.phone_id}", unique_id=message_id)


@pytest.fixture
async def sinks(client: Client) -> dict[str, RecordingSink]:
    found = {MINE.phone_id: client.sink}
    for phone in (THEIRS, SAME_NUMBER):
        found[phone.phone_id] = RecordingSink(client.clock)
        await client.provider.open(phone, found[phone.phone_id])
    await client.until(lambda: all(sink.state() is not None for sink in found.values()))
    return found


async def test_a_receipt_for_a_message_of_another_organisation_is_a_404(
    client: Client, sinks: dict[str, RecordingSink]
) -> None:
    await client.finish(Routes(client.network).handle(Request("PUT", "/simulator/faults", {}, b'{"receipts": false}')))
    await send(client, MINE, "3EB0MINE")
    unknown = await call(client, THEY, "POST", "/receipts", {"message_id": "3EB0NONE", "ack": 4})
    refused = await call(client, THEY, "POST", "/receipts", {"message_id": "3EB0MINE", "ack": 4})
    assert refused[0] == unknown[0] == 404
    assert refused[1]["message"] == unknown[1]["message"].replace("3EB0NONE", "3EB0MINE")
    assert (await client.journal())[0]["ack"] == 1
    assert (await call(client, ME, "POST", "/receipts", {"message_id": "3EB0MINE", "ack": 3}))[0] == 200
    await client.until(lambda: sinks["phone-one"].acks("3EB0MINE") == [3])


async def test_a_phone_of_another_organisation_cannot_be_written_to(
    client: Client, sinks: dict[str, RecordingSink]
) -> None:
    stop = {"chat_id": CHAT, "body": "STOP"}
    assert (await call(client, ME, "POST", "/inbound", stop | {"to": THEIRS.number}))[0] == 404
    await send(client, THEIRS, "3EB0THEIRS")
    status, answer = await call(client, ME, "POST", "/inbound", stop)  # they wrote to the chat last, and are not meant
    assert (status, answer["to"]) == (200, MINE.number)
    await client.until(lambda: len(sinks["phone-one"].messages) == 1)
    assert (sinks["phone-two"].messages, sinks["phone-three"].messages) == ([], [])


async def test_of_two_phones_of_one_number_only_the_callers_is_written_to(
    client: Client, sinks: dict[str, RecordingSink]
) -> None:
    said = {"chat_id": CHAT, "body": "hello", "to": MINE.number}
    assert (await call(client, THEY, "POST", "/inbound", said))[0] == 200
    await client.until(lambda: len(sinks["phone-three"].messages) == 1)
    assert sinks["phone-one"].messages == []


async def test_an_organisation_empties_its_own_journal_only(client: Client, sinks: dict[str, RecordingSink]) -> None:
    for phone, message_id in ((MINE, "3EB0MINE"), (THEIRS, "3EB0THEIRS"), (SAME_NUMBER, "3EB0SAME")):
        await send(client, phone, message_id)
    await client.provider.close(THEIRS.phone_no)
    await call(client, THEY, "POST", "/inbound", {"chat_id": CHAT, "body": "later", "to": THEIRS.number})
    assert await call(client, ME, "DELETE", "/messages") == (200, {"deleted": 1})
    assert (await call(client, ME, "GET", "/messages"))[1] == []
    assert [one["message_id"] for one in (await call(client, THEY, "GET", "/messages"))[1]] == [
        "3EB0THEIRS",
        "3EB0SAME",
    ]
    await client.provider.open(THEIRS, sinks["phone-two"])
    await client.until(lambda: [one.body for one in sinks["phone-two"].messages] == ["later"])
    await client.until(lambda: sinks["phone-two"].acks("3EB0THEIRS") == [3, 4])
    await client.until(lambda: sinks["phone-three"].acks("3EB0SAME") == [3, 4])
    assert sinks["phone-one"].acks("3EB0MINE") == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/faults", {"offline": True}), ("PUT", "/faults", {}), ("GET", "/contacts", None),
        ("PUT", f"/contacts/{CHAT}", {"behaviour": "40"}), ("PUT", f"/contacts/{CHAT}", {"behaviour": None}),
    ],
)  # fmt: skip
async def test_what_holds_for_all_phones_is_refused_while_another_organisation_has_some(
    client: Client, method: str, path: str, body: Any
) -> None:
    status, answer = await call(client, ME, method, path, body)
    assert (status, answer["code"]) == (409, "CONFLICT_ERROR")
    assert "`heliograph simulator`" in answer["message"] and "HELIOGRAPH_SIMULATOR_URL" in answer["message"]
    assert not client.network.faults.any and client.network.contacts == {}
    assert (await call(client, DeviceScope(ME.devices, alone=True), method, path, body))[0] == 200


async def test_the_mounted_application_shows_only_the_callers_phones(
    client: Client, sinks: dict[str, RecordingSink]
) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def answer(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "DELETE", "path": "/simulator/messages", "query_string": b"", "headers": []}
    await send(client, MINE, "3EB0MINE")
    await client.finish(simulator_asgi(client.network)(scope | {"heliograph.share": THEY}, receive, answer))
    assert json.loads(sent[1]["body"]) == {"deleted": 0}
    assert len(await client.journal()) == 1
