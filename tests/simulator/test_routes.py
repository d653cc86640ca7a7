"""Tests of the paths below /simulator: responses and refusals."""

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from heliograph.domain.messages.content import Content, Kind, Media, Poll
from heliograph.ports.provider import Phone
from heliograph.simulator.asgi import simulator_asgi
from heliograph.simulator.journal import SQL
from heliograph.simulator.routes import MAX_BODY_BYTES, Request, Routes
from tests.kit.provider import RecordingSink
from tests.simulator.network_client import Client

ANYONE = "919537851844@c.us"
ID = "3EB0AAAAAAAAAAAAAAAAAA"


async def call(client: Client, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    reply = await client.finish(Routes(client.network).handle(Request(method, f"/simulator{path}", query, raw)))
    return reply.status, json.loads(reply.body)


async def test_the_journal_shows_each_field_that_the_interface_names(client: Client) -> None:
    picture = Content(Kind.IMAGE, "look", media=Media("image/png", "a.png", 3, "ab" * 32))
    poll = Content(Kind.POLL, poll=Poll("Tea?", ("yes", "no")))
    for content, quoted in ((picture, None), (poll, "3EB0QUOTED")):
        request = replace(client.request(ANYONE), content=content, quoted_id=quoted)
        await client.finish(client.provider.send(request))
    status, (first, second) = await call(client, "GET", "/messages")
    assert status == 200
    assert set(first) == {
        "message_id", "from", "chat_id", "type", "body", "media", "poll", "quoted_message_id", "received_at",
        "transmissions", "shown", "ack",
    }  # fmt: skip
    assert (first["from"], first["chat_id"], first["type"], first["body"]) == (
        client.phone.number,
        ANYONE,
        "image",
        "look",
    )
    assert first["media"]["mimetype"] == "image/png" and first["media"]["sha256"] == "ab" * 32
    assert first["poll"] is None and first["quoted_message_id"] is None
    assert first["received_at"].endswith("Z")
    assert second["poll"] == {
        "name": "Tea?",
        "options": ["yes", "no"],
        "allow_multiple_answers": False,
        "poll_id": None,
    }
    assert second["quoted_message_id"] == "3EB0QUOTED"


async def test_the_journal_is_filtered_by_chat_and_phone_oldest_first(client: Client) -> None:
    other = Phone(2, "phone-two", "447700900001", "simulator")
    await client.provider.open(other, RecordingSink(client.clock))
    for n, (phone, chat) in enumerate(
        [(client.phone, ANYONE), (other, ANYONE), (client.phone, "919537851845@c.us")] * 2
    ):
        client.phone, kept = phone, client.phone
        await client.send(chat, str(n))
        client.phone = kept
    bodies = {
        "all": {},
        "chat": {"chat_id": ANYONE},
        "bare chat": {"chat_id": "919537851844"},
        "phone": {"from": other.number},
        "both": {"chat_id": ANYONE, "from": client.phone.number},
        "limited": {"limit": "2"},
    }
    got = {
        name: [m["body"] for m in (await call(client, "GET", "/messages", **query))[1]]
        for name, query in bodies.items()
    }
    assert got == {
        "all": list("012345"),
        "chat": list("0134"),
        "bare chat": list("0134"),
        "phone": list("14"),
        "both": list("03"),
        "limited": list("01"),
    }


async def test_the_queries_of_the_journal_use_an_index(client: Client) -> None:
    values = {
        "chat_id": "1",
        "number": "1",
        "limit": 1,
        "device": "1",
        "after": 0,
        "now": 0,
        "message_id": "1",
        "devices": None,
    }
    names = (
        "messages_of_chat",
        "messages_of_number",
        "messages_of_chat_and_number",
        "owed_page",
        "senders",
        "known_chat",
        "last_writer",
        "devices_of",
    )
    for name in names:
        plan = await client.network.journal.call(
            lambda db, name=name: db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values).fetchall()  # type: ignore[misc]
        )
        words = " ".join(row[3] for row in plan if "json_each" not in row[3])  # the caller's own phones: a short list
        assert "USING" in words and "INDEX" in words and "SCAN" not in words and "TEMP B-TREE" not in words, (
            name,
            words,
        )


async def test_a_contact_can_be_given_a_behaviour_and_lose_it(client: Client) -> None:
    assert (await call(client, "PUT", "/contacts/919537851844", {"behaviour": "40"}))[0] == 200
    assert type(await client.send(ANYONE)).__name__ == "Rejected"
    assert await call(client, "GET", "/contacts") == (200, {ANYONE: "40"})
    assert (await call(client, "PUT", f"/contacts/{ANYONE}", {"behaviour": "66"}))[0] == 200
    assert not client.provider.honours_client_id(client.request(ANYONE).content, ANYONE)
    assert (await call(client, "PUT", f"/contacts/{ANYONE}", {"behaviour": None}))[0] == 200
    assert type(await client.send(ANYONE)).__name__ == "Accepted"


async def test_a_person_writes_to_the_phone(client: Client) -> None:
    status, answer = await call(client, "POST", "/inbound", {"chat_id": ANYONE, "body": "hello there"})
    assert status == 200 and answer["to"] == client.phone.number
    await call(client, "POST", "/inbound", {"chat_id": ANYONE, "media": {"mimetype": "image/png"}})
    await client.until(lambda: len(client.sink.messages) == 2)
    first, second = client.sink.messages
    assert (first.message_id, first.author, first.type, first.body) == (
        answer["message_id"],
        ANYONE,
        "chat",
        "hello there",
    )
    assert second.type == "image" and second.raw["media"] == {"mimetype": "image/png"}


async def test_inbound_messages_while_the_session_is_closed_come_when_it_opens(client: Client) -> None:
    await client.provider.close(1)
    await call(client, "POST", "/inbound", {"chat_id": ANYONE, "body": "are you there?"})
    await client.provider.open(client.phone, client.sink)
    await client.until(lambda: [message.body for message in client.sink.messages] == ["are you there?"])
    await client.provider.close(1)
    await client.provider.open(client.phone, client.sink)
    await client.pass_time(1)
    assert len(client.sink.messages) == 1


async def test_with_several_phones_the_one_that_wrote_to_the_chat_is_meant(client: Client) -> None:
    other = Phone(2, "phone-two", "447700900001", "simulator")
    sink = RecordingSink(client.clock)
    await client.provider.open(other, sink)
    assert (await call(client, "POST", "/inbound", {"chat_id": ANYONE, "body": "who?"}))[0] == 422
    await client.send(ANYONE)
    assert (await call(client, "POST", "/inbound", {"chat_id": ANYONE, "body": "you"}))[1]["to"] == client.phone.number
    assert (await call(client, "POST", "/inbound", {"chat_id": ANYONE, "body": "they", "to": other.number}))[0] == 200
    await client.until(lambda: bool(sink.messages and client.sink.messages))
    assert ([m.body for m in client.sink.messages], [m.body for m in sink.messages]) == (["you"], ["they"])


async def test_a_receipt_by_hand_reaches_the_phone_and_the_journal(client: Client) -> None:
    await call(client, "PUT", "/faults", {"receipts": False})
    await client.send(ANYONE, unique_id=ID)
    assert (await call(client, "POST", "/receipts", {"message_id": ID, "ack": 4}))[0] == 200
    await client.until(lambda: client.sink.acks(ID) == [4])
    refused = {"message_id": f"true_{ANYONE}_{ID}", "ack": -1, "code": "spam", "detail": "Marked as spam."}
    assert (await call(client, "POST", "/receipts", refused))[0] == 200
    await client.until(lambda: client.sink.acks(ID) == [4, -1])
    assert client.sink.got[-1].code == "spam"
    assert [message["ack"] for message in await client.journal()] == [-1]


async def test_a_receipt_by_hand_may_name_a_message_to_a_group_in_short_or_with_its_author(
    client: Client,
) -> None:
    await call(client, "PUT", "/faults", {"receipts": False})
    group = "120363297269676566@g.us"
    await client.send(group, unique_id=ID)
    for n, name in enumerate((f"true_{group}_{ID}", f"true_{group}_{ID}_{client.phone.number}@c.us"), 3):
        assert await call(client, "POST", "/receipts", {"message_id": name, "ack": n}) == (
            200,
            {"message_id": ID, "ack": n},
        )
    await client.until(lambda: client.sink.acks(ID) == [3, 4])


async def test_an_acknowledgement_by_hand_ends_the_wait_for_it(client: Client) -> None:
    task = asyncio.ensure_future(client.provider.send(client.request("12025550162@c.us", unique_id=ID)))
    await client.pass_time(1)
    await call(client, "POST", "/receipts", {"message_id": ID, "ack": 2})
    await client.until(task.done)
    assert type(task.result()).__name__ == "Accepted" and client.clock.monotonic() < 3


async def test_an_emptied_journal_holds_nothing_and_sends_no_more_receipts(client: Client) -> None:
    for _ in range(3):
        await client.send(ANYONE)
    assert await call(client, "DELETE", "/messages") == (200, {"deleted": 3})
    await client.pass_time(2)
    assert (await call(client, "GET", "/messages"))[1] == [] and client.sink.got == []
    await client.send(ANYONE, unique_id=ID)
    await client.until(lambda: client.sink.acks(ID) == [3, 4])


async def test_faults_are_shown_and_changed(client: Client) -> None:
    status, faults = await call(client, "PUT", "/faults", {"latency_ms": 5, "seed": 9})
    assert status == 200 and faults == (await call(client, "GET", "/faults"))[1]
    assert faults == {
        "latency_ms": 5, "transient_rate": 0.0, "lost_answer_rate": 0.0, "offline": False, "receipts": True, "seed": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "status", "field"),
    [
        ("GET", "/messages", None, {"limit": "0"}, 422, "limit"),
        ("GET", "/messages", None, {"limit": "100001"}, 422, "limit"),
        ("GET", "/messages", None, {"limit": "ten"}, 422, "limit"),
        ("GET", "/messages", None, {"limit": "٣"}, 422, "limit"),
        ("GET", "/messages", None, {"chat_id": "nobody"}, 422, "chat_id"),
        ("GET", "/messages", None, {"chat_id": ""}, 422, "chat_id"),
        ("GET", "/messages", None, {"from": "x"}, 422, "from"),
        ("PUT", "/messages", None, {}, 405, None),
        ("GET", "/nothing", None, {}, 404, None),
        ("GET", "", None, {}, 404, None),
        ("PUT", "/contacts/nobody", {"behaviour": "00"}, {}, 422, "chat_id"),
        ("PUT", "/contacts/%00", {"behaviour": "00"}, {}, 422, "chat_id"),
        ("PUT", "/contacts/919537851844", {}, {}, 422, "behaviour"),
        ("PUT", "/contacts/919537851844", {"behaviour": "99"}, {}, 422, "behaviour"),
        ("PUT", "/contacts/919537851844", {"behaviour": 40}, {}, 422, "behaviour"),
        ("PUT", "/contacts/919537851844", {"behaviour": ["40"]}, {}, 422, "behaviour"),
        ("PUT", "/faults", {"latency": 1}, {}, 422, "latency"),
        ("PUT", "/faults", b"", {}, 400, None),
        ("PUT", "/faults", b"[]", {}, 400, None),
        ("PUT", "/faults", b"{", {}, 400, None),
        ("PUT", "/faults", b"\xff", {}, 400, None),
        ("PUT", "/faults", b'{"seed": "\\ud800"}', {}, 400, None),
        ("PUT", "/faults", b"[" * 100_000, {}, 400, None),
        ("POST", "/inbound", {"body": "hi"}, {}, 422, "chat_id"),
        ("POST", "/inbound", {"chat_id": 5, "body": "hi"}, {}, 422, "chat_id"),
        ("POST", "/inbound", {"chat_id": ANYONE}, {}, 422, "body"),
        ("POST", "/inbound", {"chat_id": ANYONE, "body": 5}, {}, 422, "body"),
        ("POST", "/inbound", {"chat_id": ANYONE, "body": "x" * 65_537}, {}, 422, "body"),
        ("POST", "/inbound", {"chat_id": ANYONE, "media": "cat.png"}, {}, 422, "media"),
        ("POST", "/inbound", {"chat_id": ANYONE, "body": "hi", "to": "447700900999"}, {}, 404, "to"),
        ("POST", "/inbound", {"chat_id": ANYONE, "body": "hi", "author": "1203630000000001@g.us"}, {}, 422, "author"),
        ("POST", "/receipts", {"ack": 3}, {}, 422, "message_id"),
        ("POST", "/receipts", {"message_id": "3EB0", "ack": 3}, {}, 404, "message_id"),
        ("POST", "/receipts", {"message_id": "3EB0", "ack": 9}, {}, 422, "ack"),
        ("POST", "/receipts", {"message_id": "3EB0", "ack": True}, {}, 422, "ack"),
        ("POST", "/receipts", {"message_id": "3EB0", "ack": 10**30}, {}, 422, "ack"),
        ("POST", "/receipts", b" " * (MAX_BODY_BYTES + 1), {}, 413, None),
    ],
)
async def test_bad_input_is_refused_in_plain_words(
    client: Client, method: str, path: str, body: Any, query: dict[str, str], status: int, field: str | None
) -> None:
    got, error = await call(client, method, path, body, **query)
    assert (got, error["status"]) == (status, status)
    assert error["code"].endswith("_ERROR") and error["name"] and len(error["message"]) > 10
    assert list(error["fields"]) == ([field] if field else [])


@pytest.mark.parametrize("path", ["/simulator/messages", "/messages"])
async def test_the_asgi_application_answers_wherever_it_is_mounted(client: Client, path: str) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"limit=1", "headers": []}
    await client.send(ANYONE)
    await client.finish(simulator_asgi(client.network)(scope, receive, send))
    assert sent[0]["status"] == 200 and len(json.loads(sent[1]["body"])) == 1
