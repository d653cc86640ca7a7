"""Tests of refusals by the server: the command line says what the person can do."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ACCEPTED, QUEUE_ID, Said, Script, error, status_of

Run = Callable[..., Said]
MISSING = "Missing Header: {x-phone}"
ID = QUEUE_ID


def phones(count: int) -> list[dict[str, Any]]:
    return [{"phone_id": f"phone-{n}", "org_phone": f"1202555012{n}@c.us"} for n in range(count)]


@pytest.mark.parametrize("command", [("send", "12025550100", "Hello"), ("queue", "holds")])
def test_with_several_phones_a_command_says_by_which_option_one_is_chosen(
    server: Script, heliograph: Run, command: tuple[str, ...]
) -> None:
    refusal = error(422, "VALIDATION_ERROR", MISSING, {"x-phone": {"message": MISSING, "value": None}})
    server.on("POST /v1/message/send", refusal, status=422)
    server.on("GET /v1/queue/holds", refusal, status=422)
    server.on("GET /v1/phones/all", phones(2), phones(8), phones(0))
    said = heliograph(*command)
    assert (said.code, said.out) == (2, "")
    assert "which one?" in said.err and "Header" not in said.err
    assert "Add --phone NUMBER. There are +1 202-555-0120, +1 202-555-0121." in said.err
    assert "+1 202-555-0124 and 3 more." in heliograph(*command).err
    assert "heliograph phones add" in heliograph(*command).err


@pytest.mark.parametrize(
    ("command", "request_", "shown_by"),
    [
        (("broadcast", "watch", "nope"), "GET /v1/queue/broadcast", "heliograph broadcast list"),
        (("broadcast", "pause", "nope"), "POST /v1/message/broadcast/nope/pause", "heliograph broadcast list"),
        (("schedule", "skip", "nope"), "PATCH /v1/message/scheduled/nope", "heliograph schedule list"),
        (("queue", "suppress", "remove", "1"), "DELETE /v1/suppressions/1", "heliograph queue suppress list"),
        (("why", "nope"), "GET /v1/message/nope/status", "heliograph jobs"),
        (("phones", "show", "nope"), "GET /v1/phones", "heliograph phones list"),
    ],
)
def test_a_404_names_the_command_that_lists_such_things(
    server: Script, heliograph: Run, command: tuple[str, ...], request_: str, shown_by: str
) -> None:
    server.on(request_, error(404, "NOT_FOUND_ERROR", "There is none."), status=404)
    said = heliograph(*command)
    assert said.code == 3
    assert f"`{shown_by}` shows what is there." in said.err


def test_a_chat_that_opted_out_is_a_refusal_by_policy(server: Script, heliograph: Run) -> None:
    refusal = error(422, "VALIDATION_ERROR", "chat_id is on the suppression list", {"chat_id": {"message": "x"}})
    server.on("POST /v1/message/send", refusal | {"reason": "suppressed"}, status=422)
    assert heliograph("send", "12025550100", "News", "--priority", "bulk").code == 5
    server.on("POST /v1/message/send", refusal, status=422)
    assert heliograph("send", "12025550100", "News", "--priority", "bulk").code == 2


def test_a_purge_of_an_unknown_job_exits_with_3(server: Script, heliograph: Run) -> None:
    missing = error(404, "NOT_FOUND_ERROR", "There is no such message.")
    server.on("POST /v1/message/queues/purge", {"purged": True, "mode": "queue_ids", "queue_ids": []})
    server.on("GET /v1/message/nope/status", missing, status=404)
    said = heliograph("purge", "nope")
    assert said.code == 3 and "There is no such message." in said.err
    server.on(f"GET /v1/message/{ID}/status", status_of("sent"))
    said = heliograph("purge", ID)
    assert said.code == 0 and "left alone" in said.err
    server.on("GET /v1/queue/broadcast", error(404, "NOT_FOUND_ERROR", "There is no such broadcast."), status=404)
    before = len(server.of("/v1/message/queues/purge"))
    assert heliograph("purge", "--broadcast", "nope", "--yes").code == 3
    assert len(server.of("/v1/message/queues/purge")) == before


def test_things_made_by_the_command_line_carry_the_users_name(
    server: Script, heliograph: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "guests.csv").write_text("phone,name\n919537851844,Asha\n")
    server.on("POST /v1/message/send", ACCEPTED)
    server.on("POST /v1/message/broadcast", {"broadcast_id": ID, "total_chats": 1})
    server.on("POST /v1/message/scheduled", {"scheduled_id": ID, "next_at": None, "recurrence": "once"})
    commands = (
        ("send", "12025550100", "Hello"),
        ("broadcast", "guests.csv", "--message", "Hi", "--no-wait"),
        ("schedule", "add", "12025550100", "Hi", "--at", "2030-01-07T09:00:00Z"),
    )
    assert [heliograph(*command).code for command in commands] == [0, 0, 0]
    assert [one.body["by"] for one in server.asked] == [getpass.getuser()] * 3

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert [heliograph(*command).code for command in commands] == [0, 0, 0]
    assert ["by" in one.body for one in server.asked[3:]] == [False] * 3
    (_, first, _, _, second, _) = (one.headers.get("idempotency-key") for one in server.asked)
    assert first == second  # the same broadcast, whoever starts it


def test_a_broadcast_whose_key_was_used_is_not_sent_again(server: Script, heliograph: Run, tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text("phone,name\n919537851844,Asha\n")
    said_so = "This Idempotency-Key was used for another request within the last 24 hours"
    fields = {"Idempotency-Key": {"message": said_so, "value": None}}
    server.on("POST /v1/message/broadcast", error(422, "VALIDATION_ERROR", said_so, fields), status=422)
    said = heliograph("broadcast", "guests.csv", "--message", "Hi")
    assert said.code == 9
    assert "nothing was sent" in said.err and "--again" in said.err
