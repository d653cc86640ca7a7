"""Tests of an organisation's rate limit: it holds over any window, for all phones together."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.sender.org_rate_limit import BURST_S, OrgRate


@given(
    per_second=st.floats(0.2, 500),
    senders=st.integers(1, 5),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 50)), max_size=80),
)
def test_no_window_sees_more_than_its_part_of_the_rate_and_one_burst(
    per_second: float, senders: int, steps: list[tuple[float, int]]
) -> None:
    rate = OrgRate(per_second, senders)
    now, taken = 1000.0, []
    for pause_s, wanted in steps:
        now += pause_s
        count = min(wanted, rate.room(1, now))
        rate.take(1, count, now)
        taken += [now] * count
    part = per_second / senders
    for first, at in enumerate(taken):
        for last in range(first, len(taken)):
            span_s = taken[last] - at
            assert last - first + 1 <= part * span_s + max(part * BURST_S, 1) + 1e-6


def test_after_the_moment_it_names_at_least_one_may_start() -> None:
    rate = OrgRate(4.0)
    assert rate.room(1, 0.0) == 4
    rate.take(1, 4, 0.0)
    assert rate.room(1, 0.0) == 0
    at = rate.next_at(1, 0.0)
    assert 0.0 < at <= 0.26
    assert rate.room(1, at) >= 1


def test_a_rate_below_one_a_second_still_sends() -> None:
    rate = OrgRate(0.5)
    assert rate.room(1, 0.0) == 1
    rate.take(1, 1, 0.0)
    assert rate.room(1, 1.9) == 0
    assert rate.room(1, rate.next_at(1, 0.0)) == 1


def test_organisations_do_not_use_up_each_other() -> None:
    rate = OrgRate(1.0)
    rate.take(1, 1, 0.0)
    assert (rate.room(1, 0.0), rate.room(2, 0.0)) == (0, 1)


def test_no_rate_holds_nothing_back() -> None:
    rate = OrgRate(0.0)
    rate.take(1, 10**6, 0.0)
    assert rate.room(1, 0.0) > 10**6
