"""Tests of commands against a real server and database, in the order of a first day."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heliograph.cli.demo.server import Server, running_server
from tests.cli.conftest import Said
from tests.kit.full_disk import fill

Run = Callable[..., Said]
PHONE = "919876543210"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), phone=PHONE, port=0) as running:
        yield running


@pytest.fixture
def server(one_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_URL", one_server.url)
    monkeypatch.setenv("HELIOGRAPH_API_KEY", one_server.key)
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", f"sqlite:///{one_server.log.parent / 'heliograph.db'}")
    return one_server


def test_a_first_day_from_send_to_why(server: Server, heliograph: Run) -> None:
    sent = heliograph("send", "12025550100", "Hello", "--wait", "read", "--timeout", "20")
    assert sent.code == 0, sent.err
    queue_id = sent.out.strip()
    assert [line.split()[2] for line in sent.err.splitlines()][-2:] == ["delivered", "read"]

    listed = heliograph("jobs")
    assert queue_id in listed.out
    assert "✓✓ read" in listed.out
    assert json.loads(heliograph("jobs", "--json").out)[0]["queue_id"] == queue_id

    explained = heliograph("why", queue_id)
    assert explained.code == 0
    assert "Read by recipient." in explained.out
    for step in ("accepted, on disk", "attempt 1 started", "accepted by WhatsApp", "delivered", "read"):
        assert step in explained.out
    assert json.loads(heliograph("health", "--json").out)["completed"] >= 1


@pytest.mark.parametrize(("to", "code"), [("12025550140", 1), ("12025550102", 6)])
def test_the_test_recipients_end_a_wait_as_they_should(to: str, code: int, server: Server, heliograph: Run) -> None:
    said = heliograph("send", to, "Hello", "--wait", "delivered", "--timeout", "2")
    assert said.code == code
    assert server.url not in said.out


def test_a_wrong_chat_is_usage_and_an_unknown_message_is_not_found(server: Server, heliograph: Run) -> None:
    wrong = heliograph("send", "not-a-number", "Hello")
    assert (wrong.code, wrong.out) == (2, "")
    assert "chat_id" in wrong.err
    assert heliograph("why", "3EB000000000000000FFFF").code == 3
    assert heliograph("send", "12025550100", "x", "--phone", "15550000000").code == 3


def test_phones_can_be_added_seen_and_removed(server: Server, heliograph: Run) -> None:
    added = heliograph("phones", "add", "--provider", "simulator", "--number", "447700900123", "--json")
    assert added.code == 0, added.err
    phone_id = json.loads(added.out)["phone_id"]
    assert re.fullmatch(r"phone-[a-z]{12,16}", phone_id)
    assert "+44 7700 900123" in heliograph("phones", "list").out
    assert {row["phone_id"] for row in json.loads(heliograph("phones", "list", "--json").out)} >= {phone_id}
    assert heliograph("phones", "restart", phone_id).code == 0
    assert heliograph("phones", "delete", phone_id, "--yes").code == 0
    assert phone_id not in heliograph("phones", "list").out
    assert heliograph("phones", "add", "--provider", "simulator", "--number", PHONE).code == 9


def test_keys_and_organisations_are_made_beside_a_running_server(
    server: Server, heliograph: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = heliograph("keys", "create", "reporting")
    key = made.out.strip()
    assert re.fullmatch(r"hg_[A-Za-z0-9]{32}", key)
    assert key not in made.err
    assert key[:11] in heliograph("keys", "list").out
    assert key not in heliograph("keys", "list", "--json").out
    monkeypatch.setenv("HELIOGRAPH_API_KEY", key)
    assert heliograph("health").code == 0
    assert heliograph("keys", "revoke", key[:11]).code == 0
    assert heliograph("keys", "revoke", key[:11]).code == 3
    until = time.monotonic() + 10
    while heliograph("health").code != 4:  # a server remembers a key for a few seconds
        assert time.monotonic() < until
        time.sleep(0.2)

    added = heliograph("orgs", "add", "Second", "--json")
    second = json.loads(added.out)
    monkeypatch.setenv("HELIOGRAPH_API_KEY", second["key"])
    assert json.loads(heliograph("phones", "list", "--json").out) == []
    assert [row["name"] for row in json.loads(heliograph("orgs", "list", "--json").out)][-1] == "Second"


def test_an_organisation_has_a_name_and_nobody_else_has_it(server: Server, heliograph: Run) -> None:
    for nameless in ("", "  "):
        said = heliograph("orgs", "add", nameless)
        assert (said.code, said.out) == (2, "")
        assert "needs a name" in said.err
    assert heliograph("orgs", "add", "Beta").code == 0
    again = heliograph("orgs", "add", "Beta")
    assert (again.code, again.out) == (9, "")
    assert "Beta already" in again.err
    assert heliograph("keys", "create", "second", "--org", "Beta").code == 0


@pytest.mark.parametrize(
    "args", [("keys", "list"), ("orgs", "list"), ("keys", "create", "x"), ("keys", "revoke", "hg_abcdefgh")]
)
def test_a_command_in_the_wrong_folder_makes_no_database_and_says_where_it_looked(
    args: tuple[str, ...], tmp_path: Path, heliograph: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = heliograph(*args)
    assert (said.code, said.out) == (1, "")
    assert f"there is no database {tmp_path / 'heliograph.db'}" in said.err
    assert "HELIOGRAPH_DATABASE_URL=sqlite:///FILE" in said.err
    assert list(tmp_path.iterdir()) == []


def test_the_first_organisation_may_be_made_before_the_first_start(
    tmp_path: Path, heliograph: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert heliograph("orgs", "add", "First").code == 0
    assert "First" in heliograph("orgs", "list").out


def test_a_login_link_opens_the_page_once(server: Server, heliograph: Run) -> None:
    import urllib.error
    import urllib.request

    url = json.loads(heliograph("login-link", "--json").out)["url"]
    for method in ("HEAD", "GET"):  # to look spends nothing
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            assert "Set-Cookie" not in answer.headers
    address, _, token = url.partition("?token=")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address, f"token={token}".encode()) as page:
        assert b"Log out" in page.read()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address, f"token={token}".encode())
    assert refused.value.code == 401
    refused.value.close()


def test_doctor_finds_a_healthy_gateway_healthy(server: Server, heliograph: Run) -> None:
    found = {row["name"]: row for row in json.loads(heliograph("doctor", "--json").out)}
    for name in ("settings", "sqlite", "folder", "disk", "database", "server", "clock"):
        assert found[name]["level"] == "ok", found[name]


@pytest.mark.parametrize(
    ("key", "level", "said"), [(None, "warn", "is not set"), ("another_key_0123456", "warn", "does not know the key")]
)
def test_doctor_says_that_the_key_is_absent_or_refused(
    key: str | None, level: str, said: str, server: Server, heliograph: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {row["name"]: row["level"] for row in json.loads(heliograph("doctor", "--json").out)}["api key"] == "ok"
    monkeypatch.delenv("HELIOGRAPH_API_KEY")
    if key:
        monkeypatch.setenv("HELIOGRAPH_API_KEY", key)
    found = {row["name"]: row for row in json.loads(heliograph("doctor", "--json").out)}["api key"]
    assert found["level"] == level
    assert said in found["said"]
    assert "keys create" in found["fix"]


def test_doctor_calls_a_full_disk_a_failed_check_and_looks_at_the_rest(
    small_disk: Path, heliograph: Run, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_disk)
    monkeypatch.setenv("HELIOGRAPH_PORT", str(free_port))  # another test's server may have the usual one
    fill(small_disk)
    said = heliograph("doctor", "--json")
    assert said.code == 1
    found = {row["name"]: row for row in json.loads(said.out)}
    assert found["disk"]["level"] == "bad"
    assert "cannot be written: No space left on device" in found["disk"]["said"]
    assert "Make room" in found["disk"]["fix"]
    assert {"database", "port"} <= found.keys()
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_doctor_names_a_wrong_setting_and_what_to_do(heliograph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELIOGRAPH_PORT", "eighty")
    said = heliograph("doctor")
    assert said.code == 1
    assert "HELIOGRAPH_PORT must be a whole number" in said.out
    assert "→ " in said.out


def test_migrating_twice_is_the_same_as_once(tmp_path: Path, heliograph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", f"sqlite:///{tmp_path / 'own.db'}")
    first, second = heliograph("migrate", "--json"), heliograph("migrate", "--json")
    assert first.code == 0
    assert json.loads(first.out) == json.loads(second.out)
    assert json.loads(first.out)["schema_version"] >= 1


@contextlib.contextmanager
def process(tmp_path: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    command = [sys.executable, "-m", "heliograph.cli.main", *args]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean, cwd=tmp_path)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()
        assert started.stderr is not None
        started.stderr.close()


@pytest.mark.parametrize("kind", [(), ("--graph",)])
def test_the_simulator_runs_on_its_own_until_it_is_told_to_stop(kind: tuple[str, ...], tmp_path: Path) -> None:
    with process(tmp_path, "simulator", "--port", "0", "--journal", "net.db", *kind) as running:
        assert running.stderr is not None
        assert re.search(r"listens on http://127\.0\.0\.1:\d+", running.stderr.readline())
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


def test_a_simulator_that_cannot_listen_is_one_line_and_exit_1(tmp_path: Path) -> None:
    with process(tmp_path, "simulator", "--host", "192.0.2.1") as running:
        assert running.wait(20) == 1
        assert running.stderr is not None
        assert len(running.stderr.read().splitlines()) == 1
