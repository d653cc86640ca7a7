"""Pacing policy: how fast a phone may send, as a value, and the presets.

The numbers of the presets are our own choice: WhatsApp publishes none for linked devices (docs/explain/pacing.md).
How a policy is read from JSON: domain/pacing/policy_parser.py. What it means: domain/pacing/next_start.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

DAY_S = 86_400.0
HOUR_S = 3_600.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Limits until `until_day` days after the phone first connected; None leaves the policy's own."""

    until_day: int
    per_hour: int | None = None
    per_day: int | None = None
    new_chats_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start_min` to `end_min`, minutes after local midnight of the recipient; the end may lie on the next day.

    `zone`: where recipients have no number of their own (groups) or it tells no zone; None: no quiet hours for those.
    """

    start_min: int
    end_min: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """None (or 0 for gaps) = no such limit. Counts are starts in any window of that length, not in calendar units.

    `gap_min_s` … `gap_max_s`: from the settling of one message to the start of the next, drawn anew each time.
    `chat_gap_s`, `chat_burst`: a chat earns one message each `chat_gap_s`, and may save up `chat_burst` of them.
    `typing_s_per_char`, `typing_max_s`: how long "typing…" is shown before a text, where the provider can.
    """

    name: str = "own"
    gap_min_s: float = 0.0
    gap_max_s: float = 0.0
    per_second: float | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    chat_gap_s: float = 0.0
    chat_burst: int = 1
    new_chats_per_day: int | None = None
    warm_up: tuple[WarmUp, ...] = ()
    typing_s_per_char: float = 0.0
    typing_max_s: float = 0.0
    quiet: QuietHours | None = None
    max_in_flight: int | None = None

    @property
    def at_once(self) -> int | None:
        """Sends that may be under way together. Where there is a gap: one, unless said otherwise."""
        return 1 if self.max_in_flight is None and self.gap_max_s > 0 else self.max_in_flight

    @property
    def free(self) -> bool:
        """True: nothing to count and nothing to wait for; the engine need not ask."""
        return self == Policy(name=self.name)

    @property
    def horizon_s(self) -> float:
        """Gives the time for which a start matters: older rows of the pace log may be pruned."""
        steps = self.warm_up
        windows = [
            DAY_S if self.per_day or self.new_chats_per_day is not None else 0.0,
            DAY_S if any(s.per_day or s.new_chats_per_day is not None for s in steps) else 0.0,
            HOUR_S if self.per_hour or any(s.per_hour for s in steps) else 0.0,
            MINUTE_S if self.per_minute else 0.0,
            second_window(self.per_second)[1] if self.per_second else 0.0,
            self.chat_gap_s * self.chat_burst,
            self.gap_max_s,
        ]
        return max(windows)

    def gap_s(self, chance: float) -> float:
        """The gap after a message; `chance` in [0, 1), drawn by the caller."""
        return self.gap_min_s + (self.gap_max_s - self.gap_min_s) * chance

    def typing_s(self, characters: int) -> float:
        return min(characters * self.typing_s_per_char, self.typing_max_s)


def second_window(per_second: float) -> tuple[int, float]:
    """A rate as a count in a window: 20 → (20, 1.0), 2.5 → (2, 0.8), 0.2 → (1, 5.0)."""
    count = max(1, int(per_second))
    return count, count / per_second


_NONE = Policy(name="none")
_LINKED_NEW = Policy(
    name="linked-new",
    gap_min_s=3.0,
    gap_max_s=8.0,
    per_minute=10,
    per_hour=60,
    per_day=500,
    chat_gap_s=6.0,
    new_chats_per_day=20,
    warm_up=(
        WarmUp(2, per_hour=20, per_day=50, new_chats_per_day=5),
        WarmUp(5, per_hour=40, per_day=200, new_chats_per_day=10),
        WarmUp(10, per_hour=60, per_day=500, new_chats_per_day=15),
    ),
    typing_s_per_char=0.05,
    typing_max_s=5.0,
    max_in_flight=1,
)
_LINKED_WARM = Policy(
    name="linked-warm",
    gap_min_s=2.0,
    gap_max_s=5.0,
    per_minute=15,
    per_hour=120,
    per_day=1_000,
    chat_gap_s=6.0,
    new_chats_per_day=50,
    typing_s_per_char=0.03,
    typing_max_s=3.0,
    max_in_flight=1,
)
_CLOUD = Policy(name="cloud-default", per_second=20.0, chat_gap_s=6.0, chat_burst=5)
PRESETS: Mapping[str, Policy] = {p.name: p for p in (_LINKED_NEW, _LINKED_WARM, _CLOUD, _NONE)}
