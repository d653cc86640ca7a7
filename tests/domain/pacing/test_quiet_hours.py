"""Tests of quiet hours: they follow the time zone of the recipient."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.messages.phone_numbers import possible, zones_of
from heliograph.domain.pacing.policy import QuietHours
from heliograph.domain.pacing.quiet_hours import known_zone, quiet_until

NIGHT = QuietHours(21 * 60, 8 * 60)


def us(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def local(at_us: int, zone: str) -> str:
    return datetime.fromtimestamp(at_us / 1e6, ZoneInfo(zone)).strftime("%a %H:%M")


def test_at_night_a_message_waits_for_the_morning_of_its_reader() -> None:
    now = us("2026-11-20 23:30", "Asia/Kolkata")
    until = quiet_until(NIGHT, zones_of("918012345678@c.us"), now)
    assert until == us("2026-11-21 08:00", "Asia/Kolkata")
    assert quiet_until(NIGHT, zones_of("918012345678@c.us"), until) is None


def test_early_in_the_morning_it_waits_until_the_same_day() -> None:
    now = us("2026-11-20 05:00", "Asia/Kolkata")
    assert quiet_until(NIGHT, ["Asia/Kolkata"], now) == us("2026-11-20 08:00", "Asia/Kolkata")


def test_in_the_day_it_does_not_wait() -> None:
    assert quiet_until(NIGHT, ["Asia/Kolkata"], us("2026-11-20 12:00", "Asia/Kolkata")) is None
    assert quiet_until(QuietHours(13 * 60, 15 * 60), ["UTC"], us("2026-11-20 15:00")) is None
    assert quiet_until(QuietHours(13 * 60, 15 * 60), ["UTC"], us("2026-11-20 14:59")) == us("2026-11-20 15:00")


def test_a_number_of_several_zones_waits_until_it_is_day_in_all_of_them() -> None:
    zones = zones_of("79161234567@c.us")
    assert zones[0] == "Europe/Moscow" and len(zones) > 5
    until = quiet_until(NIGHT, zones, us("2026-06-20 12:00"))
    assert until is not None
    for zone in zones:
        hour = datetime.fromtimestamp(until / 1e6, ZoneInfo(zone)).hour
        assert 8 <= hour < 21


def test_where_no_moment_suits_all_zones_the_main_one_decides() -> None:
    zones = zones_of("18005550000@c.us")
    assert zones[0] == "America/New_York"
    long = QuietHours(16 * 60, 10 * 60)
    now = us("2026-06-20 23:00", "America/New_York")
    assert quiet_until(long, zones, now) == us("2026-06-21 10:00", "America/New_York")
    assert quiet_until(long, zones, us("2026-06-20 12:00", "America/New_York")) is None


def test_a_group_has_the_policys_zone_or_no_quiet_hours() -> None:
    assert zones_of("120363297269676566@g.us") == ()
    now = us("2026-11-20 23:30", "Asia/Kolkata")
    assert quiet_until(NIGHT, (), now) is None
    with_zone = QuietHours(21 * 60, 8 * 60, "Asia/Kolkata")
    assert quiet_until(with_zone, (), now) == us("2026-11-21 08:00", "Asia/Kolkata")


def test_the_end_follows_the_clocks_of_daylight_saving() -> None:
    # 2026-03-29: 02:00 → 03:00 in Berlin
    until = quiet_until(NIGHT, ["Europe/Berlin"], us("2026-03-28 22:00", "Europe/Berlin"))
    assert until is not None and local(until, "Europe/Berlin") == "Sun 08:00"
    in_the_gap = quiet_until(QuietHours(60, 150), ["Europe/Berlin"], us("2026-03-29 01:30", "Europe/Berlin"))
    assert in_the_gap is not None and local(in_the_gap, "Europe/Berlin") == "Sun 03:30"


@given(
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
    zone=st.sampled_from(["Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    minute=st.integers(0, 60 * 24 * 366),
)
def test_the_moment_given_is_never_quiet_and_never_more_than_a_day_away(
    start: int, length: int, zone: str, minute: int
) -> None:
    quiet = QuietHours(start, (start + length) % 1440)
    now = us("2026-01-01 00:00") + minute * 60_000_000
    until = quiet_until(quiet, [zone], now)
    if until is not None:
        assert now < until <= now + 26 * 3_600_000_000
    at = datetime.fromtimestamp((until or now) // 1_000_000, UTC).astimezone(ZoneInfo(zone))
    assert (at.hour * 60 + at.minute - start) % 1440 >= length


@pytest.mark.parametrize("name", ["Asia/Kolkata", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+3"])
def test_a_real_zone_is_known(name: str) -> None:
    assert known_zone(name)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe", None, 5, "a" * 99])
def test_a_zone_that_is_none_is_refused(name: object) -> None:
    assert not known_zone(name)


def test_a_number_is_possible_by_its_country_and_length() -> None:
    assert possible("919876543210") and possible("+12025550100") and possible("15550001111@c.us")
    assert not possible("9198765") and not possible("99912345678") and not possible("120363297269676566@g.us")
