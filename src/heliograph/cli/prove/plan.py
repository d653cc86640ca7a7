"""Values that the parts of a proof exchange: its request and its result."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from heliograph.domain.history_checker import Violation


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """`database_url` None: a SQLite file in `folder`. `stops`: senders frozen past their lease (PostgreSQL only).

    `odd`: some messages go to recipients that misbehave, among them one that knows no ids.
    `inside`: the simulated network runs within the gateway and dies with it; its journal is a file of its own.
    """

    folder: Path
    kills: int
    seed: int
    stops: int = 0
    seconds: float | None = None
    database_url: str | None = None
    senders: int = 1
    rate: float = 120.0
    clients: int = 8
    chats: int = 24
    phones: int = 3
    lease_s: float = 2.0
    odd: bool = True
    inside: bool = False
    control: str | None = None


@dataclass(slots=True)
class Result:
    plan: ProofPlan
    kills: int = 0
    stops: int = 0
    accepted: int = 0
    repeats: int = 0
    pauses: int = 0
    arrived: int = 0
    transmissions: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    recovered: int = 0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def broken(self) -> Counter[str]:
        return Counter(violation.rule for violation in self.violations)

    @property
    def good(self) -> bool:
        """A healthy run keeps every promise; a control run must break one, or the proof sees nothing."""
        return bool(self.violations) if self.plan.control else not self.violations

    def as_json(self) -> dict[str, Any]:
        plan = asdict(self.plan) | {"folder": str(self.plan.folder)}
        plan["database_url"] = "sqlite" if self.plan.database_url is None else "postgresql"
        return {
            "good": self.good,
            "kills": self.kills,
            "stops": self.stops,
            "accepted": self.accepted,
            "repeats": self.repeats,
            "pauses": self.pauses,
            "arrived": self.arrived,
            "transmissions": self.transmissions,
            "recovered": self.recovered,
            "states": dict(self.states),
            "seconds": round(self.seconds, 1),
            "broken": dict(self.broken),
            "violations": [str(violation) for violation in self.violations[:100]],
            "plan": plan,
        }
