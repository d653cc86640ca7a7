"""Next start of a phone: a pure function of its policy and its recent starts.

Promise: a start that happens no earlier than `next_start` said breaks no limit of the policy, over any window; and no
start is put off longer than the limits need. Each decision costs a fixed number of look-ups; memory is bounded by the
policy's own counts. After a crash the next owner reads the pace log (one `PaceRow` for each start, written in the
transaction of the start) and goes on with the same windows.

Known weakness: rows are kept in wall-clock time. If the machine's clock leaps forward while no process runs, windows
look emptier than they are by as much; leaps while a process runs do not matter (monotonic time). When a policy is
loosened to longer windows, starts that were pruned under the old one are not counted.

Use, by the sender:
    slot = next_start(policy, history, now)              # slot.at ≤ now: may start
    row = history.start(now, now_us, chat, new_chat)     # persist `row` together with the start
    history.settle(now, policy.gap_s(chance), chat)      # the gap runs from here
"""

import math
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from heliograph.domain.pacing.policy import DAY_S, HOUR_S, MINUTE_S, PRESETS, Policy, QuietHours, WarmUp, second_window
from heliograph.domain.pacing.policy_parser import parse_policy, policy_text

__all__ = [
    "PRESETS",
    "NextStart",
    "PaceRow",
    "Policy",
    "QuietHours",
    "StartHistory",
    "WarmUp",
    "history_from_rows",
    "next_start",
    "parse_policy",
    "policy_text",
    "starts_allowed",
]

NEVER = math.inf


class NextStart(NamedTuple):
    """Earliest start, monotonic seconds (never before now), and the rule that binds (None: nothing holds it back).

    Rules: in_flight, gap, per_second, per_minute, per_hour, per_day, new_chats, chat_gap. `at` is inf under in_flight
    (until something settles) and where a policy allows no new chats at all.
    """

    at: float
    rule: str | None


class PaceRow(NamedTuple):
    """A start as it is kept: the phone's rows of the last `policy.horizon_s` are what a new owner needs."""

    at_us: int
    chat_id: str
    new_chat: bool


class _Recent:
    """The last `size` times, in order: the k-th last in O(1), a count since a moment in O(log size)."""

    __slots__ = ("_next", "_times", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._times = array("d")
        self._next = 0  # where the oldest stands once the ring is full

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, n: int) -> float:
        """n-th oldest (bisect reads it so)."""
        return self._times[(self._next + n) % len(self._times)]

    def add(self, at: float) -> None:
        if self.size == 0:
            return
        if len(self._times):
            at = max(at, self[len(self._times) - 1])
        if len(self._times) < self.size:
            self._times.append(at)
        else:
            self._times[self._next] = at
            self._next = (self._next + 1) % self.size

    def last(self, k: int) -> float:
        """The k-th last (1 = newest); -inf if there were fewer."""
        return self[len(self._times) - k] if 0 < k <= len(self._times) else -math.inf

    def count_after(self, moment: float) -> int:
        return len(self._times) - bisect_right(self, moment)


class StartHistory:
    """Recent starts of a phone, in monotonic seconds. `connected_at`: its first connection (negative: before start).

    In flight = started and not settled. A new owner begins with none: it settles what it found in `sending` first.
    """

    __slots__ = ("_chats", "connected_at", "gap_until", "in_flight", "new", "policy", "starts")

    def __init__(self, policy: Policy, *, connected_at: float | None = None) -> None:
        steps = policy.warm_up
        counts = [policy.per_minute, policy.per_hour, policy.per_day]
        counts += [n for s in steps for n in (s.per_hour, s.per_day)]
        if policy.per_second:
            counts.append(second_window(policy.per_second)[0])
        new = [policy.new_chats_per_day, *(s.new_chats_per_day for s in steps)]
        self.policy = policy
        self.connected_at = connected_at
        self.starts = _Recent(max((n for n in counts if n), default=0))
        self.new = _Recent(max((n for n in new if n), default=0))
        self.gap_until = -math.inf
        self.in_flight = 0
        # for each chat: when its credit is full again (a bucket as one number)
        self._chats: OrderedDict[str, float] = OrderedDict()

    def start(self, now: float, now_us: int, chat_id: str, new_chat: bool) -> PaceRow:
        """Counts a start. Give the row to the store in the same transaction as the start itself."""
        self._count(now, chat_id, new_chat)
        self.in_flight += 1
        return PaceRow(now_us, chat_id, new_chat)

    def settle(self, now: float, gap_s: float = 0.0, chat_id: str | None = None) -> None:
        """Counts an end, whatever the outcome; the gap to the next start runs from now."""
        self.in_flight = max(self.in_flight - 1, 0)
        self.gap_until = max(self.gap_until, now + gap_s)
        policy = self.policy
        if chat_id is not None and policy.chat_gap_s and policy.chat_burst == 1:
            self._chats[chat_id] = max(self._chats.get(chat_id, now), now + policy.chat_gap_s)
            self._chats.move_to_end(chat_id)

    def chat_at(self, chat_id: str) -> float:
        """From when the chat may have its next message; -inf if at any time."""
        full_at = self._chats.get(chat_id)
        return -math.inf if full_at is None else full_at - (self.policy.chat_burst - 1) * self.policy.chat_gap_s

    def _count(self, at: float, chat_id: str, new_chat: bool) -> None:
        self.starts.add(at)
        if new_chat:
            self.new.add(at)
        policy = self.policy
        if not policy.chat_gap_s:
            return
        chats = self._chats
        while chats and next(iter(chats.values())) <= at:
            chats.popitem(last=False)
        chats[chat_id] = max(chats.get(chat_id, at), at) + policy.chat_gap_s
        chats.move_to_end(chat_id)


def next_start(
    policy: Policy, history: StartHistory, now: float, *, new_chat: bool = False, chat: str | None = None
) -> NextStart:
    """The earliest moment at which a message may start, and the rule that sets it.

    Each rule, left alone, allows everything after some moment; the latest of these moments is the answer.
    """
    if policy.at_once is not None and history.in_flight >= policy.at_once:
        return NextStart(NEVER, "in_flight")
    at, rule = now, None
    for name, moment in _moments(policy, history, now, new_chat, chat):
        if moment > at:
            at, rule = moment, name
    return NextStart(at, rule)


def starts_allowed(
    policy: Policy, history: StartHistory, now: float, *, new_chat: bool = False, most: int = 1_000
) -> int:
    """Counts the messages that may start at this moment (chats aside: `history.chat_at`), at most `most`.

    With a gap that is one at most, since the gap runs from a settle.
    """
    if next_start(policy, history, now, new_chat=new_chat).at > now:
        return 0
    if policy.at_once is not None:
        most = min(most, policy.at_once - history.in_flight)
    if policy.gap_max_s > 0:
        most = min(most, 1)
    for recent, limit, window in _windows(policy, history, now, new_chat):
        if limit is not None:
            most = min(most, limit - recent.count_after(now - window))
    return max(most, 0)


def _moments(
    policy: Policy, history: StartHistory, now: float, new_chat: bool, chat: str | None
) -> Iterable[tuple[str, float]]:
    starts = history.starts
    yield "gap", history.gap_until
    if policy.per_second:
        count, window = second_window(policy.per_second)
        yield "per_second", starts.last(count) + window
    if policy.per_minute:
        yield "per_minute", starts.last(policy.per_minute) + MINUTE_S
    yield "per_hour", _warming(policy, history, now, starts, "per_hour", HOUR_S)
    yield "per_day", _warming(policy, history, now, starts, "per_day", DAY_S)
    if new_chat:
        yield "new_chats", _warming(policy, history, now, history.new, "new_chats_per_day", DAY_S)
    if chat is not None:
        yield "chat_gap", history.chat_at(chat)


def _warming(policy: Policy, history: StartHistory, now: float, recent: _Recent, key: str, window: float) -> float:
    """The earliest moment under a limit that rises with the phone's age."""
    connected_at = now if history.connected_at is None else history.connected_at
    begins = -math.inf
    for step in policy.warm_up:
        ends = connected_at + step.until_day * DAY_S
        if ends <= now:
            continue
        own: int | None = getattr(step, key)
        limit = own if own is not None else getattr(policy, key)
        moment = max(begins, _freed(recent, limit, window))
        if max(moment, now) < ends:
            return moment
        begins = ends
    return max(begins, _freed(recent, getattr(policy, key), window))


def _freed(recent: _Recent, limit: int | None, window: float) -> float:
    if limit is None:
        return -math.inf
    return NEVER if limit == 0 else recent.last(limit) + window


def _windows(
    policy: Policy, history: StartHistory, now: float, new_chat: bool
) -> Iterable[tuple[_Recent, int | None, float]]:
    if policy.per_second:
        yield history.starts, *second_window(policy.per_second)
    yield history.starts, policy.per_minute, MINUTE_S
    yield history.starts, limit_now(policy, history, now, "per_hour"), HOUR_S
    yield history.starts, limit_now(policy, history, now, "per_day"), DAY_S
    if new_chat:
        yield history.new, limit_now(policy, history, now, "new_chats_per_day"), DAY_S


def limit_now(policy: Policy, history: StartHistory, now: float, key: str) -> int | None:
    """`per_hour`, `per_day` or `new_chats_per_day` as it stands at the phone's present age."""
    connected_at = now if history.connected_at is None else history.connected_at
    for step in policy.warm_up:
        if now < connected_at + step.until_day * DAY_S:
            own: int | None = getattr(step, key)
            if own is not None:
                return own
            break
    limit: int | None = getattr(policy, key)
    return limit


def history_from_rows(
    policy: Policy, rows: Iterable[PaceRow], *, now: float, now_us: int, first_connected_at_us: int | None = None
) -> StartHistory:
    """The history of a phone whose owner is new, from its rows in any order.

    When the last message settled is not known: the longest gap is kept once, counted from now.
    """
    connected_at = None if first_connected_at_us is None else now - max(now_us - first_connected_at_us, 0) / 1e6
    history = StartHistory(policy, connected_at=connected_at)
    seen = False
    for row in sorted(rows):
        age_s = max(now_us - row.at_us, 0) / 1e6
        if age_s < policy.horizon_s:
            history._count(now - age_s, row.chat_id, row.new_chat)
            seen = True
    if seen and policy.gap_max_s:
        history.gap_until = now + policy.gap_max_s
    return history
