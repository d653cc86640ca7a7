"""Tests of media by URL on a real server: fetched through the egress guard, refused when private."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import Server, serving
from tests.api.messages.test_send import PNG
from tests.kit.until import wait_for

CHAT = "12025550100"

pytestmark = pytest.mark.timeout(180)


class Files(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        known = self.path == "/a.png"
        body = PNG if known else b"not here"
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def files() -> Iterator[tuple[str, list[str]]]:
    """The address of a file server on loopback, and the paths it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Files,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def send(server: Server, url: str) -> Any:
    media = {"type": "image", "url": url, "mimetype": "image/png", "filename": "a.png"}
    return server.call("POST", "/v1/message/send", {"chat_id": CHAT, "message": "look", "media": media})


def test_a_file_by_url_is_fetched_once_and_sent(tmp_path: Path, files: tuple[str, list[str]]) -> None:
    base, asked = files
    with serving(tmp_path, WEBHOOK_ALLOW_PRIVATE="127.0.0.0/8") as server:
        sent = send(server, f"{base}/a.png")
        assert sent.status == 200, sent.body
        [shown] = wait_for(lambda: server.call("GET", "/simulator/messages").json(), why="sent")
        assert (shown["body"], shown["media"]["sha256"]) == ("look", hashlib.sha256(PNG).hexdigest())
        assert asked == ["/a.png"]
        missing = send(server, f"{base}/gone.png").json()
        path = f"/v1/message/{missing['queue_id']}/status"
        status = wait_for(
            lambda: (
                (found := server.call("GET", path).json())["status"] in ("queued", "failed")
                and found["attempts"]
                and found
            ),
            why="tried",
        )
        assert status["status_description"]
        assert len(server.call("GET", "/simulator/messages").json()) == 1


def test_a_private_address_is_refused_at_accept_and_never_reached(tmp_path: Path, files: tuple[str, list[str]]) -> None:
    base, asked = files
    with serving(tmp_path) as server:
        odd = base.replace("127.0.0.1", "2130706433")
        urls = [f"{base}/a.png", f"{odd}/a.png", "http://localhost/a.png", "http://[::1]/a.png", "ftp://example.com/a.png",
                "http://user:secret@example.com/a.png", "nonsense", "file:///etc/passwd"]  # fmt: skip
        for url in urls:
            answer = send(server, url)
            assert (answer.status, list(answer.json()["fields"])) == (422, ["url"]), url
        assert server.call("POST", "/v1/message/queues", {}).json() == []
    assert asked == []
