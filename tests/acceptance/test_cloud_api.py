"""Tests of docs/how-to/cloud-api.md with real processes: local Graph server, gateway, phone, message, and a kill."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import COMMAND, Server, free_port, serving
from tests.kit.until import wait_for

pytestmark = pytest.mark.timeout(180)
NUMBER = "447700900000"


@contextlib.contextmanager
def graph(folder: Path, gateway_port: int) -> Iterator[dict[str, str]]:
    """`heliograph simulator --graph`, and the settings it writes for a phone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    file = folder / "graph.json"
    with (folder / "graph.log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "simulator", "--graph", "--port", "0", "--credentials", str(file)],
            cwd=folder,
            env=clean | {"HELIOGRAPH_PORT": str(gateway_port)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: file.exists() and file.read_text().endswith("}\n"), why="the Graph server is up")
        yield json.loads(file.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def asked(url: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=20) as answer:
        raw = answer.read()
        return json.loads(raw) if raw else None


def send(server: Server, to: str, text: str) -> str:
    answer = server.call("POST", "/v1/message/send", {"chat_id": to, "message": text}, headers={"x-phone": NUMBER})
    assert answer.status == 200, answer.body
    return str(answer.json()["queue_id"])


def status(server: Server, queue_id: str) -> dict[str, Any]:
    answer = server.call("GET", f"/v1/message/{queue_id}/status")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def unsettled(server: Server, url: str, queue_ids: list[str]) -> set[tuple[str, str]]:
    """Lists messages in a wrong state: those that WhatsApp took must be read, the others uncertain (pending)."""
    shown = {row["tracker"] for row in asked(f"{url}/_graph/messages?limit=1000")}
    words = {(one, str(status(server, one)["status"])) for one in queue_ids}
    return words - {(one, "read" if one in shown else "pending") for one in queue_ids}


def test_from_an_empty_gateway_to_a_read_message_in_the_commands_of_the_page(tmp_path: Path) -> None:
    port = free_port()
    with graph(tmp_path, port) as config:
        url = config["base_url"]
        with serving(tmp_path, port=port, CLOUD_API_URL=url, SECRET_KEY="a key for the acceptance test") as server:
            added = server.command(
                "phones",
                "add",
                "--provider",
                "cloud",
                "--number",
                NUMBER,
                "--credentials",
                str(tmp_path / "graph.json"),
            )
            assert added.startswith("phone-")
            wait_for(lambda: "connected" in server.command("phones", "list").lower(), why="the phone is connected")
            assert "✗" not in server.command("phones", "check", NUMBER)
            said = server.command("send", "447911123456", "Hello", "--phone", NUMBER, "--wait", "read")
            assert status(server, said.strip())["status"] == "read"
            (row,) = asked(f"{url}/_graph/messages")
            assert (row["to"], row["body"]["text"]["body"], row["shown"]) == ("447911123456", "Hello", 1)
            refused = send(server, "447700900041", "too late")
            wait_for(lambda: status(server, refused)["status"] == "failed", why="the refusal came")
            assert "template" in str(status(server, refused))
            stored = (tmp_path / "heliograph.db").read_bytes() + (tmp_path / "heliograph.db-wal").read_bytes()
            for secret in ("token", "app_secret"):
                assert config[secret] not in server.log()
                assert config[secret].encode() not in stored


def test_a_gateway_that_is_killed_under_load_sends_nothing_twice_and_settles_by_statuses(tmp_path: Path) -> None:
    port = free_port()
    with graph(tmp_path, port) as config:
        url = config["base_url"]
        settings = {"CLOUD_API_URL": url, "PACING": "none", "ACK_TIMEOUT_SECONDS": "1", "LEASE_SECONDS": "2"}
        asked(f"{url}/_graph", "PUT", {"latency_ms": 150, "lost_answer_rate": 0.05, "pair_interval_s": 0})
        sent: list[str] = []
        for round_ in range(4):
            with serving(tmp_path, port=port, **settings) as server:
                if not round_:
                    server.command(
                        "phones", "add", "--provider", "cloud", "--number", NUMBER,
                        "--credentials", str(tmp_path / "graph.json"),
                    )  # fmt: skip
                before = len(asked(f"{url}/_graph/messages"))
                sent += [send(server, f"4479111{n % 20:05d}", f"{round_}-{n}") for n in range(60)]
                wait_for(lambda: len(asked(f"{url}/_graph/messages")) > before + 10, why="it is under way")  # noqa: B023
                if round_ < 3:
                    server.process.kill()
                    server.process.wait(20)
                    continue

                wait_for(lambda: not unsettled(server, url, sent), limit_s=100, why="each is settled")  # noqa: B023
        rows = asked(f"{url}/_graph/messages?limit=1000")
        assert len(rows) >= 200
        assert max(row["shown"] for row in rows) == 1
