"""Tests with the published Node client, unmodified: message, queue and phone calls to a real server on port 8080."""

import base64
import contextlib
import fcntl
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.node import Client, client
from tests.acceptance.serving import KEY, NUMBER, Server, serving
from tests.api.messages.test_send import PNG
from tests.kit.until import wait_for

CHAT = "12025550100"
HINT = "You can track message status using the fetch jobs api - /queue/jobs?queue_id="

pytestmark = pytest.mark.timeout(400)


@contextlib.contextmanager
def port_8080(*, limit_s: float = 300.0) -> Iterator[None]:
    """The client's env 'local' names this port, so test processes that run beside each other take turns."""
    with (Path(tempfile.gettempdir()) / "heliograph-test-port-8080.lock").open("w") as turn:

        def mine() -> bool:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True

        wait_for(mine, limit_s=limit_s, why="no other test process uses port 8080")
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with port_8080(), serving(tmp_path_factory.mktemp("official"), port=8080) as server:
        yield server


@pytest.fixture(scope="module")
def node(server: Server) -> Iterator[Client]:
    with client(KEY, NUMBER) as driven:
        yield driven


def ok(answer: Any, status: int = 200) -> Any:
    assert answer["error"] is None, answer
    assert answer["status"] == status
    return answer["data"]


def refused(answer: Any, status: int, code: str) -> str:
    assert answer["status"] == status, answer
    assert (answer["error"]["code"], answer["error"]["statusCode"]) == (code, status)
    text: str = answer["error"]["message"]
    assert text
    return text


def test_a_text_is_accepted_and_can_be_followed_to_read(node: Client, server: Server) -> None:
    sent = ok(node("message", "send", {"chat_id": CHAT, "message": "Hi from the published client"}))
    assert list(sent) == ["queue_id", "queue_position", "unique_id", "hint"]
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", sent["unique_id"])
    assert isinstance(sent["queue_position"], int)
    assert sent["hint"] == HINT + sent["queue_id"]
    assert ok(node("message", "getById", {"message_id": sent["queue_id"]}))["sent_message_id"] == sent["queue_id"]

    def read() -> Any:
        message = ok(node("message", "getById", {"message_id": sent["queue_id"]}))
        return message if message["ack"] == "4" else None

    message = wait_for(read, why="read")
    assert message["body"] == "Hi from the published client"
    for name in (sent["unique_id"], message["message_id"]):
        assert ok(node("message", "getById", {"message_id": name}))["message_id"] == message["message_id"]
    [job] = ok(node("queue", "getJobs", {"queue_id": sent["queue_id"]}))
    assert (job["id"], job["status"], job["message_id"]) == (sent["queue_id"], "completed", sent["unique_id"])
    assert (job["attemptsMade"], job["stacktrace"]) == (1, [])
    assert job["data"] == {"body": "Hi from the published client", "chat_id": f"{CHAT}@c.us"}
    assert job["addedTimestamp"] <= job["processedTimestamp"] <= job["finishedTimestamp"]
    status = server.call("GET", f"/v1/message/{sent['unique_id']}/status").json()
    assert (status["status"], status["status_description"], status["ack"]) == ("read", "Read by recipient.", 4)
    [new] = server.call("POST", "/v1/message/queues", {"queue_id": sent["queue_id"]}).json()
    assert (new["status"], new["status_description"]) == ("sent", "Successfully submitted.")


def test_media_a_poll_a_reply_and_a_group_are_accepted_and_shown(node: Client, server: Server) -> None:
    picture = {
        "type": "image",
        "filedata": base64.b64encode(PNG).decode(),
        "filename": "a.png",
        "mimetype": "image/png",
    }
    first = ok(node("message", "send", {"chat_id": CHAT, "message": "caption", "media": picture}))
    poll = {"pollName": "Lunch?", "pollOptions": ["Yes", "No"], "options": {"allowMultipleAnswers": True}}
    second = ok(node("message", "send", {"chat_id": CHAT, "poll": poll, "options": {"hide_url_preview": True}}))
    third = ok(node("message", "send", {"chat_id": CHAT, "message": "a reply", "reply_to": first["unique_id"]}))
    group = ok(node("message", "send", {"chat_id": "120363000000000100@g.us", "message": "to all"}))

    def shown() -> Any:
        found = {one["message_id"]: one for one in server.call("GET", "/simulator/messages").json()}
        return found if all(one["unique_id"] in found for one in (first, second, third, group)) else None

    seen = wait_for(shown, why="all four are in the network's journal")
    assert seen[first["unique_id"]]["media"]["mimetype"] == "image/png"
    assert seen[first["unique_id"]]["body"] == "caption"
    assert seen[second["unique_id"]]["poll"]["options"] == ["Yes", "No"]
    assert seen[third["unique_id"]]["quoted_message_id"] == first["unique_id"]
    assert [seen[one["unique_id"]]["shown"] for one in (first, second, third, group)] == [1, 1, 1, 1]
    message = ok(node("message", "getById", {"message_id": second["queue_id"]}))
    assert message["poll_info"]["pollName"] == "Lunch?"


def test_refusals_reach_the_client_with_code_and_text(node: Client) -> None:
    text = refused(node("message", "send", {"chat_id": "hello", "message": "Hi"}), 422, "VALIDATION_ERROR")
    assert "chat_id" in text
    refused(node("message", "send", {"chat_id": CHAT}), 422, "VALIDATION_ERROR")
    refused(node("message", "getById", {"message_id": "true_x%@c.us_/3EB0"}), 404, "NOT_FOUND_ERROR")
    with client("not-a-key-of-this-gateway", NUMBER) as stranger:
        assert refused(stranger("phone", "info"), 401, "UNAUTHORIZED_ERROR") == "Invalid bearer auth token"
    with client(KEY, "447700900999") as lost:
        refused(lost("phone", "info"), 404, "NOT_FOUND_ERROR")


def test_queue_calls(node: Client, server: Server) -> None:
    server.call("PUT", "/simulator/faults", {"offline": True})
    try:
        waiting = [ok(node("message", "send", {"chat_id": f"1202555010{n}", "message": "wait"})) for n in range(3)]
        status = ok(node("queue", "getStatus"))
        assert set(status) == {"active", "failed", "completed", "is_running", "pending"}
        assert status["pending"] + status["active"] >= 3
        assert status["is_running"] is True
        jobs = ok(node("queue", "getJobs", {}))
        assert [job["id"] for job in jobs[:3]] == [one["queue_id"] for one in waiting[::-1]]
        assert ok(node("queue", "purge", {"queue_id": waiting[2]["queue_id"]}), 204) is None

        def ended() -> bool:
            [job] = ok(node("queue", "getJobs", {"queue_id": waiting[2]["queue_id"]}))
            return bool(job["status"] == "failed")

        wait_for(ended, why="the named job was purged")
        [job] = ok(node("queue", "getJobs", {"queue_id": waiting[2]["queue_id"]}))
        assert job["stacktrace"] == ["Purged before it was sent."]
        ok(node("queue", "purge"), 204)
        assert ok(node("queue", "getJobs", {"queue_id": "5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400"})) == []
    finally:
        server.call("PUT", "/simulator/faults", {"offline": False})
        wait_for(lambda: ok(node("phone", "info"))["wa_state"] == "CONNECTED", why="the phone is online again")


def test_phone_calls(node: Client, server: Server) -> None:
    phone = ok(node("phone", "info"))
    assert (phone["org_phone"], phone["wa_state"], phone["is_ready"]) == (f"{NUMBER}@c.us", "CONNECTED", True)
    assert ok(node("phone", "getAll"))[0]["phone_id"] == phone["phone_id"]
    assert ok(node("phone", "update", {"phone_name": "Support", "labels": "vip,india"}))["labels"] == ["vip", "india"]
    refused(node("phone", "update", {}), 422, "VALIDATION_ERROR")
    refused(node("phone", "getQR"), 409, "CONFLICT_ERROR")
    made = ok(node("phone", "create"))
    assert made["phone_id"] != phone["phone_id"]
    with client(KEY, made["number"]) as second:
        for method in ("restart", "reset", "resync"):
            assert ok(second("phone", method), 204) is None
        assert ok(second("message", "send", {"chat_id": CHAT, "message": "Hi"}))["queue_id"]
        assert ok(second("phone", "delete"), 204) is None
        refused(second("phone", "info"), 404, "NOT_FOUND_ERROR")


def test_a_phone_that_was_logged_out_shows_a_code_and_comes_back(node: Client, server: Server) -> None:
    made = ok(node("phone", "create"))
    with client(KEY, made["phone_id"]) as second:
        ok(second("message", "send", {"chat_id": "12025550180", "message": "log me out"}))
        wait_for(lambda: ok(second("phone", "info"))["wa_state"] == "DISCONNECTED", why="logged out")
        code = ok(second("phone", "getQR"))
        assert bytes(code["data"]).startswith(b"\x89PNG")
        assert code["type"] == "Buffer"
        ok(second("queue", "purge"), 204)  # what logged it out still waits, and would do it again
        ok(second("phone", "restart"), 204)
        wait_for(lambda: ok(second("phone", "info"))["wa_state"] == "CONNECTED", why="connected again")
        ok(second("phone", "delete"), 204)


def test_webhook_calls(node: Client) -> None:
    url = "https://example.com/hook"
    names = ["message.sent", "message.failed"]
    made = ok(node("webhook", "create", {"hookUrl": url, "integrationName": names}), 201)
    assert [row["integration_name"] for row in made] == names
    assert {row["integration_id"] for row in made} == {made[0]["integration_id"]}
    listed = ok(node("webhook", "list", {"hook_url": url, "is_subscribed": True}))
    assert sorted(row["id"] for row in listed) == sorted(row["id"] for row in made)
    assert ok(node("webhook", "getById", {"id": made[0]["id"]}))["hook_url"] == url
    changed = ok(node("webhook", "update", {"id": made[0]["id"], "isSubscribed": False}))
    assert changed["is_subscribed"] is False
    for row in made:
        assert ok(node("webhook", "delete", {"id": row["id"]}), 204) is None
    refused(node("webhook", "getById", {"id": made[0]["id"]}), 404, "NOT_FOUND_ERROR")
    refused(node("webhook", "create", {"hookUrl": url, "integrationName": "message.imagined"}), 422, "VALIDATION_ERROR")


def test_broadcast_calls(node: Client) -> None:
    chats = ["12025550100", "12025550101", "12025550140"]
    wish = {"chat_ids": chats, "message": "Hello {{name}}", "delay": 0}
    wish |= {"variables": [{"chat_id": chat, "values": {"name": chat[-2:]}} for chat in chats]}
    made = ok(node("message", "broadcast", wish))
    assert re.fullmatch(r"[0-9a-f-]{36}", made["broadcast_id"])

    def done() -> Any:
        status = ok(node("queue", "getBroadcastStatus", {"broadcast_id": made["broadcast_id"]}))
        return status if status["pending_chats"] == 0 else None

    status = wait_for(done, limit_s=40, why="the broadcast is through")
    assert (status["total_chats"], status["sent_chats"], status["failed_chats"]) == (3, 2, 1)
    jobs = ok(node("queue", "getJobs", {"broadcast_id": made["broadcast_id"]}))
    assert sorted(job["data"]["body"] for job in jobs) == ["Hello 00", "Hello 01", "Hello 40"]
