"""Tests of `heliograph send`: its requests, and its exit codes."""

import base64
import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ACCEPTED, KEY, QUEUE_ID, UNIQUE_ID, Said, Script, error, status_of

Run = Callable[..., Said]
STATUS = f"GET /v1/message/{UNIQUE_ID}/status"


def test_send_prints_the_queue_id_and_nothing_else_on_standard_output(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/send", ACCEPTED)
    said = heliograph("send", "12025550100", "Hello", "--phone", "919876543210", "--idempotency-key", "order-1")
    assert (said.code, said.out) == (0, f"{QUEUE_ID}\n")
    asked = server.asked[0]
    assert asked.body == {"chat_id": "12025550100", "message": "Hello", "by": getpass.getuser()}
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["x-phone"] == "919876543210"
    assert asked.headers["idempotency-key"] == "order-1"


def test_send_makes_media_polls_replies_and_options(server: Script, heliograph: Run, tmp_path: Path) -> None:
    server.on("POST /v1/message/send", ACCEPTED)
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG cat")
    heliograph("send", "12025550100", "A cat", "--media", str(picture), "--reply-to", "X", "--no-preview")
    heliograph("send", "12025550100", "--media", "https://files.example/bill.pdf?x=1")
    heliograph("send", "12025550100", "--poll", "Lunch?", "--option", "Pizza", "--option", "Soup", "--multiple")
    first, second, third = (one.body for one in server.asked)
    assert first["media"] == {
        "type": "image",
        "mimetype": "image/png",
        "filename": "cat.png",
        "filedata": base64.b64encode(b"\x89PNG cat").decode(),
    }
    assert (first["reply_to"], first["options"]) == ("X", {"hide_url_preview": True})
    assert second["media"] == {
        "type": "document",
        "mimetype": "application/pdf",
        "filename": "bill.pdf",
        "url": "https://files.example/bill.pdf?x=1",
    }
    assert third["poll"] == {
        "pollName": "Lunch?",
        "pollOptions": ["Pizza", "Soup"],
        "options": {"allowMultipleAnswers": True},
    }


def test_waiting_for_read_follows_each_state_and_exits_with_0(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/send", ACCEPTED)
    server.on(
        STATUS,
        status_of("queued", "Waits to be sent."),
        status_of("sent", "Successfully submitted.", sent_at="2026-04-01T14:23:21.500Z"),
        status_of("delivered", "Delivered to recipient."),
        status_of("read", "Read by recipient."),
    )
    said = heliograph("send", "12025550100", "Hello", "--wait", "read", "--json")
    assert said.code == 0
    assert json.loads(said.out)["status"]["status"] == "read"
    assert [line.split()[2] for line in said.err.splitlines()] == ["waiting", "sent", "delivered", "read"]


@pytest.mark.parametrize(
    ("state", "said_by_server", "code"),
    [
        ("failed", "The number is not on WhatsApp.", 1),
        ("failed", "The recipient opted out.", 5),
        ("queued", "Waits: the phone is offline.", 6),
        ("sent", "Successfully submitted.", 6),
        ("pending", "WhatsApp may have taken it, but did not answer.", 7),
    ],
)
def test_the_exit_code_of_a_wait_tells_the_truth(
    state: str, said_by_server: str, code: int, server: Script, heliograph: Run
) -> None:
    server.on("POST /v1/message/send", ACCEPTED)
    server.on(STATUS, status_of(state, said_by_server))
    said = heliograph("send", "12025550100", "Hello", "--wait", "delivered", "--timeout", "0.1")
    assert said.code == code
    assert said_by_server in said.err
    assert said.out == f"{QUEUE_ID}\n"


def test_an_uncertain_message_that_a_receipt_settles_in_time_ends_with_0(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/send", ACCEPTED)
    server.on(STATUS, status_of("pending"), status_of("sent"))
    assert heliograph("send", "12025550100", "Hello", "--wait", "sent", "--timeout", "5").code == 0


@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (401, "UNAUTHORIZED_ERROR", 4),
        (404, "NOT_FOUND_ERROR", 3),
        (409, "CONFLICT_ERROR", 9),
        (413, "PAYLOAD_TOO_LARGE_ERROR", 2),
        (422, "VALIDATION_ERROR", 2),
        (429, "RATE_LIMIT_ERROR", 5),
        (500, "UNKNOWN_ERROR", 1),
        (503, "SERVICE_UNAVAILABLE_ERROR", 1),
    ],
)
def test_a_refusal_becomes_its_exit_code_with_the_servers_message(
    status: int, name: str, code: int, server: Script, heliograph: Run
) -> None:
    fields = {"chat_id": {"message": "chat_id must be a number", "value": "x"}}
    server.on("POST /v1/message/send", error(status, name, "The server's words.", fields), status=status)
    said = heliograph("send", "x", "Hello")
    assert said.code == code
    assert said.out == ""
    assert "heliograph: The server's words." in said.err
    assert "chat_id must be a number" in said.err


@pytest.mark.parametrize(
    "args",
    [
        ("send", "12025550100"),
        ("send", "12025550100", "x", "--option", "Pizza"),
        ("send", "12025550100", "x", "--media", "no-such-file.png"),
        ("send", "12025550100", "x", "--wait", "seen"),
        ("send",),
        ("snd", "12025550100", "x"),
        ("send", "12025550100", "x", "--nonsense"),
    ],
)
def test_what_makes_no_sense_is_usage_and_nothing_is_sent(
    args: tuple[str, ...], server: Script, heliograph: Run
) -> None:
    said = heliograph(*args)
    assert said.code == 2
    assert said.out == ""
    assert server.asked == []


def test_a_server_that_is_not_there_is_exit_8_with_what_to_do(
    heliograph: Run, monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_URL", f"http://127.0.0.1:{free_port}")
    said = heliograph("send", "12025550100", "Hello")
    assert said.code == 8
    assert "heliograph serve" in said.err


def test_an_interrupted_wait_is_130(server: Script, heliograph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("POST /v1/message/send", ACCEPTED)
    server.on(STATUS, status_of("queued"))

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("heliograph.cli.display.follow.time.sleep", interrupt)
    assert heliograph("send", "12025550100", "Hello", "--wait", "read").code == 130


def test_a_misspelled_setting_stops_the_command_with_one_line(
    heliograph: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_API_KY", "x")
    said = heliograph("send", "12025550100", "Hello")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "Did you mean HELIOGRAPH_API_KEY?" in said.err
