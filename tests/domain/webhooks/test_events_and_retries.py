"""Tests of the webhook rules: the events of each change, the retry times, and the end of an endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.webhooks.events import EVENT_NAMES, SEQUENCE_STEP, WebhookEvent, fired_by
from heliograph.domain.webhooks.retry_policy import (
    DISABLE_AFTER_US,
    JITTER,
    MAX_PROBE_S,
    MAX_RETRY_AFTER_S,
    SCHEDULE_S,
    TRIP_AFTER,
    EndpointHealth,
    outcome_of_status,
    parse_retry_after,
    probe_wait_s,
    wait_s,
)
from heliograph.domain.webhooks.webhook import delivery_id, parse_delivery_id


def names(**change: object) -> list[tuple[str, int]]:
    given = {"n": 2, "before": "sending", "after": "sent", "ack": 1} | change
    return [(fired.name, fired.ack) for fired in fired_by(**given)]  # type: ignore[arg-type]


def test_each_step_of_an_ordinary_send_fires_its_names() -> None:
    assert names(n=1, before=None, after="queued", ack=0) == [("message.created", 0)]
    assert names(before="queued", after="sending", ack=0) == []
    assert names() == [("message.sent", 1), (WebhookEvent.ACK_UPDATED, 1)]
    assert names(before="sent", ack=2) == [(WebhookEvent.ACK_UPDATED, 2)]
    assert names(before="sent", ack=3) == [("message.delivered", 3), (WebhookEvent.ACK_UPDATED, 3)]
    assert names(before="sent", ack=4) == [("message.read", 4), (WebhookEvent.ACK_UPDATED, 4)]
    assert names(before="sent", ack=5) == [(WebhookEvent.ACK_UPDATED, 5)]


@pytest.mark.parametrize("after", ["failed", "cancelled", "expired"])
def test_every_end_without_a_send_fires_failed(after: str) -> None:
    assert names(after=after, ack=0)[:2] == [("message.failed", -1), (WebhookEvent.ACK_UPDATED, -1)]


@pytest.mark.parametrize("after", ["queued", "uncertain", "sending", "scheduled"])
def test_inner_steps_fire_nothing(after: str) -> None:
    assert names(before="sending", after=after, ack=0) == []


def test_a_send_that_is_settled_by_a_late_receipt_fires_every_lower_ack_level() -> None:
    assert [name for name, _ in names(before="uncertain", ack=3)] == [
        "message.sent", "message.ack.updated", "message.ack.updated", "message.delivered", "message.ack.updated",
    ]  # fmt: skip


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_sequences_rise_through_a_message_without_repeats(acks: list[int]) -> None:
    seen: list[int] = []
    for n, ack in enumerate(acks, 1):
        before = "sending" if n == 1 else "sent"
        seen += [fired.sequence for fired in fired_by(n=n, before=before, after="sent", ack=ack)]
    assert seen == sorted(set(seen))
    assert all(sequence <= len(acks) * SEQUENCE_STEP for sequence in seen)


def test_the_catalogue_holds_every_name_of_the_contract() -> None:
    contract = "chat.created message.created message.sent message.delivered message.read message.failed message.updated"
    assert set(contract.split()) < EVENT_NAMES and len(EVENT_NAMES) >= 35


@given(st.integers(1, 9), st.floats(-1, 1))
def test_waits_follow_the_schedule_with_jitter_and_end(tries: int, jitter: float) -> None:
    wait = wait_s(tries, SCHEDULE_S, jitter=jitter)
    assert wait is not None
    assert abs(wait / SCHEDULE_S[tries - 1] - 1) <= JITTER + 1e-9
    assert wait_s(10, SCHEDULE_S, jitter=jitter) is None


@given(st.floats(0, 1e9))
def test_a_retry_after_lengthens_a_wait_within_a_bound(asked: float) -> None:
    wait = wait_s(1, SCHEDULE_S, jitter=0.0, retry_after_s=asked)
    assert wait is not None and SCHEDULE_S[0] <= wait <= MAX_RETRY_AFTER_S
    assert wait >= min(asked, MAX_RETRY_AFTER_S)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), (" 120 ", 120.0), ("0", None), ("00", None), ("-1", None), ("1.5", None), ("soon", None), ("", None),
     (None, None), ("9" * 30, None), ("٣", None)],
)  # fmt: skip
def test_a_retry_after_of_whole_seconds_is_understood(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, now_us=NOW_US) == seconds


NOW_US = 1_792_567_680_000_000  # Wed, 21 Oct 2026 07:28:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        (" Wed, 21 Oct 2026 07:29:00 GMT ", 60.0),
        ("Wednesday, 21-Oct-26 07:28:30 GMT", 30.0),
        ("Wed Oct 21 07:28:30 2026", 30.0),
        ("Thu, 21 Oct 2027 07:28:00 GMT", 365 * 86_400.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 2026 07:27:59 GMT", None),
        ("Wed, 32 Oct 2026 07:28:30 GMT", None),
        ("Wed, 21 Oct 99999 07:28:30 GMT", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT" + " " * 10_000 + "x", None),
        ("Wed, 21 Okt 2026 07:28:30 GMT", None),
        ("GMT", None),
        (",", None),
    ],
)
def test_a_retry_after_of_an_http_date_is_understood(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, now_us=NOW_US) == seconds


def test_a_date_counts_from_the_receivers_own_clock_where_it_tells_it() -> None:
    wrong = "Fri, 01 Jan 2010 00:00:00 GMT"
    assert parse_retry_after("Fri, 01 Jan 2010 00:02:00 GMT", date=wrong, now_us=NOW_US) == 120.0
    assert parse_retry_after("Wed, 21 Oct 2026 07:28:30 GMT", date="no date", now_us=NOW_US) == 30.0


@given(
    st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} [\d:]{0,10} [A-Z+\-\d]{0,6}")
)
def test_no_retry_after_whatever_it_says_asks_for_more_than_the_bound(text: str) -> None:
    asked = parse_retry_after(text, now_us=NOW_US)
    wait = wait_s(1, SCHEDULE_S, jitter=0.0, retry_after_s=asked)
    assert wait is not None and SCHEDULE_S[0] <= wait <= MAX_RETRY_AFTER_S


@given(st.integers(-1000, 2000))
def test_every_status_has_an_outcome(status: int) -> None:
    assert (outcome_of_status(status) == "delivered") == (200 <= status < 300)


def test_many_failures_at_once_open_the_circuit_and_then_only_probes_count() -> None:
    health = EndpointHealth().after(delivered=0, failed=40, probed=False, now_us=100)
    assert health == EndpointHealth(TRIP_AFTER, 100) and health.tripped
    assert health.after(delivered=0, failed=40, probed=False, now_us=200) == health
    probed = health.after(delivered=0, failed=1, probed=True, now_us=300)
    assert probed == EndpointHealth(TRIP_AFTER + 1, 100)
    assert probed.after(delivered=1, failed=3, probed=True, now_us=400) == EndpointHealth()


def test_probes_wait_longer_and_longer_within_a_bound() -> None:
    waits = [probe_wait_s(TRIP_AFTER + n) for n in range(30)]
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0] and max(waits) == MAX_PROBE_S


def test_five_days_of_nothing_but_failures_are_hopeless() -> None:
    health = EndpointHealth(7, 1000)
    assert not health.hopeless(1000 + DISABLE_AFTER_US - 1) and health.hopeless(1000 + DISABLE_AFTER_US)
    assert not EndpointHealth().hopeless(2**60)
    assert not EndpointHealth(TRIP_AFTER - 1, 1000).hopeless(
        2**60
    )  # the gateway may have been away between two of them


@given(st.integers(1, 10**18 - 1), st.uuids())
def test_a_delivery_id_is_read_back_only_by_its_own_installation(no: int, org_id: object) -> None:
    text = delivery_id(str(org_id), no)
    assert parse_delivery_id(text, str(org_id)) == no
    assert parse_delivery_id(text, "00000000-other") is None or str(org_id).startswith("00000000")
    assert all(
        parse_delivery_id(bad, str(org_id)) is None for bad in ("", "dlv", "dlv__1", text + "x", text[:-1] + "-1")
    )
