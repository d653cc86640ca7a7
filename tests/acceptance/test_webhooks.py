"""Tests of webhooks end to end: made on the command line, delivered by a real process, verified by a real library."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.acceptance.serving import Server, serving
from tests.kit.until import wait_for

pytestmark = pytest.mark.timeout(120)
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")


class Outside:
    """An outside server: it keeps posted bodies, serves a file, and fails while `failing` is set."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.failing = False
        self.fetched = 0
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outside.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self._answer(500 if outside.failing else 200, b"thank you")

            def do_GET(self) -> None:
                outside.fetched += 1
                self._answer(*{"/file.png": (200, PNG), "/gone.png": (404, b"")}.get(self.path, (500, b"")))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def names(self) -> list[str]:
        return [json.loads(body)["event"] for _, body in self.got]


@pytest.fixture
def outside() -> Iterator[Outside]:
    made = Outside()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, WEBHOOK_ALLOW_PRIVATE="127.0.0.0/8", WEBHOOK_RETRY_SECONDS="0.2,0.2") as running:
        yield running


def test_every_ack_level_is_delivered_in_order_and_verifies(server: Server, outside: Outside) -> None:
    made = json.loads(server.command("webhooks", "add", f"{outside.url}/hook", "--json"))
    server.call("POST", "/v1/message/send", {"chat_id": "12025550100", "message": "Hello ✓"})
    wait_for(lambda: len(outside.got) >= 8)
    assert outside.names() == [
        "message.created", "message.sent", "message.ack.updated", "message.ack.updated", "message.delivered",
        "message.ack.updated", "message.read", "message.ack.updated",
    ]  # fmt: skip
    key = server.command("webhooks", "key").strip()
    assert key == made[0]["signing_key"]
    for headers, body in outside.got:
        assert Webhook(key).verify(body, headers)["org_id"] == made[0]["org_id"]
    assert len({headers["webhook-id"] for headers, _ in outside.got}) == 8


def test_a_test_a_failure_and_a_replay_on_the_command_line(server: Server, outside: Outside) -> None:
    hook = json.loads(server.command("webhooks", "add", outside.url, "message.created", "--json"))[0]["id"]
    assert server.command("webhooks", "test", hook[:8]).startswith("delivered")
    outside.failing = True
    server.call("POST", "/v1/message/send", {"chat_id": "12025550100", "message": "Hello"})

    def dead() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(
            server.command("webhooks", "deliveries", hook, "--state", "dead", "--json")
        )
        return found

    (delivery,) = wait_for(dead)
    details = json.loads(server.command("webhooks", "deliveries", hook, delivery["id"], "--json"))
    assert [(each["status"], each["outcome"], each["answer"]) for each in details["tries"]] == [
        (500, "server_error", "thank you")
    ] * 3
    assert "server_error" in server.command("webhooks", "deliveries", hook)
    outside.failing = False
    server.command("webhooks", "replay", hook, "--failed-since", "2026-01-01")
    wait_for(lambda: not dead())
    assert outside.got[-1][1] == outside.got[-2][1] and json.loads(outside.got[-1][1])["id"] == delivery["id"]
    old = server.command("webhooks", "key").strip()
    rotated = json.loads(server.command("webhooks", "key", "--rotate", "--json"))
    assert rotated["previous_signing_key"] == old != rotated["signing_key"]
    assert server.command("webhooks", "list").count(outside.url) == 1
    server.command("webhooks", "delete", hook)
    assert json.loads(server.command("webhooks", "list", "--json")) == []


def test_a_file_by_url_is_fetched_once_before_it_is_sent(server: Server, outside: Outside) -> None:
    media = {"type": "image", "url": f"{outside.url}/file.png", "mimetype": "image/png"}
    sent = server.call("POST", "/v1/message/send", {"chat_id": "12025550110", "media": media, "message": "A dot"})
    assert sent.status == 200, sent.body
    status = f"/v1/message/{sent.json()['unique_id']}/status"
    wait_for(lambda: server.call("GET", status).json()["ack"] == 4, why="read, after one transient failure")
    assert outside.fetched == 1
    arrived = server.call("GET", "/simulator/messages?chat_id=12025550110@c.us").json()
    assert [(each["type"], each["shown"]) for each in arrived] == [("image", 1)]
    assert arrived[0]["media"]["size"] == len(PNG)


@pytest.mark.parametrize(
    ("path", "attempts", "word"), [("/gone.png", 1, "404"), ("/broken.png", 3, "500"), ("/file.png#x", 1, "image/jpeg")]
)
def test_a_file_that_cannot_be_had_fails_for_good_or_after_retries(
    tmp_path: Path, outside: Outside, path: str, attempts: int, word: str
) -> None:
    kind = "image/jpeg" if word == "image/jpeg" else "image/png"
    media = {"type": "image", "url": outside.url + path, "mimetype": kind}
    with serving(tmp_path, WEBHOOK_ALLOW_PRIVATE="127.0.0.0/8", MAX_RETRIES="2", RETRY_BASE_SECONDS="0.1") as server:
        sent = server.call("POST", "/v1/message/send", {"chat_id": "12025550100", "media": media}).json()
        status = f"/v1/message/{sent['unique_id']}/status"
        ended = wait_for(lambda: (found := server.call("GET", status).json())["status"] == "failed" and found)
        assert ended["attempts"] == attempts and word in ended["status_description"]
        assert server.call("GET", "/simulator/messages").json() == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.png", "http://localhost/x.png", "http://169.254.169.254/", "file:///x"]
)
def test_a_private_or_odd_media_url_is_refused_at_accept(tmp_path: Path, url: str) -> None:
    with serving(tmp_path) as server:
        media = {"type": "image", "url": url, "mimetype": "image/png"}
        answer = server.call("POST", "/v1/message/send", {"chat_id": "12025550100", "media": media})
        assert answer.status == 422 and "url" in answer.json()["fields"]
        assert sum(server.call("GET", "/v1/message/queues/health").json().values()) == 0
