"""Quiet hours: when is it too late, or too early, to write to somebody where they live?

Promise: a moment that `quiet_until` lets pass is outside the quiet hours in every zone the recipient may be in.
Known weakness: a number tells a zone, not where its owner is today. Where several zones together are quiet around
the clock (a country-wide number of a very wide country and long quiet hours), there is no such moment: then the zone of
the country's largest cities alone decides, which `domain/messages/phone_numbers.py` puts first.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from heliograph.domain.pacing.policy import QuietHours

_DAY_MIN = 1_440


def quiet_until(quiet: QuietHours, zones: Sequence[str], now_us: int) -> int | None:
    """Gives the end of quiet hours (µs UTC); None: the message may go now. No zones: the policy's own, or no quiet
    hours.
    """
    names = tuple(zones) or ((quiet.zone,) if quiet.zone else ())
    if not names:
        return None
    at = now_us
    # each step ends one zone's quiet hours, so two days of steps visit every combination
    for _ in range(4 * len(names) + 4):
        ends = [until for name in names if (until := _quiet_in(quiet, name, at)) is not None]
        if not ends:
            return at if at > now_us else None
        at = max(ends)
        if at - now_us > 2 * _DAY_MIN * 60 * 1_000_000:
            break
    return _quiet_in(quiet, names[0], now_us)


def _quiet_in(quiet: QuietHours, zone: str, at_us: int) -> int | None:
    """The end of the quiet hours that hold `at_us`, in one zone; None outside them."""
    tz = _zone(zone)
    local = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(tz)
    minute = local.hour * 60 + local.minute
    length = (quiet.end_min - quiet.start_min) % _DAY_MIN
    if (minute - quiet.start_min) % _DAY_MIN >= length:
        return None
    day = local.date() + timedelta(days=1 if minute >= quiet.end_min else 0)
    wall = datetime(day.year, day.month, day.day, quiet.end_min // 60, quiet.end_min % 60, tzinfo=tz)
    # in the hour that the clocks repeat, the later one; at a jump forward, a moment after it
    end = int(max(wall.timestamp(), wall.replace(fold=1).timestamp())) * 1_000_000
    return end if end > at_us else at_us + 60_000_000


def known_zone(name: object) -> bool:
    """Tells whether the time zone database knows the name."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+\-/]{0,63}", name):
        return False
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):  # not found, malformed, or the name of a folder
        return False
    return True


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
