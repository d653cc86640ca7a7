"""Tests of `explain`: one function says why a message does not move."""

import pytest

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.explain.explanation import ExplanationFacts, Hold, Wait, describe, explain
from heliograph.domain.jobs.ids import JobId, queue_id
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.content import Content, Kind
from heliograph.domain.pacing.forecast import PLAYED, eta, eta_new, steady_s
from heliograph.domain.pacing.next_start import PRESETS, Policy, StartHistory, next_start
from tests.kit.replace import replace

NOW = 1_775_053_000_000_000  # 14:16:40 UTC
S = 1_000_000

JOB = Job(
    job_id=JobId(1), org_no=1, phone_no=1, chat_id="919537851844@c.us", priority=Priority.NORMAL, seq=1,
    state=State.QUEUED,
    content=Content(Kind.TEXT, "hi"), attempts=0, starts=0, maybe_sent=False, ack=0, reason=None, detail=None,
    not_before_us=None, expires_at_us=None, broadcast_no=None, schedule_no=None, performed_by="api",
    provider_message_id=None, author=None, events=1, queued_at_us=NOW, started_at_us=None, sent_at_us=None,
    delivered_at_us=None, read_at_us=None, settled_at_us=None,
)  # fmt: skip
PHONE = PhoneRow(
    phone_no=1, org_no=1, org_id="o", phone_id="phone-a", number="919876543210", provider="simulator", name="",
    image="", labels=(), state="connected", state_detail="", state_at_us=NOW, pacing="none", config="{}",
    paused_at_us=None, paused_by=None, hold_until_us=None, hold_reason=None, new_chats_until_us=None,
    first_connected_at_us=NOW, created_at_us=NOW, updated_at_us=NOW,
)  # fmt: skip


def facts(**given: object) -> ExplanationFacts:
    return replace(ExplanationFacts(job=JOB, now_us=NOW, phone=PHONE, forecast_s=3.0), **given)


def codes(of: ExplanationFacts) -> list[str]:
    return [blocker.code for blocker in explain(of).blockers]


def test_nothing_in_its_way_means_it_is_about_to_go() -> None:
    found = explain(facts())
    assert found.sentence == "Waits to be sent." and found.blockers == ()
    assert found.eta_us == NOW + 3 * S


def test_several_blockers_are_explained_in_order_of_importance() -> None:
    of = facts(
        job=replace(JOB, attempts=1, not_before_us=NOW + 60 * S, detail="The connection was lost."),
        phone=replace(PHONE, paused_at_us=NOW - S, paused_by="Asha", state="offline", new_chats_until_us=NOW + 90 * S),
        unowned=True,
        chat_hold=Hold("Bo", NOW),
        broadcast_hold=Hold("api", NOW),
        new_chat=True,
        quiet_until_us=NOW + 100 * S,
        waits_for_until_us=NOW + 5 * S,
        pace=Wait(NOW + 4 * S, "per_hour", 20),
        ahead=37,
        ahead_in_chat=2,
    )
    assert codes(of) == [
        "phone_paused", "phone_offline", "no_sender", "chat_paused", "broadcast_paused", "new_chats_restricted",
        "quiet_hours", "chat_uncertain", "retry", "behind_in_chat", "pacing", "behind",
    ]  # fmt: skip
    found = explain(of)
    assert found.sentence == "Waits: the phone was paused by Asha at 14:16:39 UTC."
    assert found.eta_us is None


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"phone": replace(PHONE, state="offline", state_detail="no network")}, "phone_offline",
         "Waits: the phone is offline: no network."),
        ({"phone": replace(PHONE, state="restricted", hold_until_us=NOW + 60 * S, hold_reason="Too fast.")},
         "phone_held", "Waits: WhatsApp holds the phone until 14:17:40 UTC: Too fast."),
        ({"unowned": True}, "no_sender", "Waits: no sender process is running for this phone."),
        ({"chat_hold": Hold("Asha", NOW, "a complaint")}, "chat_paused",
         "Waits: the chat was paused by Asha at 14:16:40 UTC: a complaint."),
        ({"pace": Wait(NOW + 4 * S, "new_chats", 20)}, "pacing",
         "Waits: the phone opens at most 20 new chats a day; the next may go at 14:16:44 UTC."),
        ({"quiet_until_us": NOW + 60 * S}, "quiet_hours",
         "Waits: it is night where the recipient lives, until 14:17:40 UTC."),
        ({"ahead": 1}, "behind", "Waits behind 1 other."),
        ({"ahead": 37}, "behind", "Waits behind 37 others."),
        ({"ahead_in_chat": 2}, "behind_in_chat", "Waits behind 2 earlier messages to the same chat."),
        ({"ahead_in_chat": 101}, "behind_in_chat", "Waits behind more than 100 earlier messages to the same chat."),
        ({"job": replace(JOB, attempts=2, not_before_us=NOW + 4 * S, detail="No answer.")}, "retry",
         "Attempt 2 did not succeed, the next is at 14:16:44 UTC: No answer."),
        ({"job": replace(JOB, not_before_us=NOW + 4 * S, detail="Slow down.")}, "throttled",
         "Waits until 14:16:44 UTC: Slow down."),
        ({"waits_for_until_us": NOW + 4 * S}, "chat_uncertain",
         "Waits: nobody knows yet whether the message before it arrived; the chat goes on at 14:16:44 UTC"
         " at the latest."),
    ],
)  # fmt: skip
def test_each_reason_has_its_code_and_sentence(changes: dict[str, object], code: str, text: str) -> None:
    found = explain(facts(**changes))
    assert [b.code for b in found.blockers] == [code]
    assert found.sentence == text


def test_the_eta_is_never_before_what_holds_it_back() -> None:
    assert explain(facts(quiet_until_us=NOW + 100 * S)).eta_us == NOW + 100 * S
    assert explain(facts(quiet_until_us=NOW + 2 * S)).eta_us == NOW + 3 * S
    assert explain(facts(chat_hold=Hold("a", NOW))).eta_us is None
    assert explain(facts(chat_hold=Hold("a", NOW, until_us=NOW + 9 * S))).eta_us == NOW + 9 * S
    assert explain(facts(forecast_s=float("inf"))).eta_us is None


def test_a_message_that_will_expire_first_says_so() -> None:
    found = explain(facts(job=replace(JOB, expires_at_us=NOW + 2 * S), ahead=5))
    assert codes(facts(job=replace(JOB, expires_at_us=NOW + 2 * S), ahead=5)) == ["behind", "expires"]
    assert found.eta_us is None


def test_the_history_of_a_message_explains_more_than_its_position() -> None:
    found = explain(facts(job=replace(JOB, attempts=1, detail="No answer."), ahead=3))
    assert found.sentence == "Attempt 1 did not succeed, the next is about to start: No answer."
    assert [b.code for b in found.blockers] == ["behind"]


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (replace(JOB, state=State.SENT, ack=1), "Successfully submitted."),
        (replace(JOB, state=State.SENT, ack=4), "Read by recipient."),
        (replace(JOB, state=State.SENDING, attempts=2), "Being sent, attempt 2."),
        (replace(JOB, state=State.FAILED, detail="Not on WhatsApp"), "Not on WhatsApp."),
        (replace(JOB, state=State.CANCELLED, reason="purged"), "Purged before it was sent."),
        (replace(JOB, state=State.EXPIRED, expires_at_us=NOW), "Expired at 14:16:40 UTC, before it was sent."),
        (replace(JOB, state=State.SCHEDULED, not_before_us=NOW + S), "Scheduled. Goes out at 14:16:41 UTC."),
    ],
)
def test_each_state_has_its_sentence_and_lists_say_the_same(job: Job, sentence: str) -> None:
    assert explain(facts(job=job)).sentence == sentence
    assert describe(job, now_us=NOW, phone=PHONE) == sentence


def test_an_uncertain_message_says_since_when_and_by_which_command_it_is_settled() -> None:
    job = replace(JOB, state=State.UNCERTAIN, started_at_us=NOW - 20 * S)
    found = explain(facts(job=job, uncertain_since_us=NOW))
    assert found.blockers[0].code == "uncertain"
    assert f"heliograph queue resolve {queue_id(job.job_id)} arrived" in (found.blockers[0].action or "")
    assert "Since 14:16:40 UTC" in found.blockers[0].text
    assert "Since" not in explain(facts(job=job)).blockers[0].text


@pytest.mark.parametrize(
    ("state", "detail", "sentence"),
    [
        ("offline", "The phone is offline.", "Waits: the phone is offline."),
        ("logged_out", "The phone was logged out. Restart it to connect again.", "Waits: the phone is logged out."),
        ("replaced", "Another connection took this phone's place. Restart the phone.",
         "Waits: the phone's connection was taken over, another took its place."),
        ("unauthorized", "The token expired.",
         "Waits: WhatsApp refuses the phone's credentials; a person must renew them: The token expired."),
    ],
)  # fmt: skip
def test_a_providers_text_that_equals_ours_is_shown_once(state: str, detail: str, sentence: str) -> None:
    found = explain(facts(phone=replace(PHONE, state=state, state_detail=detail)))
    assert found.sentence == sentence
    assert found.blockers[0].action


def test_a_phone_that_is_connecting_has_no_forecast() -> None:
    found = explain(facts(phone=replace(PHONE, state="connecting"), ahead=1))
    assert [b.code for b in found.blockers] == ["phone_connecting", "behind"]
    assert found.eta_us is None


def test_without_a_policy_the_forecast_is_the_queue_at_the_speed_of_sending() -> None:
    assert eta(PRESETS["none"], StartHistory(PRESETS["none"]), 0.0, ahead=100, send_s=0.5, in_flight=1) == 50.0
    assert eta(PRESETS["none"], StartHistory(PRESETS["none"]), 0.0, ahead=100, send_s=0.5, in_flight=5) == 10.0


@pytest.mark.parametrize("ahead", [0, 7, 45, 130, 900, 6_000, 40_000])
@pytest.mark.parametrize("preset", ["linked-warm", "cloud-default"])
def test_the_forecast_is_within_a_tenth_of_what_comes(preset: str, ahead: int) -> None:
    policy = PRESETS[preset]
    history = StartHistory(policy, connected_at=-(10.0**7))
    for n in range(40):
        at = next_start(policy, history, n * 20.0).at
        history.start(at, 0, "", False)
        history.settle(at, 0)
    forecast = eta(policy, history, 900.0, ahead=ahead, send_s=0.4, in_flight=20)
    played = StartHistory(policy, connected_at=-(10.0**7))
    for n in range(40):
        at = next_start(policy, played, n * 20.0).at
        played.start(at, 0, "", False)
        played.settle(at, 0)
    at = 900.0
    abreast = policy.max_in_flight or 20
    for n in range(ahead):
        at = next_start(policy, played, at).at
        played.start(at, 0, "", False)
        at += 0.4 / abreast
        played.settle(at, policy.gap_s((n * 0.618) % 1))
    real = next_start(policy, played, at).at - 900.0
    assert forecast == pytest.approx(real, rel=0.1, abs=5.0)


def test_the_forecast_never_plays_more_than_its_bound() -> None:
    policy = PRESETS["linked-new"]
    assert steady_s(policy, StartHistory(policy, connected_at=0.0), 0.0, send_s=1.0) == 86_400 / 50
    long = eta(policy, StartHistory(policy, connected_at=-(10.0**8)), 0.0, ahead=1_000_000, send_s=1.0)
    assert long == pytest.approx(1_000_000 / 500 * 86_400, rel=0.05)
    assert PLAYED <= 2_000


def test_no_new_chats_at_all_means_never() -> None:
    policy = Policy(new_chats_per_day=0)
    assert eta(policy, StartHistory(policy), 0.0, ahead=3, send_s=1.0, new_chat=True) == float("inf")


def test_new_chats_wait_for_their_days_and_the_warm_up_lets_more_go() -> None:
    policy = PRESETS["linked-new"]
    assert eta_new(policy, StartHistory(policy, connected_at=0.0), 0.0, ahead=4) < 3_600
    assert eta_new(policy, StartHistory(policy, connected_at=0.0), 0.0, ahead=5) == pytest.approx(86_400, abs=600)
    # five on the first day and the second, ten on each of the next three
    assert eta_new(policy, StartHistory(policy, connected_at=0.0), 0.0, ahead=30) == pytest.approx(4 * 86_400, rel=0.1)
    old = StartHistory(policy, connected_at=-(10.0**7))
    assert eta_new(policy, old, 0.0, ahead=40_000) == pytest.approx(2_000 * 86_400, rel=0.05)
