"""Assignment of phones to senders: a pure decision from the state of the fleet.

Known weakness: all phones weigh the same, whatever they have to send.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from heliograph.ports.stores.lease_store import Fleet, LeaseRow


@dataclass(slots=True)
class HeartbeatWatch:
    """Age of each sender's heartbeat by our own monotonic clock, so that clocks of machines need not agree."""

    seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def look(self, fleet: Fleet, now: float) -> None:
        fresh = {}
        for owner, beat in fleet.beats.items():
            before = self.seen.get(owner)
            fresh[owner] = before if before is not None and before[0] == beat else (beat, now)
        self.seen = fresh

    def dead(self, owner: str, now: float, ttl_s: float) -> bool:
        """Tells whether a sender's heartbeat stood still for a whole lease, or the sender is not in the fleet."""
        seen = self.seen.get(owner)
        return seen is None or now - seen[1] >= ttl_s


@dataclass(frozen=True, slots=True)
class Assignment:
    take: Sequence[LeaseRow]
    release: Sequence[LeaseRow]
    dead: Sequence[str]


def assign_phones(fleet: Fleet, me: str, watch: HeartbeatWatch, *, now: float, ttl_s: float, sole: bool) -> Assignment:
    """Chooses the phones that `me` takes and gives up. `sole`: no other process can exist, so every other phone is
    free.
    """
    dead = [owner for owner in fleet.beats if owner != me and (sole or watch.dead(owner, now, ttl_s))]
    alive = sorted({me, *(owner for owner in fleet.beats if owner not in dead)})
    mine = [seen for seen in fleet.leases if seen.owner == me]
    free = [
        seen
        for seen in fleet.leases
        if seen.owner is None or (seen.owner != me and (sole or watch.dead(seen.owner, now, ttl_s)))
    ]
    # the first ones in the alphabet take the odd phones, and each takes from behind what those before it lack: all come
    # to the same shares without talking, and no two reach for one phone
    base, odd = divmod(len(fleet.leases), len(alive))
    held = Counter(seen.owner for seen in fleet.leases)
    lacks = [base + (1 if n < odd else 0) - held[owner] for n, owner in enumerate(alive)]
    place = alive.index(me)
    begin, lack = sum(max(each, 0) for each in lacks[:place]), lacks[place]
    return Assignment(take=free[begin : begin + max(lack, 0)], release=mine[lack:] if lack < 0 else [], dead=dead)
