"""Faults that can be set for every recipient. They stay until they are changed, also over a restart."""

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.domain.errors import Invalid, invalid

MAX_LATENCY_MS = 600_000


class Faults(msgspec.Struct, frozen=True):
    """`transient_rate`: share that is not taken. `lost_answer_rate`: share of the rest whose answer is lost.

    `receipts` False: what arrives meanwhile never gets one. `seed`: the same arrivals meet the same faults.
    """

    latency_ms: int = 0
    transient_rate: float = 0.0
    lost_answer_rate: float = 0.0
    offline: bool = False
    receipts: bool = True
    seed: int | None = None

    @property
    def any(self) -> bool:
        return self.offline or bool(self.latency_ms or self.transient_rate or self.lost_answer_rate)


def changed(before: Faults, wish: Mapping[str, Any]) -> Faults:
    """`before` with what `wish` names; an empty wish puts everything back to normal. Raises Invalid."""
    if not wish:
        return Faults()
    unknown = sorted(set(wish) - set(Faults.__struct_fields__))
    if unknown:
        names = ", ".join(Faults.__struct_fields__)
        raise invalid(unknown[0], f"{unknown[0]} is not a fault; there are {names}")
    for name in ("transient_rate", "lost_answer_rate"):
        if name in wish and not (_is_number(wish[name]) and 0 <= wish[name] <= 1):
            raise _bad(name, "a share from 0 to 1", wish[name])
    for name in ("offline", "receipts"):
        if name in wish and not isinstance(wish[name], bool):
            raise _bad(name, "true or false", wish[name])
    latency = wish.get("latency_ms", 0)
    if not (_is_number(latency) and 0 <= latency <= MAX_LATENCY_MS):
        raise _bad("latency_ms", f"milliseconds from 0 to {MAX_LATENCY_MS}", latency)
    seed = wish.get("seed")
    if not (seed is None or (isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < 1 << 63)):
        raise _bad("seed", "a whole number or null", seed)
    known = dict(wish)
    if "latency_ms" in known:
        known["latency_ms"] = int(latency)
    return msgspec.structs.replace(before, **known)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad(field: str, expected: str, value: object) -> Invalid:
    return invalid(field, f"{field} must be {expected}", value)
