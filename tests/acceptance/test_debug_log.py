"""Tests of the log level debug: it shows attempts and refusals without numbers or bodies; info shows neither."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import Server, free_port, serving
from tests.kit.until import wait_for

pytestmark = pytest.mark.timeout(120)
CHAT = "12025550110"  # a transient failure, then it works
MEANT = "for your eyes only"


def lines(server: Server, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def use(server: Server) -> str:
    """Sends a message that needs two attempts, makes two refused requests, and a webhook without a receiver."""
    hook = {"hookUrl": f"http://127.0.0.1:{free_port()}/a-secret-path", "integrationName": ["message.sent"]}
    made = server.call("POST", "/v1/webhooks", hook)
    assert made.status in (200, 201), made.body
    sent = server.call("POST", "/v1/message/send", {"chat_id": CHAT, "message": MEANT})
    assert server.call("POST", "/v1/message/send", {"chat_id": "nobody", "message": MEANT}).status == 422
    assert server.call("GET", f"/v1/message/{CHAT}@c.us/status", key="not_a_key_of_ours_1").status == 401
    queue_id: str = sent.json()["queue_id"]
    wait_for(lambda: server.call("GET", f"/v1/message/{queue_id}/status").json()["status"] == "read")
    return queue_id


def test_debug_logs_attempts_refusals_and_webhooks_without_numbers_or_bodies(tmp_path: Path) -> None:
    with serving(tmp_path, LOG_LEVEL="debug", RETRY_BASE_SECONDS="0.1", WEBHOOK_ALLOW_PRIVATE="127.0.0.0/8") as server:
        queue_id = use(server)
        started, ended = lines(server, "attempt_started"), lines(server, "attempt_ended")
        assert [(line["queue_id"], line["attempt"], line["chat_id"]) for line in started] == [
            (queue_id, 1, "…110@c.us"), (queue_id, 2, "…110@c.us"),
        ]  # fmt: skip
        assert [line["outcome"] for line in ended] == ["notsent", "accepted"]
        assert ended[0]["code"]
        assert [(line["method"], line["status"], line["code"]) for line in lines(server, "refused")] == [
            ("POST", 422, "VALIDATION_ERROR"), ("GET", 401, "UNAUTHORIZED_ERROR"),
        ]  # fmt: skip
        tried = wait_for(lambda: lines(server, "webhook_tried"))
        assert (tried[0]["about"], tried[0]["outcome"], tried[0]["attempt"]) == (
            "message.sent", "connection_refused", 1,
        )  # fmt: skip
        for hidden in (CHAT, MEANT, "a-secret-path", server.key):
            assert hidden not in server.log()


def test_without_debug_there_is_none_of_it(tmp_path: Path) -> None:
    with serving(tmp_path, RETRY_BASE_SECONDS="0.1", WEBHOOK_ALLOW_PRIVATE="127.0.0.0/8") as server:
        use(server)
        for event in ("attempt_started", "attempt_ended", "refused", "webhook_tried"):
            assert lines(server, event) == []
