"""Sending rate of an organisation over all its phones; messages beyond it wait.

Each sender keeps an equal part of the rate, so the sum holds whatever the phones do.
Known weakness: a part is not used up by others while one sender has nothing to send, and starts afresh with the
process.
"""

from dataclasses import dataclass, field

BURST_S = 1.0


@dataclass(slots=True)
class OrgRate:
    """Rate of each organisation. `per_second` 0 = off. `senders`: the processes that share it."""

    per_second: float
    senders: int = 1
    _empty_at: dict[int, float] = field(default_factory=dict)  # org_no → when its bucket would be full again

    def room(self, org_no: int, now: float) -> int:
        """Counts the messages that may start now."""
        if not self.per_second:
            return 1_000_000_000
        part = self.per_second / self.senders
        used_s = max(self._empty_at.get(org_no, now) - now, 0.0)
        return int((BURST_S - used_s) * part + 1e-9) if part * BURST_S >= 1 else int(used_s <= 0)

    def take(self, org_no: int, count: int, now: float) -> None:
        if self.per_second:
            part = self.per_second / self.senders
            self._empty_at[org_no] = max(self._empty_at.get(org_no, now), now) + count / part

    def next_at(self, org_no: int, now: float) -> float:
        """Gives the moment at which at least one message may start."""
        part = self.per_second / self.senders
        least_s = 0.0 if part * BURST_S < 1 else BURST_S - 1 / part
        return max(self._empty_at.get(org_no, now) - least_s, now)
