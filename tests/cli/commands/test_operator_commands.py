"""Tests of commands for broadcasts, schedules and the queue."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph.cli.client import person
from tests.cli.conftest import QUEUE_ID, Said, Script, error, status_of

Run = Callable[..., Said]
ID = "ba3273cb-12be-48d4-90e0-0cbc0b427ef1"


def state(**changes: Any) -> dict[str, Any]:
    return {
        "broadcast_id": ID, "state": "running", "total_chats": 3, "sent_chats": 0, "failed_chats": 0,
        "pending_chats": 3,
        "skipped_chats": 0, "cancelled_chats": 0, "total_delivered_count": 0, "total_read_count": 0,
        "created_at": "2026-04-01T14:23:21.279Z", "message_payload": {"body": "Hi"},
    } | changes  # fmt: skip


@pytest.fixture
def guests(tmp_path: Path) -> str:
    file = tmp_path / "guests.csv"
    file.write_text("phone,name\n919537851844,Asha\n")
    return str(file)


def accepted(server: Script) -> None:
    server.on("POST /v1/message/broadcast", {"broadcast_id": ID, "total_chats": 3, "repeated": 1})


def test_a_broadcast_is_sent_and_followed_to_its_end(server: Script, heliograph: Run, guests: str) -> None:
    accepted(server)
    done = state(state="completed", sent_chats=3, pending_chats=0)
    server.on("GET /v1/queue/broadcast", state(), done)
    said = heliograph("broadcast", guests, "--message", "Hello {{name}}", "--delay", "0")
    assert (said.code, said.out.strip()) == (0, ID)
    assert "3 chats, 1 that came twice left out" in said.err
    assert "completed: 3 of 3; 3 sent" in said.err
    body = server.asked[0].body
    assert body["csv"].startswith("phone,name") and body["message"] == "Hello {{name}}" and body["delay"] == 0


def test_the_same_command_carries_the_same_key_and_again_another(server: Script, heliograph: Run, guests: str) -> None:
    accepted(server)
    for more in ((), (), ("--again",), ("--delay", "9")):
        assert heliograph("broadcast", guests, "--message", "Hi", "--no-wait", *more).out.strip() == ID
    first, second, again, other = (one.headers["idempotency-key"] for one in server.asked)
    assert first == second and len({first, again, other}) == 3


def test_failed_and_cancelled_broadcasts_end_with_numbers_that_say_so(
    server: Script, heliograph: Run, guests: str
) -> None:
    accepted(server)
    server.on("GET /v1/queue/broadcast", state(state="completed", sent_chats=2, failed_chats=1, pending_chats=0))
    assert heliograph("broadcast", guests, "--message", "Hi").code == 1
    server.on("GET /v1/queue/broadcast", state(state="cancelled", cancelled_chats=3, pending_chats=0))
    assert heliograph("broadcast", "watch", ID).code == 5


def test_a_dry_run_shows_what_would_be_sent(server: Script, heliograph: Run, guests: str) -> None:
    shown = {
        "broadcast_id": None, "total_chats": 1, "new_chats": 1, "finishes_at": "2026-04-01T14:23:21.279Z",
        "preview": [{"chat_id": "919537851844@c.us", "message": "Hello Asha"}], "dry_run": True,
    }  # fmt: skip
    server.on("POST /v1/message/broadcast", shown)
    said = heliograph("broadcast", guests, "--message", "Hello {{name}}", "--dry-run")
    assert said.code == 0 and "Hello Asha" in said.out and "Nothing was sent." in said.out
    assert server.asked[0].body["dry_run"] is True


def test_a_wrong_row_is_named_and_nothing_is_sent(server: Script, heliograph: Run, guests: str) -> None:
    text = "row 3, column phone: no number"
    server.on(
        "POST /v1/message/broadcast",
        error(422, "VALIDATION_ERROR", f"The CSV is not usable: {text}", {"csv": {"message": text}}),
        status=422,
    )
    said = heliograph("broadcast", guests, "--message", "Hi")
    assert said.code == 2 and text in said.err


def test_a_missing_or_binary_file_is_named(server: Script, heliograph: Run, tmp_path: Path) -> None:
    assert heliograph("broadcast", "missing.csv", "--message", "Hi").code == 2
    (tmp_path / "latin.csv").write_bytes(b"phone\n9195\xff\n")
    said = heliograph("broadcast", str(tmp_path / "latin.csv"), "--message", "Hi")
    assert said.code == 2 and "row 2" in said.err
    assert server.asked == []


@pytest.mark.parametrize(("act", "words"), [("pause", "Paused: 3 not sent yet."), ("resume", "Goes on: 3 to be sent.")])
def test_a_broadcast_is_paused_and_resumed_in_your_name(server: Script, heliograph: Run, act: str, words: str) -> None:
    server.on(f"POST /v1/message/broadcast/{ID}/{act}", state())
    said = heliograph("broadcast", act, ID)
    assert (said.code, said.out.strip()) == (0, words)
    assert server.asked[0].body["by"]


def test_a_cancel_without_a_terminal_needs_yes(server: Script, heliograph: Run) -> None:
    server.on("GET /v1/queue/broadcast", state())
    server.on(f"POST /v1/message/broadcast/{ID}/cancel", state(state="cancelled", sent_chats=1))
    assert heliograph("broadcast", "cancel", ID).code == 2
    said = heliograph("broadcast", "cancel", ID, "--yes")
    assert said.out.strip() == "Stopped: 1 were sent, 3 will not be."


def test_broadcasts_are_listed(server: Script, heliograph: Run) -> None:
    server.on("GET /v1/message/broadcast", {"broadcasts": [state()], "count": 1})
    assert ID in heliograph("broadcast", "list").out
    assert json.loads(heliograph("broadcast", "list", "--json").out)[0]["broadcast_id"] == ID


SCHEDULE = {
    "scheduled_id": ID, "next_at": "2026-04-01T14:23:21.279Z", "skip_next": False,
    "recurrence": "every week on monday at 09:00 Asia/Kolkata",
    "status": "scheduled", "chat_id": "12025550100@c.us", "message_payload": {"message": "Hi"},
}  # fmt: skip


def test_a_repeating_message_is_scheduled(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/scheduled", SCHEDULE)
    said = heliograph(
        "schedule", "add", "12025550100", "Hi", "--at", "2030-01-07T03:30:00Z", "--every", "week", "--on", "monday",
        "--zone", "Asia/Kolkata", "--missed", "skip",
    )  # fmt: skip
    assert (said.code, said.out.strip()) == (0, ID)
    body = server.asked[0].body
    assert body["is_repeat"] is True and body["missed_policy"] == "skip"
    assert body["repeat_config"]["repeat_days"] == ["monday"] and body["repeat_config"]["timezone"] == "Asia/Kolkata"


def test_words_of_repeating_need_every(server: Script, heliograph: Run) -> None:
    assert heliograph("schedule", "add", "1", "Hi", "--at", "2030-01-07", "--on", "monday").code == 2
    assert server.asked == []


def test_a_schedule_is_listed_changed_and_deleted(server: Script, heliograph: Run) -> None:
    server.on("GET /v1/message/scheduled", {"scheduled_messages": [SCHEDULE]})
    assert "every week on monday" in heliograph("schedule", "list").out
    server.on(f"PATCH /v1/message/scheduled/{ID}", SCHEDULE)
    for act, body in (("skip", {"skip_next": True}), ("pause", {"paused": True}), ("resume", {"paused": False})):
        assert heliograph("schedule", act, ID).code == 0
        assert server.asked[-1].body == body | person()
    said = heliograph("schedule", "resume", ID).out
    assert "2026-04-01" in said and ":23" in said, "a day ahead or a year: the hour belongs to it"
    server.on(f"PATCH /v1/message/scheduled/{ID}", SCHEDULE | {"skip_next": True})
    assert "is left out" in heliograph("schedule", "skip", ID).out
    server.on(f"DELETE /v1/message/scheduled/{ID}", {"success": True})
    assert heliograph("schedule", "delete", ID).out.strip() == "Deleted."


def test_a_phone_and_a_chat_are_paused_with_a_reason(server: Script, heliograph: Run) -> None:
    answer = {"what": "phone-a", "state": "paused", "changed": True}
    server.on("POST /v1/phones/pause", answer)
    server.on("POST /v1/chats/12025550100/pause", answer | {"changed": False})
    assert heliograph("queue", "pause", "--reason", "new SIM").out.strip() == "phone-a is paused."
    assert server.asked[0].body["reason"] == "new SIM"
    assert "as it was before" in heliograph("queue", "pause", "--chat", "12025550100").out


def test_messages_are_tried_again_cancelled_and_resolved(server: Script, heliograph: Run) -> None:
    for act in ("retry", "cancel", "resolve"):
        server.on(f"POST /v1/message/{QUEUE_ID}/{act}", status_of("queued", "Waits to be sent."))
    assert heliograph("queue", "retry", QUEUE_ID).out.strip() == "queued: Waits to be sent."
    assert heliograph("queue", "cancel", QUEUE_ID).code == 0
    assert heliograph("queue", "resolve", QUEUE_ID, "give-up").code == 0
    assert server.asked[-1].body["outcome"] == "give_up"
    server.on("POST /v1/message/queues/retry", {"retried": 1})
    assert heliograph("queue", "retry", "a", "b").code == 9
    assert heliograph("queue", "retry", "--since", "2026-01-01T00:00:00Z").out.strip() == "1 go again."
    assert heliograph("queue", "retry").code == 2


def test_a_message_that_is_past_it_ends_with_conflict(server: Script, heliograph: Run) -> None:
    server.on(f"POST /v1/message/{QUEUE_ID}/retry", error(409, "CONFLICT_ERROR", "The message is sent"), status=409)
    said = heliograph("queue", "retry", QUEUE_ID)
    assert said.code == 9 and "The message is sent" in said.err


def test_send_takes_a_lane_and_an_end(server: Script, heliograph: Run) -> None:
    server.on("POST /v1/message/send", {"queue_id": QUEUE_ID, "queue_position": 0, "unique_id": "u", "hint": ""})
    assert heliograph("send", "12025550100", "Hi", "--priority", "urgent", "--ttl", "60").code == 0
    assert server.asked[0].body["priority"] == "urgent" and server.asked[0].body["ttl_seconds"] == 60


def test_a_phone_is_given_a_pace(server: Script, heliograph: Run) -> None:
    server.on("PATCH /v1/phones/update", {"pacing": "linked-warm"})
    server.on("GET /v1/phones", {"pacing": "none"})
    assert heliograph("phones", "pacing", "919876543210", "linked-warm").out.strip() == "linked-warm"
    assert server.asked[0].body == {"pacing": "linked-warm"}
    assert heliograph("phones", "pacing", "919876543210").out.strip() == "none"
