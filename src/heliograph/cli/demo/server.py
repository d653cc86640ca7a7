"""A server of its own for a demonstration: a real process in a temporary folder, gone afterwards."""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from heliograph.cli.client import ApiClient
from heliograph.cli.exit_codes import Exit, Failed

_START_S = 30.0
_STOP_S = 10.0
PREFERRED_PORT = 8080


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    key: str
    phone: str
    started_in_s: float
    log: Path

    def gateway(self) -> ApiClient:
        return ApiClient(self.url, self.key, self.phone)

    def login_url(self) -> str | None:
        """The one-time link to the page, as the server printed it."""
        found = re.search(r"/login\?token=\S+", self.log.read_text(errors="replace"))
        return self.url + found[0] if found else None


@contextlib.contextmanager
def running_server(folder: Path, *, phone: str, port: int | None) -> Iterator[Server]:
    """Runs `heliograph serve` on an empty SQLite file in `folder` until the block ends. `port` None: 8080 if free."""
    port, key, log = _port(port), "hg_demo_" + secrets.token_hex(12), folder / "server.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    environ |= {
        "HELIOGRAPH_DATABASE_URL": f"sqlite:///{folder / 'heliograph.db'}",
        "HELIOGRAPH_PORT": str(port),
        "HELIOGRAPH_API_KEY": key,
        "HELIOGRAPH_SIMULATOR_PHONE": phone,
        "HELIOGRAPH_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
    }
    begun = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "heliograph.cli.main", "serve"],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is for this program, which then ends the server in order
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, ApiClient(url, key), log, until=begun + _START_S)
        yield Server(url, key, phone, time.monotonic() - begun, log)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], gateway: ApiClient, log: Path, *, until: float) -> None:
    with contextlib.closing(gateway):
        while True:
            if process.poll() is not None:
                raise Failed("the server did not start.", why=_tail(log), code=Exit.FAILED)
            with contextlib.suppress(Failed):
                if gateway.probe("/readyz")[0] == 200:
                    return
            if time.monotonic() > until:
                raise Failed(f"the server was not ready within {_START_S:.0f} s.", why=_tail(log), code=Exit.TIMED_OUT)
            time.sleep(0.03)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(chosen: int | None) -> int:
    """The chosen one; without a choice the usual one if it is free, else any."""
    for wish in (PREFERRED_PORT, 0) if chosen is None else (chosen,):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", wish))
                found: int = probe.getsockname()[1]
                return found
    raise Failed(f"port {chosen} of 127.0.0.1 is taken.", todo="Leave --port out, and a free one is used.")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " ".join(lines[-3:])[-600:]
