"""Tests of `heliograph demo` as a real process."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUNGS = ["queued", "sending", "sent", "delivered", "read"]
COMMAND = [sys.executable, "-m", "heliograph.cli.main", "demo", "--port", "0"]

pytestmark = pytest.mark.timeout(120)


def environ(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return clean | {"TMPDIR": str(tmp_path)}


def test_the_demo_shows_four_messages_climb_to_read_within_a_minute(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = subprocess.run(COMMAND, capture_output=True, text=True, env=environ(tmp_path), cwd=tmp_path)
    took_s = time.monotonic() - begun
    assert done.returncode == 0, done.stdout + done.stderr
    assert took_s < 60
    shown = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    for name in ("text", "image", "poll", "reply"):
        at = shown.index(name)
        assert shown[at + 1 : at + 6] == RUNGS
    assert re.search(r"http://127\.0\.0\.1:\d+/login\?token=", done.stdout)
    assert "accepted, on disk" in done.stdout
    assert "curl http://127.0.0.1:8080/v1/message/send" in done.stdout
    assert "32 received, every signature good" in done.stdout
    events = dict(re.findall(r"^ +(message\.[a-z.]+) +(\d+)$", done.stdout, re.MULTILINE))
    four = dict.fromkeys(("message.created", "message.sent", "message.delivered", "message.read"), "4")
    assert events == four | {"message.ack.updated": "16"}
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_an_interrupted_demo_leaves_no_server_and_no_file_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--keep"],
        stdout=subprocess.PIPE,
        text=True,
        env=environ(tmp_path),
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )
    assert demo.stdout is not None
    url = ""
    for line in demo.stdout:
        if line.startswith("  Server"):
            url = line.split()[1]
        if "goes on until Ctrl-C" in line:
            break
    demo.send_signal(signal.SIGINT)
    demo.stdout.read()
    demo.stdout.close()
    assert demo.wait(30) == 130
    assert list(tmp_path.iterdir()) == []
    port = url.rsplit(":", 1)[1]
    with pytest.raises(ConnectionRefusedError):
        connect(int(port))


def connect(port: int) -> None:
    import socket

    socket.create_connection(("127.0.0.1", port), timeout=2).close()


def test_a_demo_whose_port_is_taken_says_so(tmp_path: Path, free_port: int) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        done = subprocess.run(
            [*COMMAND[:-1], str(free_port)], capture_output=True, text=True, env=environ(tmp_path), cwd=tmp_path
        )
    assert done.returncode == 1
    assert f"port {free_port} of 127.0.0.1 is taken" in done.stderr
