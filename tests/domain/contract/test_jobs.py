"""Tests of a job in the API's words: each state as the interface table gives it for each path."""

from typing import Any

import msgspec
import pytest

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.inbound import inbound_object
from heliograph.domain.contract.jobs import history_events, job_status, legacy_job, queue_job
from heliograph.domain.contract.messages import message_object
from heliograph.domain.contract.phones import label_id, legacy_health, phone_details, phone_object
from heliograph.domain.contract.reactions import reaction_object
from heliograph.domain.explain.explanation import describe
from heliograph.domain.jobs.ids import JobId, message_id, queue_id, unique_id
from heliograph.domain.jobs.job import Event, Job, QueueCounts
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.content import Content, Kind, Media, Poll
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.webhook import InboundRow
from tests.kit.replace import replace

NOW = 1_775_053_401_279_000
JOB = Job(
    job_id=JobId(290_000_000_000_000_000), org_no=1, phone_no=1, chat_id="919537851844@c.us",
    priority=Priority.NORMAL, seq=1,
    state=State.QUEUED, content=Content(type=Kind.TEXT, body="Hello"), attempts=0, starts=0, maybe_sent=False, ack=0,
    reason=None, detail=None, not_before_us=None, expires_at_us=None, broadcast_no=None, schedule_no=None,
    performed_by="api", provider_message_id=None, author=None, events=1, queued_at_us=NOW, started_at_us=None,
    sent_at_us=None, delivered_at_us=None, read_at_us=None, settled_at_us=None,
)  # fmt: skip
KEY, GROUP = unique_id(JOB.job_id), "120363297269676566@g.us"
PHONE = PhoneRow(
    phone_no=1, org_no=1, org_id="org", phone_id="phone-abcdefghijklmnop", number="919876543210", provider="simulator",
    name="Support", image="", labels=("vip", "India"), state="connected", state_detail="", state_at_us=NOW,
    pacing="none", config="{}", paused_at_us=None, paused_by=None, hold_until_us=None, hold_reason=None,
    new_chats_until_us=None, first_connected_at_us=NOW, created_at_us=NOW, updated_at_us=NOW,
)  # fmt: skip


def job(state: State, ack: int = 0, **changes: Any) -> Job:
    return replace(JOB, state=state, ack=ack, **changes)


@pytest.mark.parametrize(
    ("state", "ack", "legacy", "listed", "status"),
    [
        (State.QUEUED, 0, "waiting", "queued", "queued"),
        (State.SCHEDULED, 0, "delayed", "scheduled", "scheduled"),
        (State.SENDING, 0, "active", "sending", "sending"),
        (State.UNCERTAIN, 0, "active", "sending", "pending"),
        (State.SENT, 1, "completed", "sent", "sent"),
        (State.SENT, 2, "completed", "sent", "sent"),
        (State.SENT, 3, "completed", "sent", "delivered"),
        (State.SENT, 4, "completed", "sent", "read"),
        (State.SENT, 5, "completed", "sent", "played"),
        (State.FAILED, -1, "failed", "failed", "failed"),
        (State.CANCELLED, 0, "failed", "failed", "failed"),
        (State.EXPIRED, 0, "failed", "failed", "failed"),
    ],
)
def test_each_state_reads_as_the_interface_says(state: State, ack: int, legacy: str, listed: str, status: str) -> None:
    shown = job(state, ack)
    assert legacy_job(shown, now_us=NOW).status == legacy
    assert queue_job(shown, now_us=NOW).status == listed
    assert job_status(shown, now_us=NOW).status == status


def test_every_state_is_in_that_table() -> None:
    for state in State:
        assert legacy_job(job(state), now_us=NOW).status in ("waiting", "delayed", "active", "completed", "failed")
        assert queue_job(job(state), now_us=NOW).status in ("queued", "sending", "sent", "failed", "scheduled")


@pytest.mark.parametrize("ack", [1, 2, 3, 4, 5])
def test_a_sent_job_of_both_lists_says_successfully_submitted(ack: int) -> None:
    shown = job(State.SENT, ack)
    assert queue_job(shown, now_us=NOW).status_description == "Successfully submitted."
    assert legacy_job(shown, now_us=NOW).status_description == "Successfully submitted."


def test_a_read_job_of_the_status_path_says_read_by_recipient() -> None:
    shown = job_status(job(State.SENT, 4, attempts=1), now_us=NOW)
    assert (shown.status, shown.status_description) == ("read", "Read by recipient.")
    assert (shown.ack, shown.attempts, shown.delivered_count, shown.read_count) == (4, 1, 1, 1)


def test_a_purged_job_says_so() -> None:
    for reason in (None, "purged"):
        shown = job(State.CANCELLED, reason=reason)
        assert queue_job(shown, now_us=NOW).status_description == "Purged before it was sent."
        assert legacy_job(shown, now_us=NOW).stacktrace == ["Purged before it was sent."]
        assert job_status(shown, now_us=NOW).ack == -1


@pytest.mark.parametrize("state", list(State))
def test_every_description_is_a_sentence(state: State) -> None:
    for detail in (None, "the network was away"):
        words = job_status(job(state, detail=detail, reason="network"), now_us=NOW, phone=PHONE).status_description
        assert words[0].isupper()
        assert words.endswith(".")
        assert ".." not in words


def test_a_waiting_job_says_what_it_waits_for() -> None:
    def words(waiting: Job, phone: PhoneRow = PHONE, ahead: int | None = None) -> str:
        said = describe(waiting, now_us=NOW, phone=phone, ahead=ahead)
        assert ahead or said == job_status(waiting, now_us=NOW, phone=phone).status_description
        assert queue_job(waiting, now_us=NOW, said=said).status_description == said
        return job_status(waiting, now_us=NOW, said=said).status_description

    waiting = job(State.QUEUED)
    assert words(waiting) == "Waits to be sent."
    assert words(waiting, ahead=1) == "Waits behind 1 other."
    assert words(waiting, ahead=37) == "Waits behind 37 others."
    assert "offline" in words(waiting, replace(PHONE, state="offline"))
    paused = words(waiting, replace(PHONE, paused_at_us=NOW, paused_by="Ada"))
    assert paused == "Waits: the phone was paused by Ada at 14:23:21 UTC."
    held = replace(PHONE, hold_until_us=NOW + 60_000_000, hold_reason="too many new chats")
    assert words(waiting, held) == "Waits: WhatsApp holds the phone until 14:24:21 UTC: too many new chats."
    retry = replace(waiting, attempts=2, not_before_us=NOW + 4_000_000, detail="The network was away.")
    assert words(retry) == "Attempt 2 did not succeed, the next is at 14:23:25 UTC: The network was away."


def test_the_legacy_shape_is_bullmqs() -> None:
    sent = job(State.SENT, 2, attempts=1, starts=0, started_at_us=NOW + 1_000, sent_at_us=NOW + 2_000)
    shown = msgspec.to_builtins(legacy_job(replace(sent, settled_at_us=NOW + 2_000), now_us=NOW))
    assert shown["id"] == queue_id(JOB.job_id)
    assert shown["message_id"] == unique_id(JOB.job_id), "the bare id on this path"
    assert shown["data"] == {"body": "Hello", "chat_id": "919537851844@c.us"}
    assert shown["addedTimestamp"] == NOW // 1000
    assert shown["processedTimestamp"] == NOW // 1000 + 1
    assert shown["finishedTimestamp"] == NOW // 1000 + 2
    assert (shown["attemptsMade"], shown["attemptsStarted"], shown["stacktrace"]) == (1, 1, [])
    assert shown["queue_id"] == shown["id"]
    assert shown["timeline"]["queued_at"] == "2026-04-01T14:23:21.279Z"


def test_the_new_shape_has_the_serialized_id_and_iso_times() -> None:
    shown = queue_job(job(State.SENT, 2, attempts=1, sent_at_us=NOW + 2_832_000), now_us=NOW)
    assert (
        shown.message_id
        == message_id(JOB.chat_id, unique_id(JOB.job_id), None)
        == f"true_{JOB.chat_id}_{unique_id(JOB.job_id)}"
    )
    assert shown.message == {"body": "Hello", "type": "chat"}
    assert shown.timeline == {"queued_at": "2026-04-01T14:23:21.279Z", "sent_at": "2026-04-01T14:23:24.111Z"}
    assert shown.performed_by == "api"


def test_a_providers_own_id_becomes_the_message_id_and_ours_stays_the_unique_id() -> None:
    sent = job(State.SENT, 1, provider_message_id="wamid.X")
    assert queue_job(sent, now_us=NOW).message_id == "true_919537851844@c.us_wamid.X"
    assert queue_job(sent, now_us=NOW).unique_id == unique_id(JOB.job_id)
    assert legacy_job(sent, now_us=NOW).message_id == "wamid.X"


def test_a_group_message_names_its_author() -> None:
    group = job(State.SENT, 1, chat_id="120363297269676566@g.us", author="919876543210@c.us")
    shown = message_object(group, replace(PHONE, number="447700900001"))
    full = f"true_120363297269676566@g.us_{unique_id(JOB.job_id)}_919876543210@c.us"
    assert (shown.message_id, shown.id._serialized, shown.author) == (full, full, "919876543210@c.us")
    assert queue_job(group, now_us=NOW).message_id == job_status(group, now_us=NOW).message_id == full
    own = replace(group, provider_message_id="wamid.X")
    assert message_object(own, PHONE).message_id == "true_120363297269676566@g.us_wamid.X_919876543210@c.us"


@pytest.mark.parametrize("named", [KEY, f"true_{GROUP}_{KEY}", f"true_{GROUP}_{KEY}_919876543210@c.us"])
def test_what_a_person_answers_or_reacts_to_is_named_by_its_message_id(named: str) -> None:
    def row(**raw: Any) -> InboundRow:
        return InboundRow("3A01", GROUP, "919537851844@c.us", "chat", "👍", NOW, raw)

    full = f"true_{GROUP}_{KEY}_919876543210@c.us"
    assert inbound_object(row(quoted_message_id=named), PHONE).quoted_message_id == full
    assert reaction_object(row(reacted_to=named), PHONE).message_id == full
    assert inbound_object(row(quoted_message_id="3A99"), PHONE).quoted_message_id == "3A99", "whose it is, is unknown"


def test_the_message_object_has_ack_as_a_string_and_every_id() -> None:
    shown = msgspec.to_builtins(message_object(job(State.QUEUED), PHONE))
    assert shown["ack"] == "0"
    assert shown["sent_message_id"] == shown["queue_id"] == queue_id(JOB.job_id)
    assert shown["unique_id"] == shown["id"]["id"] == unique_id(JOB.job_id)
    assert shown["id"]["_serialized"] == shown["message_id"]
    assert (shown["org_phone"], shown["from"], shown["to"]) == ("919876543210@c.us", "919876543210@c.us", JOB.chat_id)
    assert (shown["message_type"], shown["body"], shown["media"], shown["has_media"]) == ("chat", "Hello", None, False)
    assert shown["from_me"] is True
    assert message_object(job(State.CANCELLED), PHONE).ack == "-1"


def test_media_and_polls_are_shown_with_what_they_hold() -> None:
    picture = Content(
        type=Kind.IMAGE, body="caption", media=Media("image/png", "a.png", 70, "ab" * 32), reply_to="3EB0"
    )
    shown = msgspec.to_builtins(message_object(replace(JOB, content=picture), PHONE))
    assert shown["media"]["mimetype"] == "image/png"
    assert (shown["media"]["size"], shown["media"]["path"]) == (70, None)
    assert (shown["quoted_message_id"], shown["has_quoted_msg"]) == ("3EB0", True)
    poll = Content(type=Kind.POLL, poll=Poll("Lunch?", ("Yes", "No"), poll_id="p"))
    shown = msgspec.to_builtins(message_object(replace(JOB, content=poll), PHONE))
    assert shown["poll_info"] == {
        "pollName": "Lunch?", "pollOptions": ["Yes", "No"], "options": {"allowMultipleAnswers": False, "pollId": "p"},
    }  # fmt: skip
    assert shown["body"] == "Lunch?"


def test_a_delivered_message_tells_who_has_it() -> None:
    sent = job(State.SENT, 4, sent_at_us=NOW, delivered_at_us=NOW + 1_000_000, read_at_us=NOW + 2_000_000)
    info = message_object(sent, PHONE).delivery_info
    assert info["delivered"] == {JOB.chat_id: NOW // 1_000_000 + 1}
    assert info["read"] == {JOB.chat_id: NOW // 1_000_000 + 2}
    assert (info["pending"], info["delivered_count"], info["read_count"]) == ([], 1, 1)
    assert message_object(job(State.SENT, 2, sent_at_us=NOW), PHONE).delivery_info["pending"] == [JOB.chat_id]


def test_a_phone_is_connected_or_disconnected_and_says_more_beside() -> None:
    shown = phone_object(PHONE, qr_code="code")
    assert (shown.wa_state, shown.is_ready, shown.qr_code) == ("CONNECTED", True, None)
    assert shown.labels == ["vip", "India"]
    assert set(shown.label_ids) == {label_id("org", "vip"), label_id("org", "india")}
    down = phone_details(replace(PHONE, state="logged_out"), QueueCounts(waiting=2, failed=1), qr_code="code")
    assert (down.wa_state, down.phone_state, down.qr_code) == ("DISCONNECTED", "logged_out", "code")
    assert down.last_disconnect == iso(NOW)
    assert down.queue_status["message"] == {"active": 0, "failed": 1, "completed": 0, "is_running": True, "pending": 2}


def test_the_legacy_health_counts_everything_that_has_not_started_as_pending() -> None:
    shown = legacy_health(QueueCounts(waiting=7, active=2, completed=3, failed=4, delayed=5, paused=6), running=False)
    assert (shown.pending, shown.active, shown.completed, shown.failed, shown.is_running) == (12, 2, 3, 4, False)


def test_an_event_reads_with_its_time_and_cause() -> None:
    event = Event(JOB.job_id, 2, NOW, "retry", "sending", "queued", 0, 1, 7, "sender", "network", "away")
    assert msgspec.to_builtins(history_events([event])) == [{
        "n": 2, "at": "2026-04-01T14:23:21.279Z", "kind": "retry", "before": "sending", "after": "queued", "ack": 0,
        "attempt": 1, "actor": "sender", "reason": "network", "detail": "away", "network_at": None,
    }]  # fmt: skip


def test_a_history_never_runs_backwards_and_keeps_the_networks_own_times() -> None:
    """A receipt for the first transmission of an id comes after the second one was settled."""
    sent = Event(JOB.job_id, 5, NOW + 14_264_000, "sent", "sending", "sent", 1, 2, 7, "engine")
    delivered = Event(JOB.job_id, 6, NOW + 10_215_000, "receipt", "sent", "sent", 3, 2, 7, "network")
    played = Event(JOB.job_id, 7, NOW + 15_000_000, "receipt", "sent", "sent", 5, 2, 7, "network")
    shown = history_events([sent, delivered, played])
    assert [event.at for event in shown] == [iso(NOW + us) for us in (14_264_000, 14_264_000, 15_000_000)]
    assert [event.network_at for event in shown] == [None, iso(NOW + 10_215_000), None]


def test_a_timeline_never_runs_backwards() -> None:
    shown = job_status(
        job(
            State.SENT, 4, started_at_us=NOW + 14_000_000, sent_at_us=NOW + 14_264_000, settled_at_us=NOW + 14_264_000,
            delivered_at_us=NOW + 10_215_000, read_at_us=NOW + 10_515_000,
        ),
        now_us=NOW,
    ).timeline  # fmt: skip
    assert shown["delivered_at"] == shown["sent_at"] == shown["sending_at"] == iso(NOW + 10_215_000)
    assert shown["read_at"] == iso(NOW + 10_515_000)
    rounded = job_status(job(State.SENT, 3, sent_at_us=NOW + 5, delivered_at_us=NOW - 279_000), now_us=NOW).timeline
    assert set(rounded.values()) == {iso(NOW)}
