"""Rates with a burst, by the time at which the next message would have been due (one number a key)."""

from collections import OrderedDict

_KEYS = 200_000


class Rate:
    """`interval_s` between messages of a key, of which `burst` may be borrowed from the future."""

    def __init__(self) -> None:
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now_s: float, *, interval_s: float, burst: float) -> bool:
        """False: over the limit, and nothing was taken."""
        if interval_s <= 0:
            return True
        due = max(self._due.pop(key, now_s), now_s)
        allowed = due - now_s <= interval_s * max(burst - 1, 0)
        self._due[key] = due + interval_s if allowed else due
        while len(self._due) > _KEYS:
            self._due.popitem(last=False)
        return allowed
