"""Tests of a start that cannot work: it ends within seconds, with one clear line, and leaves no file behind."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heliograph.cli.demo.server import running_server
from tests.kit.full_disk import fill

pytestmark = pytest.mark.timeout(120)
WITHIN_S = 20  # seconds on a machine that is busy with other tests; about one when it is not


def start(folder: Path, *args: str, **environ: str) -> str:
    """Starts the program, which must fail, and returns its one line."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "heliograph.cli.main", "serve", *args],
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean | environ,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert time.monotonic() - begun < WITHIN_S
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("heliograph: ")
    return lines[0]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Cannot listen on 127.0.0.1:{port}" in start(tmp_path, "--port", str(port))
    assert list(tmp_path.glob("*.db*")) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be reached"),
        ("sqlite:///no-such-folder/x.db", "no-such-folder"),
        ("sqlite:///text.db", "text.db"),
        ("sqlite:///folder", "folder"),
        ("mysql://root@localhost/x", "HELIOGRAPH_DATABASE_URL must be"),
        ("postgresql://nobody@127.0.0.1:port/none", "port must be a number"),
        ("postgresql://nobody@127.0.0.1:99999/none", "port must be a number"),
        ("postgresql://nobody@127.0.0.1:1/none?statement_cache_size=many", "statement_cache_size must be a number"),
    ],
)
def test_a_database_that_cannot_be_used(url: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("This is not a database but a text, and a longer one than a header.\n" * 40)
    assert said in start(tmp_path, "--port", "0", "--database-url", url)
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"text.db.lock", "folder.lock"} == {"text.db", "folder"}


def test_a_misspelled_setting(tmp_path: Path) -> None:
    assert "Did you mean HELIOGRAPH_PORT?" in start(tmp_path, HELIOGRAPH_PROT="8080")


def test_a_second_process_on_the_same_file(tmp_path: Path) -> None:
    with running_server(tmp_path, phone="919876543210", port=0):
        line = start(tmp_path, "--port", "0", "--database-url", f"sqlite:///{tmp_path / 'heliograph.db'}")
    assert "belongs to another heliograph process" in line


def test_a_second_process_on_the_same_file_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link" / "other.db"
    link.parent.mkdir()
    with running_server(tmp_path, phone="919876543210", port=0):
        link.symlink_to(tmp_path / "heliograph.db")
        line = start(link.parent, "--port", "0", "--database-url", "sqlite:///other.db")
    assert "belongs to another heliograph process (pid " in line
    assert list(link.parent.iterdir()) == [link]


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_is_named(there: bool, small_disk: Path) -> None:
    if there:
        with running_server(small_disk, phone="919876543210", port=0):
            pass
    fill(small_disk)
    line = start(small_disk, "--port", "0")
    assert "The disk is full" in line
    assert f"Make room in {small_disk}" in line


def test_a_disk_with_too_little_room_for_the_schema_is_named(small_disk: Path) -> None:
    filler = fill(small_disk)
    os.truncate(filler, filler.stat().st_size - 100_000)
    assert "The disk is full" in start(small_disk, "--port", "0")


def test_a_server_that_takes_the_call_and_never_answers(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"postgresql://nobody@127.0.0.1:{mute.getsockname()[1]}/none"
        assert "cannot be reached: it did not answer within" in start(tmp_path, "--port", "0", "--database-url", url)
