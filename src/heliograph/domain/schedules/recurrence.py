"""Recurrence of a schedule: once, or every n days, weeks or months by the clock of a time zone.

What was decided, where more than one reading is possible:
- A run keeps its wall-clock time: 09:00 stays 09:00 when the clocks change.
- A wall-clock time that the clocks jump over is moved later by the length of the jump (02:30 → 03:30).
- A wall-clock time that comes twice is taken the first time.
- Monthly on a day that a month has not: the last day of that month (31st → 30 April, 28 or 29 February).
- Weeks begin on Monday and are counted from the week of the first run; `days` choose within each counted week.
- With `days`, a first run on another weekday is moved to the first day that fits.
- `ends_us` is inclusive.

Promise: runs rise strictly, and `next_run` gives each exactly once; a pure function of the rule and the moment.
Known weakness: a zone's rules may change by law after a run was shown; the database at the time of asking counts.
"""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from heliograph.domain.errors import invalid
from heliograph.domain.pacing.quiet_hours import known_zone
from heliograph.domain.timestamps import parse_moment

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LAST_YEAR = 2200
_MAX_STEP = {"day": 366, "week": 104, "month": 120}


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Repeat:
    """Every `value` days, weeks or months. `days`: weekdays, Monday = 0 (days and weeks only; empty = any)."""

    every: Every
    value: int = 1
    days: tuple[int, ...] = ()
    ends_us: int | None = None
    zone: str = "UTC"


def next_run(first_us: int, repeat: Repeat | None, after_us: int | None = None) -> int | None:
    """The first run later than `after_us` (None: the first of all), in µs UTC; None if there is none."""
    if repeat is None:
        return first_us if after_us is None or first_us > after_us else None
    zone = ZoneInfo(repeat.zone)
    anchor = _local(first_us, zone)
    begin = anchor.date()
    if after_us is not None:
        # a day earlier: a jump of the clocks can move a run over midnight
        begin = max(begin, _local(after_us, zone).date() - timedelta(days=1))
    for day in _days_from(repeat, anchor.date(), begin):
        at_us = first_us if day == anchor.date() else _moment(day, anchor, zone)
        if repeat.ends_us is not None and at_us > repeat.ends_us:
            return None
        if after_us is None or at_us > after_us:
            return at_us
    return None


def runs(first_us: int, repeat: Repeat | None, after_us: int | None = None) -> Iterator[int]:
    """All runs later than `after_us`, in order."""
    at_us = next_run(first_us, repeat, after_us)
    while at_us is not None:
        yield at_us
        at_us = next_run(first_us, repeat, at_us)


def _days_from(repeat: Repeat, anchor: date, begin: date) -> Iterator[date]:
    """The dates of runs from `begin` on, in order."""
    match repeat.every:
        case Every.DAY:
            yield from _daily(repeat, anchor, begin)
        case Every.WEEK:
            yield from _weekly(repeat, anchor, begin)
        case Every.MONTH:
            yield from _monthly(repeat, anchor, begin)


def _daily(repeat: Repeat, anchor: date, begin: date) -> Iterator[date]:
    day = begin + timedelta(days=-(begin - anchor).days % repeat.value)
    missed = 0
    while day.year < _LAST_YEAR and missed < 7:  # weekdays come round after seven steps, or never
        if not repeat.days or day.weekday() in repeat.days:
            missed = 0
            yield day
        else:
            missed += 1
        day += timedelta(days=repeat.value)


def _weekly(repeat: Repeat, anchor: date, begin: date) -> Iterator[date]:
    days = repeat.days or (anchor.weekday(),)
    monday = anchor - timedelta(days=anchor.weekday())
    weeks = (begin - monday).days // 7
    week = monday + timedelta(weeks=weeks - weeks % repeat.value)
    while week.year < _LAST_YEAR:
        for n in sorted(days):
            day = week + timedelta(days=n)
            if day >= begin:
                yield day
        week += timedelta(weeks=repeat.value)


def _monthly(repeat: Repeat, anchor: date, begin: date) -> Iterator[date]:
    month = anchor.year * 12 + anchor.month - 1
    behind = begin.year * 12 + begin.month - 1 - month
    month += behind - behind % repeat.value
    while month // 12 < _LAST_YEAR:
        year, index = divmod(month, 12)
        day = date(year, index + 1, min(anchor.day, calendar.monthrange(year, index + 1)[1]))
        if day >= begin:
            yield day
        month += repeat.value


def _local(at_us: int, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone(zone)


def _moment(day: date, wall: datetime, zone: ZoneInfo) -> int:
    """`fold=0` is both choices of this page: the first of two, and past a jump by its length."""
    local = datetime(day.year, day.month, day.day, wall.hour, wall.minute, wall.second, wall.microsecond, tzinfo=zone)
    return (local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def parse_repeat(given: object, first_us: int) -> Repeat:
    """`repeat_config` of the contract (2.4). Raises Invalid by field; also for a repetition that never comes."""
    if not isinstance(given, Mapping):
        raise invalid("repeat_config", "repeat_config must be an object with repeat_interval and repeat_value")
    known = {"timezone", "repeat_interval", "repeat_value", "repeat_days", "repeat_ends"}
    for key in given:
        if key not in known:
            raise invalid(str(key), f"{key} is not a field of repeat_config")
    every = given.get("repeat_interval")
    if every not in list(Every):
        raise invalid("repeat_interval", "repeat_interval must be day, week or month", every)
    value = given.get("repeat_value", 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_STEP[str(every)]:
        raise invalid("repeat_value", f"repeat_value must be a whole number from 1 to {_MAX_STEP[str(every)]}", value)
    zone = given.get("timezone") or "UTC"
    if not known_zone(zone):
        raise invalid("timezone", "timezone must be a time zone such as Asia/Kolkata", zone)
    ends = given.get("repeat_ends")
    ends_us = None if ends is None else parse_moment(ends, "repeat_ends")
    repeat = Repeat(Every(every), value, _weekdays(given.get("repeat_days"), every), ends_us, zone)
    if ends_us is not None and ends_us < first_us:
        raise invalid("repeat_ends", "repeat_ends lies before the first run", ends)
    if next_run(first_us, repeat) is None:
        culprit = "repeat_ends" if ends_us is not None else "repeat_days"
        raise invalid(culprit, "No day fits this repetition: it would never run")
    return repeat


def _weekdays(given: Any, every: Any) -> tuple[int, ...]:
    if given is None or given == []:
        return ()
    if not isinstance(given, list) or any(d not in DAYS for d in given) or len(set(given)) != len(given):
        raise invalid("repeat_days", f"repeat_days must be a list of different days out of {', '.join(DAYS)}")
    if every == Every.MONTH:
        raise invalid("repeat_days", "repeat_days goes with repeat_interval day or week, not month")
    return tuple(sorted(DAYS.index(d) for d in given))


def repeat_config(repeat: Repeat, iso_ends: str | None) -> dict[str, Any]:
    """Renders the rule as the contract spells it."""
    return {
        "timezone": repeat.zone,
        "repeat_interval": repeat.every.value,
        "repeat_value": repeat.value,
        "repeat_days": [DAYS[d] for d in repeat.days],
        "repeat_ends": iso_ends,
    }


def in_words(first_us: int, repeat: Repeat | None) -> str:
    """For people: `every week on monday, friday at 09:00 Asia/Kolkata`."""
    if repeat is None:
        return "once"
    unit = repeat.every.value if repeat.value == 1 else f"{repeat.value} {repeat.every.value}s"
    local = _local(first_us, ZoneInfo(repeat.zone))
    days = repeat.days or ((local.weekday(),) if repeat.every is Every.WEEK else ())
    on = f" on {', '.join(DAYS[d] for d in days)}" if days else ""
    if repeat.every is Every.MONTH:
        on = f" on day {local.day}" + (" (or the last)" if local.day > 28 else "")
    until = f" until {_local(repeat.ends_us, ZoneInfo(repeat.zone)):%Y-%m-%d}" if repeat.ends_us is not None else ""
    return f"every {unit}{on} at {local:%H:%M} {repeat.zone}{until}"
