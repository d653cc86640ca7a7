"""Tests of recurrence: each run comes once, at its local time."""

import calendar
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heliograph.domain.errors import Invalid
from heliograph.domain.schedules.recurrence import Every, Repeat, in_words, next_run, parse_repeat, repeat_config, runs
from heliograph.domain.timestamps import iso, parse_future, parse_moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str, zone: str = "UTC") -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) - EPOCH) // timedelta(microseconds=1)


def walls(first: str, repeat: Repeat, count: int) -> list[str]:
    zone = ZoneInfo(repeat.zone)
    found = islice(runs(us(first, repeat.zone), repeat), count)
    return [datetime.fromtimestamp(at / 1e6, zone).strftime("%m-%d %H:%M") for at in found]


def test_a_single_run_comes_once() -> None:
    at = us("2026-05-01 09:00")
    assert next_run(at, None) == at
    assert next_run(at, None, at) is None
    assert next_run(at, None, at - 1) == at


def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change() -> None:
    daily = Repeat(Every.DAY, zone="Europe/Berlin")
    assert walls("2026-03-28 09:00", daily, 3) == ["03-28 09:00", "03-29 09:00", "03-30 09:00"]
    found = list(islice(runs(us("2026-03-28 09:00", "Europe/Berlin"), daily), 2))
    assert found[1] - found[0] == 23 * 3_600_000_000


def test_a_time_that_the_clocks_jump_over_is_moved_by_the_jump() -> None:
    daily = Repeat(Every.DAY, zone="Europe/Berlin")
    assert walls("2026-03-28 02:30", daily, 3) == ["03-28 02:30", "03-29 03:30", "03-30 02:30"]


def test_a_time_that_comes_twice_is_taken_once_and_first() -> None:
    daily = Repeat(Every.DAY, zone="America/New_York")
    found = list(islice(runs(us("2026-10-31 01:30", "America/New_York"), daily), 3))
    assert found[1] == us("2026-11-01 05:30")
    assert found[2] == us("2026-11-02 06:30")


def test_a_month_without_the_day_takes_its_last_one() -> None:
    monthly = Repeat(Every.MONTH)
    assert [w[:5] for w in walls("2027-12-31 09:00", monthly, 5)] == ["12-31", "01-31", "02-29", "03-31", "04-30"]


def test_every_second_week_counts_from_the_week_of_the_first_run() -> None:
    repeat = Repeat(Every.WEEK, 2, (0, 4))
    # 2026-04-01 is a Wednesday: the first day that fits is Friday of the same week
    assert [w[:5] for w in walls("2026-04-01 08:00", repeat, 4)] == ["04-03", "04-13", "04-17", "04-27"]


def test_the_end_is_inclusive() -> None:
    first = us("2026-04-01 08:00")
    repeat = Repeat(Every.DAY, ends_us=us("2026-04-03 08:00"))
    assert len(list(runs(first, repeat))) == 3


def brute(first_us: int, repeat: Repeat, count: int) -> list[int]:
    """Finds the runs by a walk over all dates."""
    zone = ZoneInfo(repeat.zone)
    anchor = (EPOCH + timedelta(microseconds=first_us)).astimezone(zone)
    found: list[int] = []
    day = anchor.date()
    monday = day - timedelta(days=day.weekday())
    for _ in range(2_500):
        if repeat.every is Every.DAY:
            fits = (day - anchor.date()).days % repeat.value == 0 and (not repeat.days or day.weekday() in repeat.days)
        elif repeat.every is Every.WEEK:
            days = repeat.days or (anchor.weekday(),)
            fits = (day - monday).days // 7 % repeat.value == 0 and day.weekday() in days
        else:
            months = (day.year - anchor.year) * 12 + day.month - anchor.month
            last = calendar.monthrange(day.year, day.month)[1]
            fits = months % repeat.value == 0 and day.day == min(anchor.day, last)
        if fits:
            wall = datetime.combine(day, anchor.time().replace(fold=0), tzinfo=zone)
            at = (wall.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
            if day == anchor.date():
                at = first_us
            if repeat.ends_us is not None and at > repeat.ends_us:
                break
            if not found or at > found[-1]:
                found.append(at)
        if len(found) == count:
            break
        day += timedelta(days=1)
    return found


ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Gaza"]


@settings(max_examples=300, deadline=None)
@given(
    first=st.integers(1_104_537_600, 2_051_222_400),
    every=st.sampled_from(list(Every)),
    value=st.integers(1, 9),
    days=st.sets(st.integers(0, 6), max_size=4),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Gaza"]
    ),
    ends=st.none() | st.integers(0, 900),
    later=st.integers(0, 40),
)
@example(us("2011-12-28 20:00") // 1_000_000, Every.DAY, 1, set(), "Pacific/Apia", None, 0)
def test_runs_are_those_of_a_walk_over_all_dates(
    first: int, every: Every, value: int, days: set[int], zone: str, ends: int | None, later: int
) -> None:
    first_us = first * 1_000_000
    ends_us = None if ends is None else first_us + ends * 86_400_000_000
    repeat = Repeat(every, value, () if every is Every.MONTH else tuple(sorted(days)), ends_us, zone)
    expected = brute(first_us, repeat, 12)
    assert list(islice(runs(first_us, repeat), len(expected))) == expected
    # and from the middle, as after a restart
    if later < len(expected) - 1:
        assert next_run(first_us, repeat, expected[later]) == expected[later + 1]
        assert next_run(first_us, repeat, expected[later + 1] - 1) == expected[later + 1]


def test_a_run_far_ahead_is_found_at_once() -> None:
    first = us("2000-01-01 09:00")
    for every in Every:
        at = next_run(first, Repeat(every, 7, zone="Asia/Kolkata"), us("2150-06-01 00:00"))
        assert at is not None and at > us("2150-06-01 00:00")


GOOD = {"repeat_interval": "week", "repeat_value": 2, "repeat_days": ["friday", "monday"], "timezone": "Asia/Kolkata"}


def test_a_repetition_is_read_and_shown_in_the_same_spelling() -> None:
    first = us("2026-04-01 03:30")
    repeat = parse_repeat({**GOOD, "repeat_ends": "2026-12-31T00:00:00Z"}, first)
    assert repeat == Repeat(Every.WEEK, 2, (0, 4), us("2026-12-31 00:00"), "Asia/Kolkata")
    shown = repeat_config(repeat, iso(repeat.ends_us or 0))
    assert parse_repeat(shown, first) == repeat
    assert in_words(first, repeat) == "every 2 weeks on monday, friday at 09:00 Asia/Kolkata until 2026-12-31"
    assert in_words(us("2026-04-30 09:00"), Repeat(Every.MONTH)) == "every month on day 30 (or the last) at 09:00 UTC"
    assert in_words(first, None) == "once"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("daily", "repeat_config"),
        ({"repeat_interval": "year"}, "repeat_interval"),
        ({"repeat_interval": ["day"]}, "repeat_interval"),
        ({**GOOD, "repeat_value": 0}, "repeat_value"),
        ({**GOOD, "repeat_value": True}, "repeat_value"),
        ({**GOOD, "repeat_value": 1.5}, "repeat_value"),
        ({**GOOD, "timezone": "Mars/Olympus"}, "timezone"),
        ({**GOOD, "repeat_days": ["someday"]}, "repeat_days"),
        ({**GOOD, "repeat_days": ["monday", "monday"]}, "repeat_days"),
        ({**GOOD, "repeat_days": [{}]}, "repeat_days"),
        ({**GOOD, "repeat_ends": "tomorrow"}, "repeat_ends"),
        ({**GOOD, "repeat_ends": "2020-01-01T00:00:00Z"}, "repeat_ends"),
        ({"repeat_interval": "month", "repeat_days": ["monday"]}, "repeat_days"),
        # 2026-04-01 is a Wednesday, and so is every seventh day after it
        ({"repeat_interval": "day", "repeat_value": 7, "repeat_days": ["monday"]}, "repeat_days"),
        ({**GOOD, "repeat_every": 1}, "repeat_every"),
    ],
)
def test_an_impossible_repetition_is_refused_by_field(given: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_repeat(given, us("2026-04-01 09:00"))
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize(
    "text", ["2026-04-01T14:23:21.279Z", "2026-04-01T19:53:21.279+05:30", "2026-04-01T14:23:21.279"]
)
def test_a_moment_is_read_in_each_of_its_spellings(text: str) -> None:
    assert iso(parse_moment(text, "scheduled_at")) == "2026-04-01T14:23:21.279Z"


@pytest.mark.parametrize(
    "text",
    ["", "soon", 5, None, "2026-13-01T00:00:00Z", "2026-04-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"],
)
def test_a_moment_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        parse_moment(text, "scheduled_at")
    assert list(refused.value.fields) == ["scheduled_at"]


def test_a_time_in_the_past_is_refused() -> None:
    now = us("2026-04-01 12:00")
    with pytest.raises(Invalid):
        parse_future("2026-04-01T11:00:00Z", "scheduled_at", now)
    assert parse_future("2026-04-01T11:59:58Z", "scheduled_at", now, grace_s=5) == us("2026-04-01 11:59:58")


def test_the_walk_over_all_dates_knows_leap_days() -> None:
    assert iso(brute(us("2028-01-31 09:00"), Repeat(Every.MONTH), 2)[1]).startswith("2028-02-29")
