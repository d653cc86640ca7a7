"""Tests of pacing: never faster than the policy allows, never slower than it must be."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.domain.pacing.next_start import (
    PRESETS,
    PaceRow,
    Policy,
    StartHistory,
    WarmUp,
    history_from_rows,
    next_start,
    starts_allowed,
)
from tests.domain.pacing.phone_simulation import DAY, PhoneSimulation, check

US = 10**15


def test_the_policy_none_never_waits_and_keeps_nothing() -> None:
    policy = PRESETS["none"]
    history = StartHistory(policy)
    for n in range(1_000):
        assert next_start(policy, history, 5.0) == (5.0, None)
        history.start(5.0, US, f"{n}", True)
    assert policy.free
    assert len(history.starts) == 0 and not history._chats  # private: memory that is kept shows nowhere else


def test_the_gap_runs_from_settle_to_the_next_start() -> None:
    policy = Policy(gap_min_s=3, gap_max_s=8, max_in_flight=1)
    history = StartHistory(policy)
    history.start(100.0, US, "a", False)
    assert next_start(policy, history, 101.0) == (math.inf, "in_flight")
    history.settle(110.0, policy.gap_s(0.5))
    assert next_start(policy, history, 111.0) == (115.5, "gap")
    assert next_start(policy, history, 116.0) == (116.0, None)


@pytest.mark.parametrize(
    ("policy", "field", "window"),
    [
        (Policy(per_minute=3), "per_minute", 60),
        (Policy(per_hour=3), "per_hour", 3600),
        (Policy(per_day=3), "per_day", 86400),
    ],
)
def test_a_full_window_opens_when_its_oldest_start_leaves_it(policy: Policy, field: str, window: int) -> None:
    history = StartHistory(policy)
    for at in (10.0, 20.0, 30.0):
        assert next_start(policy, history, at) == (at, None)
        history.start(at, US, "a", False)
    assert next_start(policy, history, 31.0) == (10.0 + window, field)


def test_a_rate_per_second_is_kept_over_any_second() -> None:
    policy = Policy(per_second=2.5)
    history = StartHistory(policy)
    at = 0.0
    times = []
    for _ in range(50):
        at = next_start(policy, history, at).at
        times.append(at)
        history.start(at, US, "a", False)
    assert times[-1] == pytest.approx(24 * 0.8)


def test_a_chat_may_save_up_a_burst_and_then_waits_alone() -> None:
    policy = Policy(chat_gap_s=6, chat_burst=5)
    history = StartHistory(policy)
    for _ in range(5):
        assert next_start(policy, history, 0.0, chat="a").at == 0.0
        history.start(0.0, US, "a", False)
    assert next_start(policy, history, 0.0, chat="a") == (6.0, "chat_gap")
    assert next_start(policy, history, 0.0, chat="b") == (0.0, None)
    assert next_start(policy, history, 12.0, chat="a") == (12.0, None)


def test_new_chats_have_their_own_limit_and_known_chats_continue() -> None:
    policy = Policy(new_chats_per_day=2)
    history = StartHistory(policy)
    for chat in "ab":
        history.start(50.0, US, chat, True)
    assert next_start(policy, history, 60.0, new_chat=True) == (50.0 + DAY, "new_chats")
    assert next_start(policy, history, 60.0) == (60.0, None)


def test_no_new_chats_at_all_is_a_limit_too() -> None:
    policy = Policy(new_chats_per_day=0)
    assert next_start(policy, StartHistory(policy), 0.0, new_chat=True) == (math.inf, "new_chats")
    assert starts_allowed(policy, StartHistory(policy), 0.0, new_chat=True) == 0


def test_the_warm_up_table_lets_more_go_on_the_day_it_says() -> None:
    policy = Policy(per_day=100, warm_up=(WarmUp(1, per_day=2), WarmUp(2, per_day=4)))
    history = StartHistory(policy, connected_at=0.0)
    for at in (DAY - 20, DAY - 10):
        history.start(at, US, "a", False)
    assert next_start(policy, history, DAY - 5) == (DAY, "per_day")
    for at in (DAY, DAY + 1):
        assert next_start(policy, history, at).rule is None
        history.start(at, US, "a", False)
    # the oldest leaves the window before the third step begins
    assert next_start(policy, history, DAY + 2) == (2 * DAY - 20, "per_day")


def test_a_phone_that_never_connected_stays_at_the_first_step() -> None:
    policy = Policy(per_day=100, warm_up=(WarmUp(1, per_day=1),))
    history = StartHistory(policy)
    history.start(0.0, US, "a", False)
    assert next_start(policy, history, 10.0).rule == "per_day"


def test_the_allowance_counts_every_window_and_what_is_in_flight() -> None:
    policy = Policy(per_second=20, per_minute=30, max_in_flight=25)
    history = StartHistory(policy)
    assert starts_allowed(policy, history, 0.0) == 20
    for n in range(20):
        history.start(0.0, US, f"{n}", False)
    assert starts_allowed(policy, history, 0.5) == 0
    assert starts_allowed(policy, history, 1.0) == 5
    for _ in range(20):
        history.settle(1.0)
    assert starts_allowed(policy, history, 1.0) == 10
    assert starts_allowed(Policy(gap_min_s=1, gap_max_s=1), StartHistory(Policy(gap_min_s=1, gap_max_s=1)), 0.0) == 1


def test_a_new_owner_goes_on_with_the_same_windows() -> None:
    policy = Policy(per_hour=3, chat_gap_s=600, new_chats_per_day=1)
    rows = [PaceRow(US - s * 1_000_000, c, n) for s, c, n in ((3_000, "a", True), (100, "b", False), (50, "c", False))]
    history = history_from_rows(policy, reversed(rows), now=7.0, now_us=US, first_connected_at_us=US - 10**12)
    assert next_start(policy, history, 7.0) == (7.0 + 600.0, "per_hour")
    assert next_start(policy, history, 7.0, new_chat=True) == (7.0 + DAY - 3_000, "new_chats")
    assert history.chat_at("b") == 7.0 + 500.0
    assert history.connected_at == 7.0 - 10**6


def test_a_new_owner_does_not_know_the_last_settle_and_keeps_the_longest_gap_once() -> None:
    policy = PRESETS["linked-warm"]
    history = history_from_rows(policy, [PaceRow(US - 60_000_000, "a", False)], now=0.0, now_us=US)
    assert next_start(policy, history, 0.0) == (policy.gap_max_s, "gap")
    assert next_start(policy, history_from_rows(policy, [], now=0.0, now_us=US), 0.0) == (0.0, None)


def test_a_row_from_the_future_counts_as_now() -> None:
    policy = Policy(per_minute=1)
    history = history_from_rows(policy, [PaceRow(US + 10**12, "a", False)], now=3.0, now_us=US)
    assert next_start(policy, history, 3.0) == (63.0, "per_minute")


def test_memory_is_bounded_by_the_policy_and_not_by_time() -> None:
    policy = Policy(per_minute=10, chat_gap_s=6, chat_burst=5)
    history = StartHistory(policy)
    for n in range(20_000):
        history.start(float(n), US, f"chat{n}", True)
    assert len(history.starts) == 10
    assert len(history._chats) <= 10  # private: as above


_WINDOW = st.none() | st.integers(1, 6)


@settings(max_examples=150, deadline=None)
@given(
    minute=_WINDOW,
    hour=_WINDOW,
    new=st.none() | st.integers(0, 3),
    chat=st.tuples(st.sampled_from([0.0, 7.0, 90.0]), st.integers(1, 3)),
    gap=st.sampled_from([0.0, 4.0]),
    steps=st.lists(st.tuples(st.floats(0, 400), st.integers(0, 2), st.booleans()), max_size=40),
)
def test_next_start_is_the_earliest_moment_that_breaks_no_rule(
    minute: int | None,
    hour: int | None,
    new: int | None,
    chat: tuple[float, int],
    gap: float,
    steps: list[tuple[float, int, bool]],
) -> None:
    policy = Policy(
        per_minute=minute,
        per_hour=hour,
        new_chats_per_day=new,
        chat_gap_s=chat[0],
        chat_burst=chat[1] if chat[0] else 1,
        gap_min_s=gap,
        gap_max_s=gap,
    )
    history = StartHistory(policy)
    now = 0.0
    done: list[tuple[float, int, bool]] = []

    def allowed(at: float, name: int, is_new: bool) -> bool:
        for limit, window in ((minute, 60), (hour, 3600)):
            if limit is not None and sum(at - t < window - 1e-6 for t, _, _ in done) >= limit:
                return False
        if is_new and new is not None and sum(at - t < DAY - 1e-6 for t, _, n in done if n) >= new:
            return False
        if done and at < done[-1][0] + gap - 1e-6:
            return False
        credit, last = float(policy.chat_burst), 0.0
        for t, c, _ in done:
            if c == name and chat[0]:
                credit, last = min(policy.chat_burst, credit + (t - last) / chat[0]) - 1, t
        return not chat[0] or min(policy.chat_burst, credit + (at - last) / chat[0]) >= 1 - 1e-6

    for wait, name, is_new in steps:
        now += wait
        slot = next_start(policy, history, now, new_chat=is_new, chat=f"{name}")
        if slot.at == math.inf:
            assert is_new and new == 0
            continue
        assert allowed(slot.at, name, is_new)
        assert slot.at == now or not allowed(slot.at - 0.01, name, is_new)
        now = slot.at
        history.start(now, US, f"{name}", is_new)
        history.settle(now, gap, f"{name}")
        done.append((now, name, is_new))


@pytest.mark.parametrize("preset", ["linked-new", "linked-warm", "cloud-default"])
def test_a_month_of_mixed_load_keeps_every_rule_and_uses_its_pace(preset: str) -> None:
    """docs/performance.md has the figures of 100 phones, by `python -m tests.domain.pacing.phone_simulation`."""
    policy = PRESETS[preset]
    days, rate = (1.0, 4_000.0) if preset == "cloud-default" else (15.0, 150.0)
    for seed, kills in ((1, 0), (2, 5)):
        simulation = PhoneSimulation(policy, seed, days, connected=-DAY * seed, arrivals_per_hour=rate, kills=kills)
        broken, lost = check(policy, simulation.run(), simulation.connected)
        assert broken == []
        assert lost < 0.02
        assert len(simulation.sent) > 1_000


def test_the_checker_sees_a_phone_that_is_too_fast() -> None:
    policy = PRESETS["linked-warm"]
    simulation = PhoneSimulation(policy, 1, 1.0, arrivals_per_hour=300.0)
    sent = simulation.run()
    for s in sent:
        s.at *= 0.95
        s.settled *= 0.95
    broken, _ = check(policy, sent, 0.0)
    assert any(text.startswith("gap") for text in broken)
    assert any(text.startswith(("hour", "minute")) for text in broken)


def test_the_checker_sees_a_phone_that_is_too_slow() -> None:
    policy = PRESETS["linked-warm"]
    sent = PhoneSimulation(policy, 1, 1.0, arrivals_per_hour=300.0).run()
    for n, s in enumerate(sent):
        s.at += n * 2.0
        s.settled += n * 2.0
    _, lost = check(policy, sent, 0.0)
    assert lost > 0.02


def test_a_gap_alone_allows_one_message_in_flight() -> None:
    policy = Policy(gap_min_s=3, gap_max_s=3)
    history = StartHistory(policy)
    assert starts_allowed(policy, history, 100.0) == 1
    history.start(100.0, US, "a", False)
    assert next_start(policy, history, 100.5) == (math.inf, "in_flight")
    assert starts_allowed(policy, history, 100.5) == 0
    history.settle(101.0, policy.gap_s(0.5))
    assert next_start(policy, history, 101.0) == (104.0, "gap")
