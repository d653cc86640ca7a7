"""Tests of number safety: opt-out words are recognised, and repeated failures pause the phone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.messages.opt_out import start_word, stop_word
from heliograph.domain.pacing.failure_breaker import Breaker, FailureWatch


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop.", " Stop! ", "Stop all", "unsubscribe", "DARME DE BAJA", "Arrêt", "désabonner", "Стоп", "إيقاف",
     "बंद करो", "退订", "配信停止", "수신거부", "หยุด", "Dừng lại", "opt-out", "*STOP*", "iptal", "Abmelden"],
)  # fmt: skip
def test_a_plain_request_to_stop_is_recognised_in_many_languages(text: str) -> None:
    assert stop_word(text)


@pytest.mark.parametrize(
    "text",
    ["", "please don't stop", "stop it, I like this", "bus stop", "non-stop", "Can I cancel my order?", "the end", "1",
     "stop" * 100, "endlich", "stop stop"],
)  # fmt: skip
def test_a_message_that_only_contains_the_word_is_no_request(text: str) -> None:
    assert not stop_word(text)


def test_a_request_is_taken_back_by_start() -> None:
    assert start_word("Start!") and not start_word("please start") and not stop_word("start")


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    assert not (stop_word(text) and start_word(text))


def test_the_breaker_trips_at_the_tenth_failure_of_twenty() -> None:
    watch = FailureWatch(Breaker())
    outcomes = [n % 2 == 0 for n in range(40)]
    tripped = [n for n, failed in enumerate(outcomes) if watch.note(float(n), failed)]
    assert tripped == [18, 38]


def test_few_failures_over_a_long_time_do_not_trip_it() -> None:
    watch = FailureWatch(Breaker(window=20, failures=3, within_s=60))
    assert not any(watch.note(n * 40.0, True) for n in range(50))
    assert watch.note(2_000.0, True) or watch.note(2_000.5, True)


def test_a_new_owner_counts_what_the_former_one_saw() -> None:
    watch = FailureWatch(Breaker(window=5, failures=3))
    watch.replay([(0.0, True), (1.0, True), (2.0, False)])
    assert watch.note(3.0, True)


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 10), st.integers(1, 10))
def test_the_breaker_trips_exactly_when_the_window_holds_enough(
    outcomes: list[bool], window: int, failures: int
) -> None:
    watch = FailureWatch(Breaker(window=window, failures=failures))
    begin = 0
    for n, failed in enumerate(outcomes):
        expected = failed and sum(outcomes[max(begin, n + 1 - window) : n + 1]) >= failures
        assert watch.note(float(n), failed) == expected
        if expected:
            begin = n + 1
