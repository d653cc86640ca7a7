"""Tests of commands that list: tables for people, the API's own JSON for programs."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from heliograph.cli.client import person
from heliograph.cli.commands.jobs import Form
from tests.cli.conftest import QUEUE_ID, UNIQUE_ID, Said, Script, columns, error, status_of

Run = Callable[..., Said]

PHONE = {
    "phone_id": "phone-abcdefghijklmnop",
    "org_phone": "919876543210@c.us",
    "phone_name": "Support",
    "wa_state": "CONNECTED",
    "labels": [],
}


def listed(state: str, attempts: int = 1, **stamps: str) -> dict[str, Any]:
    job = status_of(state, "Successfully submitted.", attempts=attempts, **stamps)
    return {name: value for name, value in job.items() if name not in ("ack", "delivered_count", "read_count")}


def drawn(grid: Any, width: int) -> list[str]:
    """Renders the output for a terminal of this width."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(grid)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    return lines


def test_jobs_shows_state_number_and_why(server: Script, heliograph: Run) -> None:
    server.on(
        "POST /v1/message/queues",
        [listed("sent", read_at="2026-04-01T14:23:22Z"), listed("queued", attempts=2), listed("failed")],
    )
    said = heliograph("jobs")
    head, *rows = said.out.splitlines()
    assert said.code == 0
    assert head.split() == ["Time", "To", "Message", "State", "Try", "Why", "queue_id"]
    assert "✓✓ read" in rows[0]
    assert "+1 202-555-0100" in rows[0]
    assert "↻ retrying" in rows[1]
    assert "✗ failed" in rows[2]
    assert all(row.endswith(QUEUE_ID) for row in rows)
    assert "\x1b" not in said.out


def test_jobs_as_json_is_what_the_server_said(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/queues", [listed("sent"), listed("failed")])
    said = heliograph("jobs", "--json", "--state", "failed", "--limit", "5", "--broadcast", "b-1")
    assert [job["status"] for job in json.loads(said.out)] == ["failed"]
    assert server.asked[0].body == {"limit": 5, "broadcast_id": "b-1"}


def test_an_empty_list_is_still_data(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/queues", [])
    assert json.loads(heliograph("jobs", "--json").out) == []


def test_watching_without_a_terminal_prints_each_change_once(
    server: Script, heliograph: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on(
        "POST /v1/message/queues",
        [listed("queued", attempts=0)],
        [listed("queued", attempts=0)],
        [listed("sent", read_at="2026-04-01T14:23:22Z")],
    )
    naps = []

    def nap(_seconds: float) -> None:
        naps.append(1)
        if len(naps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("heliograph.cli.commands.jobs.time.sleep", nap)
    said = heliograph("jobs", "--watch")
    assert said.code == 130
    assert [line[1] for line in columns(said.out)] == ["waiting", "read"]
    assert said.out.rstrip().endswith("Read by recipient.")  # as `jobs` has it


@pytest.mark.parametrize("width", [54, 60, 70, 80, 100, 120, 150, 170, 200])
def test_the_table_fits_a_terminal_of_any_width_and_its_id_is_whole(width: int) -> None:
    job = listed("failed", attempts=4)
    job |= {"chat_id": "120363297269676566@g.us", "status_description": "Many words. " * 20}
    job["message"]["body"] = "A long text " * 20
    (head, _rule, line, *more) = drawn(Form(width).table([job]), width)
    assert more == []
    assert {"To", "State"} <= set(head.split())
    assert "✗ failed" in line
    assert line.split()[-1] in (QUEUE_ID, UNIQUE_ID)


def test_uncertain_messages_are_not_shown_as_being_sent(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/queues", [listed("sending")])
    server.on(f"GET /v1/message/{UNIQUE_ID}/status", status_of("pending"))
    assert "? uncertain" in heliograph("jobs").out


def test_markup_in_a_message_stays_text(server: Script, heliograph: Run) -> None:
    job = listed("sent")
    job["message"]["body"] = "[red]not red[/red] [link=x]"
    server.on("POST /v1/message/queues", [job])
    assert "[red]not red[/red] [link=x]" in heliograph("jobs").out


def test_why_says_the_sentence_and_draws_the_recorder_with_its_gaps(server: Script, heliograph: Run) -> None:
    server.on(f"GET /v1/message/{QUEUE_ID}/status", status_of("read", "Read by recipient."))
    base = {"before": None, "after": "queued", "ack": 0, "actor": "api", "reason": None, "detail": None}
    server.on(
        f"GET /v1/message/{QUEUE_ID}/history",
        [
            base | {"n": 1, "at": "2026-04-01T14:23:21.279Z", "kind": "queued", "attempt": 0},
            base | {"n": 2, "at": "2026-04-01T14:23:21.300Z", "kind": "started", "attempt": 1},
            base
            | {
                "n": 3,
                "at": "2026-04-01T14:23:21.400Z",
                "kind": "retry",
                "attempt": 1,
                "reason": "connection_lost",
                "detail": "The connection was lost.",
            },
            base | {"n": 4, "at": "2026-04-01T14:23:24.400Z", "kind": "started", "attempt": 2},
            base | {"n": 5, "at": "2026-04-01T14:23:24.500Z", "kind": "receipt", "attempt": 2, "ack": 4},
        ],
    )
    said = heliograph("why", QUEUE_ID)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("✓✓ read  to +1 202-555-0100")
    assert lines[1] == "Read by recipient."
    assert "accepted, on disk" in said.out
    assert "+0.121 s  ●  attempt 1 did not succeed: The connection was lost.  connection_lost" in said.out
    assert "┆  3.0 s later" in said.out
    assert "+3.221 s  ●  read" in said.out
    assert f"unique_id   {UNIQUE_ID}" in said.out


def test_why_shows_the_time_of_a_receipt_that_is_older_than_its_settlement(server: Script, heliograph: Run) -> None:
    server.on(f"GET /v1/message/{QUEUE_ID}/status", status_of("read", "Read by recipient."))
    base = {"before": None, "after": "sent", "ack": 0, "actor": "api", "reason": None, "detail": None, "attempt": 2}
    settled = "2026-04-01T14:23:35.264Z"
    server.on(
        f"GET /v1/message/{QUEUE_ID}/history",
        [
            base | {"n": 1, "at": "2026-04-01T14:23:21.000Z", "kind": "queued"},
            base | {"n": 2, "at": settled, "kind": "sent"},
            base | {"n": 3, "at": settled, "kind": "receipt", "ack": 3, "network_at": "2026-04-01T14:23:31.215Z"},
            base | {"n": 4, "at": settled, "kind": "receipt", "ack": 4, "network_at": "2026-04-01T14:23:35.000Z"},
        ],
    )
    lines = heliograph("why", QUEUE_ID).out.splitlines()
    assert any(line.endswith("+14.264 s  ●  accepted by WhatsApp") for line in lines)
    assert any(line.endswith("+14.264 s  ●  delivered  at the network: +10.215 s") for line in lines)
    assert any(line.endswith("+14.264 s  ●  read") for line in lines)


def test_why_names_what_holds_a_message_back_and_when_it_will_go(server: Script, heliograph: Run) -> None:
    server.on(f"GET /v1/message/{QUEUE_ID}/status", status_of("queued", "Waits.", attempts=0))
    server.on(f"GET /v1/message/{QUEUE_ID}/history", [])
    explained = {
        "queue_id": QUEUE_ID,
        "status": "queued",
        "sentence": "Waits: the phone is logged out.",
        "blockers": [
            {"code": "logged_out", "text": "The phone is logged out.", "until": None, "action": "Connect it again."},
            {"code": "quiet", "text": "Quiet hours.", "until": "2030-04-01T07:00:00.000Z", "action": None},
        ],
        "eta": "2030-04-01T07:00:10.000Z",
    }
    server.on(f"GET /v1/message/{QUEUE_ID}/explain", explained)
    said = heliograph("why", QUEUE_ID).out.splitlines()
    assert said[1] == "Waits: the phone is logged out."
    assert said[2:4] == ["  1. The phone is logged out.", "     → Connect it again."]
    assert said[4].startswith("  2. Quiet hours. (until 2030-04-01")
    assert said[5].startswith("  Goes out about 2030-04-01")
    assert json.loads(heliograph("why", QUEUE_ID, "--json").out)["explain"] == explained


def test_why_and_jobs_have_the_same_word_for_cancelled_messages(server: Script, heliograph: Run) -> None:
    ended = {"cancelled_at": "2026-04-01T14:23:22Z"}
    server.on("POST /v1/message/queues", [listed("failed", attempts=0, **ended)])
    server.on(
        f"GET /v1/message/{QUEUE_ID}/status",
        status_of("failed", "Purged before it was sent.", cancelled_at=ended["cancelled_at"]),
    )
    server.on(f"GET /v1/message/{QUEUE_ID}/history", [])
    assert "– cancelled" in heliograph("jobs").out
    assert heliograph("why", QUEUE_ID).out.startswith("– cancelled  to")


def test_the_list_of_phones_tells_how_much_waits(server: Script, heliograph: Run) -> None:
    counts = {"active": 3, "failed": 1, "completed": 5, "is_running": True, "pending": 1204}
    server.on("GET /v1/phones/all", [PHONE | {"queue_status": {"message": counts}}])
    assert "1,204" in heliograph("phones", "list").out


def test_a_new_phone_is_not_called_ready_while_it_is_connecting(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/phones/create", PHONE | {"phone_state": "connecting"}, PHONE | {"phone_state": "connected"})
    assert "is being connected" in heliograph("phones", "add").err
    assert "is ready to send" in heliograph("phones", "add").err


def test_acts_name_their_phone(server: Script, heliograph: Run) -> None:
    act = {"at": "2026-04-01T14:23:22Z", "by": "Asha", "act": "pause", "what": "phone", "detail": "", "phone_id": "p"}
    server.on("GET /v1/audit", [act | {"number": "12025550121"}, act | {"number": None, "what": "chat:1@c.us"}])
    _, first, second = heliograph("queue", "log").out.splitlines()
    assert "pause  +1 202-555-0121  phone" in first
    assert "–" in second


def test_why_of_an_unknown_message_is_exit_3(server: Script, heliograph: Run) -> None:
    server.on("GET /v1/message/nope/status", error(404, "NOT_FOUND_ERROR", "No such message."), status=404)
    said = heliograph("why", "nope", "--json")
    assert (said.code, said.out) == (3, "")


def test_health_is_six_numbers(server: Script, heliograph: Run) -> None:
    counts = {"waiting": 1204, "active": 1, "completed": 142, "failed": 3, "delayed": 5, "paused": 0}
    server.on("GET /v1/message/queues/health", counts)
    assert "1,204  wait to be sent" in heliograph("health").out
    assert json.loads(heliograph("health", "--json").out) == counts


def test_phones_are_listed_added_and_restarted(server: Script, heliograph: Run) -> None:
    server.on("GET /v1/phones/all", [PHONE])
    server.on("POST /v1/phones/create", PHONE)
    server.on("POST /v1/phones/restart", None, status=204)
    assert "✓ connected" in heliograph("phones", "list").out
    assert json.loads(heliograph("phones", "list", "--json").out) == [PHONE]
    made = heliograph("phones", "add", "--provider", "simulator", "--number", "919876543210", "--json")
    assert json.loads(made.out)["phone_id"] == PHONE["phone_id"]
    assert server.of("/v1/phones/create")[0].body == {"provider": "simulator", "number": "919876543210"}
    assert heliograph("phones", "restart", "919876543210").code == 0
    assert server.of("/v1/phones/restart")[0].headers["x-phone"] == "919876543210"


def test_deleting_and_purging_ask_first_or_name_the_flag(server: Script, heliograph: Run) -> None:
    server.on("GET /v1/message/queues/health", {"waiting": 3, "delayed": 1})
    server.on("DELETE /v1/phones/delete", None, status=204)
    server.on("POST /v1/message/queues/purge", {"purged": True, "mode": "all", "queue_ids": ["a", "b"]})
    for command, ends in ((("phones", "delete", "919876543210"), 4), (("purge",), 3)):
        refused = heliograph(*command)
        assert refused.code == 2
        assert f"{ends} waiting messages" in refused.err
        assert "--yes" in refused.err
    assert server.of("/v1/phones/delete") == []
    assert heliograph("phones", "delete", "919876543210", "--yes").code == 0
    assert "Cancelled 2." in heliograph("purge", "--yes").out
    assert heliograph("purge", "a", "b").code == 0
    assert server.of("/v1/message/queues/purge")[-1].body == {"queue_ids": ["a", "b"]} | person()


def test_a_purge_of_an_empty_broadcast_or_phone_is_not_sent_as_a_purge_of_all(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/queues/purge", {"purged": True, "mode": "all", "queue_ids": []})
    heliograph("purge", "--broadcast", "", "--yes")
    assert server.of("/v1/message/queues/purge")[-1].body == {"broadcast_id": ""} | person()
    heliograph("purge", "--phone", "", "--yes")
    assert server.of("/v1/message/queues/purge")[-1].headers["x-phone"] == ""
