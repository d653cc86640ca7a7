"""A scripted HTTP server that answers as the contract says, and records its requests."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from heliograph.cli.main import run

KEY = "hg_test_0123456789abcdef"
QUEUE_ID = "ba3273cb-12be-48d4-90e0-0cbc0b427ef1"
UNIQUE_ID = "3EB05FC204C28E456D8596"


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Script:
    """`answers`: "METHOD /path" → answers in turn, the last one for ever. An answer is (status, body)."""

    url: str = ""
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, what: str, *bodies: Any, status: int = 200) -> None:
        self.answers[what] = [(status, body) for body in bodies]

    def next(self, what: str) -> tuple[int, Any]:
        found = self.answers.get(what)
        if not found:
            return 404, error(404, "NOT_FOUND_ERROR", f"nothing at {what}")
        return found.pop(0) if len(found) > 1 else found[0]

    def of(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]


def error(status: int, code: str, message: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"code": code, "name": code.title(), "status": status, "message": message, "fields": fields or {}}


def status_of(state: str, said: str = "", *, attempts: int = 1, **stamps: str) -> dict[str, Any]:
    """An answer of the status path."""
    return {
        "queue_id": QUEUE_ID,
        "unique_id": UNIQUE_ID,
        "message_id": f"true_12025550100@c.us_{UNIQUE_ID}",
        "chat_id": "12025550100@c.us",
        "performed_by": "api",
        "status": state,
        "status_description": said,
        "message": {"body": "Hello", "type": "chat"},
        "timeline": {"queued_at": "2026-04-01T14:23:21.279Z", **stamps},
        "attempts": attempts,
        "ack": 1,
        "delivered_count": 0,
        "read_count": 0,
    }


ACCEPTED = {"queue_id": QUEUE_ID, "queue_position": 0, "unique_id": UNIQUE_ID, "hint": "…"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None: ...

        def answer(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(raw) if raw else None
            script.asked.append(Asked(self.command, parts.path, parse_qs(parts.query), headers, body))
            status, value = script.next(f"{self.command} {parts.path}")
            data = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    script.url = f"http://127.0.0.1:{listener.server_address[1]}"
    monkeypatch.setenv("HELIOGRAPH_URL", script.url)
    monkeypatch.setenv("HELIOGRAPH_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    yield script
    listener.shutdown()
    thread.join()
    listener.server_close()


@dataclass
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def heliograph(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs one command as a shell would, without a terminal."""

    def call(*args: str) -> Said:
        code = run(args)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


def columns(out: str) -> Sequence[list[str]]:
    return [line.split() for line in out.splitlines()]
