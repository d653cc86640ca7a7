"""A pacing policy as text: a preset's name, or JSON, read strictly.

Promise: a policy that was read here is consistent (no negative, contradictory or unknown field); whoever wrote it is
told every wrong field by name.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from heliograph.domain.errors import Invalid
from heliograph.domain.pacing.policy import DAY_S, PRESETS, Policy, QuietHours, WarmUp
from heliograph.domain.pacing.quiet_hours import known_zone

MAX_COUNT = 200_000  # a window keeps one time stamp for each start it may hold


def parse_policy(text: str, field: str = "pacing") -> Policy:
    """A preset's name, or a JSON object of Policy's fields with an optional `base` preset. Raises Invalid.

    >>> parse_policy('{"base": "linked-warm", "per_hour": 40}').per_hour
    40
    """
    if (preset := PRESETS.get(text.strip())) is not None:
        return preset
    known = ", ".join(PRESETS)
    if not text.lstrip().startswith("{"):
        raise _refuse({field: f"{field} must be one of {known}, or a policy as a JSON object"})
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise _refuse({field: f"{field} is not valid JSON"}) from None
    return _from_object(given, field)


def policy_text(policy: Policy) -> str:
    """Writes a text that `parse_policy` reads as the same policy."""
    if PRESETS.get(policy.name) == policy:
        return policy.name
    out: dict[str, Any] = {}
    for f in fields(Policy):
        value = getattr(policy, f.name)
        if f.name in ("quiet", "warm_up", "name") or value == f.default:
            continue
        out[f.name] = value
    if policy.warm_up:
        out["warm_up"] = [
            {f.name: v for f in fields(WarmUp) if (v := getattr(step, f.name)) is not None} for step in policy.warm_up
        ]
    if policy.quiet:
        out["quiet_hours"] = {"start": _clock(policy.quiet.start_min), "end": _clock(policy.quiet.end_min)}
        if policy.quiet.zone:
            out["quiet_hours"]["zone"] = policy.quiet.zone
    return json.dumps(out)


_NUMBERS: Mapping[str, tuple[float, float]] = {
    "gap_min_s": (0, 3600),
    "gap_max_s": (0, 3600),
    "per_second": (0.01, 1000),
    "chat_gap_s": (0, DAY_S),
    "typing_s_per_char": (0, 1),
    "typing_max_s": (0, 60),
}
_COUNTS: Mapping[str, tuple[int, int]] = {
    "per_minute": (1, MAX_COUNT),
    "per_hour": (1, MAX_COUNT),
    "per_day": (1, MAX_COUNT),
    "chat_burst": (1, 1000),
    "new_chats_per_day": (0, MAX_COUNT),
    "max_in_flight": (1, 1000),
}
_MAY_BE_NULL = frozenset({"per_second", "per_minute", "per_hour", "per_day", "new_chats_per_day", "max_in_flight"})


def _from_object(given: Mapping[str, Any], field: str) -> Policy:
    wrong: dict[str, str] = {}
    base = given.get("base", "none")
    policy = PRESETS.get(base) if isinstance(base, str) else None
    if policy is None:
        wrong["base"] = f"base must be one of {', '.join(PRESETS)}"
        policy = PRESETS["none"]
    taken: dict[str, Any] = {}
    for key, value in given.items():
        if key == "base":
            continue
        if value is None and key in _MAY_BE_NULL:
            taken[key] = None
        elif key in _NUMBERS:
            low, high = _NUMBERS[key]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                wrong[key] = f"{key} must be a number from {low:g} to {high:g}"
            else:
                taken[key] = float(value)
        elif key in _COUNTS:
            if (text := _bad_count(key, value)) is not None:
                wrong[key] = text
            else:
                taken[key] = value
        elif key == "warm_up":
            taken[key] = _warm_up(value, wrong)
        elif key == "quiet_hours":
            taken["quiet"] = _quiet(value, wrong)
        else:
            wrong[key] = f"{key} is not a field of a pacing policy"
    policy = replace(policy, name="own", **{k: v for k, v in taken.items() if k not in wrong})
    _check_together(policy, wrong)
    if wrong:
        raise _refuse(wrong, f"{field} is not a usable policy: ")
    return policy


def _bad_count(key: str, value: Any) -> str | None:
    low, high = _COUNTS[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        return f"{key} must be a whole number from {low} to {high}"
    return None


def _warm_up(value: Any, wrong: dict[str, str]) -> tuple[WarmUp, ...]:
    names = {f.name for f in fields(WarmUp)}
    steps: list[WarmUp] = []
    if not isinstance(value, list) or len(value) > 100:
        wrong["warm_up"] = "warm_up must be a list of at most 100 steps"
        return ()
    for n, step in enumerate(value):
        if not isinstance(step, dict) or not set(step) <= names or "until_day" not in step:
            wrong["warm_up"] = f"warm_up[{n}] must be an object with until_day and any of {', '.join(sorted(names))}"
            return ()
        day = step["until_day"]
        if isinstance(day, bool) or not isinstance(day, int) or not 1 <= day <= 3650:
            wrong["warm_up"] = f"warm_up[{n}].until_day must be a whole number of days from 1 to 3650"
            return ()
        for key in names - {"until_day"}:
            if step.get(key) is not None and (text := _bad_count(key, step[key])) is not None:
                wrong["warm_up"] = f"warm_up[{n}].{text}"
                return ()
        steps.append(WarmUp(**step))
    return tuple(steps)


def _quiet(value: Any, wrong: dict[str, str]) -> QuietHours | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not {"start", "end"} <= set(value) <= {"start", "end", "zone"}:
        wrong["quiet_hours"] = 'quiet_hours must be an object such as {"start": "21:00", "end": "08:00"}'
        return None
    start, end = _minutes(value["start"]), _minutes(value["end"])
    if start is None or end is None or start == end:
        wrong["quiet_hours"] = "quiet_hours.start and quiet_hours.end must be two different times such as 21:00"
        return None
    zone = value.get("zone")
    if zone is not None and not known_zone(zone):
        wrong["quiet_hours"] = "quiet_hours.zone must be a time zone such as Asia/Kolkata"
        return None
    return QuietHours(start, end, zone)


def _minutes(text: object) -> int | None:
    match = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text, re.ASCII) if isinstance(text, str) else None
    return int(match[1]) * 60 + int(match[2]) if match else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _check_together(policy: Policy, wrong: dict[str, str]) -> None:
    if policy.gap_min_s > policy.gap_max_s:
        wrong.setdefault("gap_max_s", "gap_max_s must not be below gap_min_s")
    if policy.chat_burst > 1 and policy.chat_gap_s == 0:
        wrong.setdefault("chat_burst", "chat_burst needs chat_gap_s")
    last_day = 0
    # limits may only rise with time: then "the earliest moment" of each rule is one number
    for n, step in enumerate(policy.warm_up):
        if step.until_day <= last_day:
            wrong.setdefault("warm_up", f"warm_up[{n}].until_day must be above the one before")
        last_day = step.until_day
    for key in ("per_hour", "per_day", "new_chats_per_day"):
        before = -1.0
        for value in [getattr(step, key) for step in policy.warm_up] + [getattr(policy, key)]:
            # None inside the table means the policy's own limit
            number = value if value is not None else getattr(policy, key)
            effective = float("inf") if number is None else float(number)
            if effective < before:
                wrong.setdefault("warm_up", f"warm_up must not lower {key} from one step to the next")
            before = effective


def _refuse(wrong: Mapping[str, str], lead: str = "") -> Invalid:
    shown = {key: {"message": text, "value": None} for key, text in wrong.items()}
    return Invalid(lead + next(iter(wrong.values())), fields=shown)
