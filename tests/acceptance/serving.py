"""A real `heliograph serve` in its own process, on a fresh SQLite file, with the simulated network inside."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.until import wait_for

KEY = "hg_live_acceptance_key_0123456789"
NUMBER = "919876543210"
COMMAND = [sys.executable, "-m", "heliograph.cli.main"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    port: int
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    key: str = KEY

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; any status is an answer."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {key or self.key}"} | (headers or {})
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def command(self, *args: str) -> str:
        """A command of the same installation."""
        done = subprocess.run(
            [*COMMAND, *args], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def log(self) -> str:
        return (self.folder / "serve.log").read_text()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(folder: Path, *, port: int | None = None, **settings: str) -> Iterator[Server]:
    """`settings`: HELIOGRAPH_ names without their prefix. The server is asked to stop at the end, and must."""
    port = port or free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    given = {"API_KEY": KEY, "SIMULATOR_PHONE": NUMBER, "PORT": str(port), "RATE_LIMIT_PER_SECOND": "0"} | settings
    environment = clean | {f"HELIOGRAPH_{name}": value for name, value in given.items()}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve"], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    server = Server(port, folder, environment, process)

    def ready() -> bool:
        assert process.poll() is None, f"the server ended:\n{server.log()}"
        with contextlib.suppress(OSError):
            return server.call("GET", "/readyz").status == 200
        return False

    try:
        wait_for(ready, why="ready")
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
            raise
