"""Tests of two organisations on one real server, made by the command line: neither sees or changes the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import NUMBER, Server, serving
from tests.kit.until import wait_for

OTHER_NUMBER = "447700900123"
CHAT = "12025550100"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as running:
        yield running


def new_org(server: Server) -> str:
    """Creates a second organisation, and returns its first key."""
    key: str = json.loads(server.command("orgs", "add", "Second", "--json"))["key"]
    return key


def send(server: Server, text: str, key: str | None = None) -> Any:
    answer = server.call("POST", "/v1/message/send", {"chat_id": CHAT, "message": text}, key=key)
    assert answer.status == 200, answer.body
    return answer.json()


def until_read(server: Server, name: str, key: str | None) -> None:
    wait_for(lambda: server.call("GET", f"/v1/message/{name}/status", key=key).json()["status"] == "read", why="read")


def test_neither_sees_a_message_a_phone_or_the_network_journal_of_the_other(server: Server) -> None:
    theirs = new_org(server)
    assert server.call("GET", "/v1/phones/all", key=theirs).json() == []
    assert server.call("POST", "/v1/message/send", {"chat_id": CHAT, "message": "x"}, key=theirs).status == 422
    made = server.call("POST", "/v1/phones/create", {"number": OTHER_NUMBER}, key=theirs).json()
    mine, other = send(server, "of the first"), send(server, "of the second", theirs)

    def journal(key: str | None = None) -> list[str]:
        return [one["body"] for one in server.call("GET", "/simulator/messages", key=key).json()]

    wait_for(lambda: journal() and journal(theirs), why="both were sent")
    assert journal() == ["of the first"]
    assert journal(theirs) == ["of the second"]
    for key, own, foreign in ((None, mine, other), (theirs, other, mine)):
        for name in (foreign["queue_id"], foreign["unique_id"], f"true_{CHAT}@c.us_{foreign['unique_id']}"):
            for path in ("", "/status", "/history"):
                assert server.call("GET", f"/v1/message/{name}{path}", key=key).status == 404
        listed = server.call("POST", "/v1/message/queues", {}, key=key).json()
        assert [job["queue_id"] for job in listed] == [own["queue_id"]]
        assert [job["id"] for job in server.call("GET", "/v1/queue/jobs", key=key).json()] == [own["queue_id"]]
        assert server.call("POST", "/v1/message/queues", {"queue_id": foreign["queue_id"]}, key=key).json() == []
        assert sum(server.call("GET", "/v1/message/queues/health", key=key).json().values()) == 1
    assert server.call("GET", "/v1/phones", key=theirs, headers={"x-phone": NUMBER}).status == 404
    assert server.call("GET", "/v1/phones", headers={"x-phone": made["phone_id"]}).status == 404


def test_the_same_number_in_both_is_two_phones(server: Server) -> None:
    theirs = new_org(server)
    assert server.call("POST", "/v1/phones/create", {"number": NUMBER}, key=theirs).status == 200
    mine, other = send(server, "of the first"), send(server, "of the second", theirs)
    for key, own in ((None, mine), (theirs, other)):
        until_read(server, own["queue_id"], key)
    journal = server.call("GET", f"/simulator/messages?from={NUMBER}", key=theirs).json()
    assert [one["body"] for one in journal] == ["of the second"]


def test_neither_does_anything_to_the_other_on_the_network(server: Server) -> None:
    faults = {"receipts": False}
    assert server.call("PUT", "/simulator/faults", faults).status == 200
    theirs = new_org(server)
    assert server.call("PUT", "/simulator/faults", faults).status == 200  # nobody else has a phone yet
    server.call("POST", "/v1/phones/create", {"number": OTHER_NUMBER}, key=theirs)
    mine = send(server, "of the first")
    wait_for(lambda: server.call("GET", "/simulator/messages").json(), why="sent")

    def act(method: str, path: str, body: Any = None) -> int:
        return server.call(method, f"/simulator{path}", body, key=theirs).status

    assert act("POST", "/receipts", {"message_id": mine["unique_id"], "ack": 4}) == 404
    assert act("POST", "/inbound", {"chat_id": CHAT, "body": "STOP", "to": NUMBER}) == 404
    assert act("DELETE", "/messages") == 200
    assert act("PUT", "/faults", {"offline": True}) == act("PUT", f"/contacts/{CHAT}", {"behaviour": "40"}) == 409
    assert [one["ack"] for one in server.call("GET", "/simulator/messages").json()] == [1]
    assert server.call("GET", "/v1/suppressions").json() == []
    assert server.call("POST", "/simulator/receipts", {"message_id": mine["unique_id"], "ack": 4}).status == 200
    until_read(server, mine["queue_id"], None)


def test_a_revoked_key_of_one_stops_within_seconds_and_the_other_goes_on(server: Server) -> None:
    theirs = new_org(server)
    assert server.call("GET", "/v1/phones/all", key=theirs).status == 200
    keys = json.loads(server.command("keys", "list", "--json"))
    [prefix] = [key["prefix"] for key in keys if key["org_name"] == "Second"]
    server.command("keys", "revoke", prefix, "--org", "Second")
    wait_for(lambda: server.call("GET", "/v1/phones/all", key=theirs).status == 401, limit_s=5, why="the key has ended")
    assert server.call("GET", "/v1/phones/all").status == 200


def test_the_list_of_keys_tells_which_were_used(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        new_org(server)
        assert server.call("GET", "/v1/phones").status == 200
    keys = json.loads(server.command("keys", "list", "--json"))
    assert [(key["org_name"], key["last_used_at"] is not None) for key in keys] == [
        ("default", True),
        ("Second", False),
    ]
