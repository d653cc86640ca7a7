"""A simulated phone that sends under a pacing policy, and a checker that sees only the results.

Run by hand at full size: `python -m tests.domain.pacing.phone_simulation --phones 100 --days 30`.
"""

import argparse
import heapq
import random
import time
from bisect import bisect_left
from collections import defaultdict, deque
from dataclasses import dataclass, field

from heliograph.domain.pacing.next_start import (
    PaceRow,
    Policy,
    StartHistory,
    history_from_rows,
    next_start,
    parse_policy,
)

DAY = 86_400.0


@dataclass
class Sent:
    at: float
    settled: float
    gap: float
    chat: str
    new: bool
    waited_since: float  # since when this very message could have gone, pacing aside


@dataclass
class PhoneSimulation:
    """A phone under a policy. `connected`: when it first connected. `kills`: how often a new owner reads its rows."""

    policy: Policy
    seed: int
    days: float
    connected: float = 0.0
    arrivals_per_hour: float = 80.0
    new_share: float = 0.2
    kills: int = 0
    sent: list[Sent] = field(default_factory=list)

    def run(self) -> list[Sent]:
        policy, dice = self.policy, random.Random(self.seed)
        end = self.days * DAY
        history = StartHistory(policy, connected_at=self.connected)
        rows: list[PaceRow] = []
        known: deque[tuple[float, str]] = deque()
        new: deque[tuple[float, str]] = deque()
        later: list[tuple[float, float, str]] = []  # chats that wait for their own gap
        chats = [f"{n}" for n in range(40)]
        fresh = 0
        now = 0.0
        next_arrival = dice.expovariate(self.arrivals_per_hour / 3600)
        kills = sorted(dice.uniform(0, end) for _ in range(self.kills))
        while now < end:
            while next_arrival <= now:
                if dice.random() < self.new_share:
                    fresh += 1
                    new.append((next_arrival, f"new{fresh}"))
                else:
                    known.append((next_arrival, dice.choice(chats)))
                # a mixed load: busy hours and still ones, and a heap of messages now and then
                rate = self.arrivals_per_hour * (3.0 if int(next_arrival / 3600) % 24 in (9, 10, 11, 17) else 0.5)
                if dice.random() < 0.001:
                    known.extend((next_arrival, dice.choice(chats)) for _ in range(100))
                next_arrival += dice.expovariate(rate / 3600)
            if kills and kills[0] <= now:
                kills.pop(0)
                now_us = int(now * 1e6) + 10**15
                first_us = int(self.connected * 1e6) + 10**15
                horizon_us = now_us - int(policy.horizon_s * 1e6)
                rows = [row for row in rows if row.at_us > horizon_us]
                history = history_from_rows(policy, rows, now=now, now_us=now_us, first_connected_at_us=first_us)
            while later and later[0][0] <= now:
                known.appendleft(heapq.heappop(later)[1:])
            picked, wait = None, next_arrival
            for queue, is_new in ((known, False), (new, True)):
                while queue and picked is None:
                    slot = next_start(policy, history, now, new_chat=is_new)
                    if slot.at > now:
                        wait = min(wait, slot.at)
                        break
                    since, chat = queue[0]
                    own = next_start(policy, history, now, new_chat=is_new, chat=chat)
                    if own.at > now:
                        queue.popleft()
                        heapq.heappush(later, (own.at, since, chat))
                        continue
                    queue.popleft()
                    picked = (since, chat, is_new)
            if picked is None:
                now = min(wait, later[0][0]) if later else wait
                continue
            since, chat, is_new = picked
            rows.append(history.start(now, int(now * 1e6) + 10**15, chat, is_new))
            done = now + (dice.uniform(0.1, 3.0) if policy.max_in_flight == 1 else 0.0)
            gap = policy.gap_s(dice.random())
            history.settle(done, gap, chat)
            self.sent.append(Sent(now, done, gap, chat, is_new, since))
            now = done
        return self.sent


def limit_at(policy: Policy, key: str, age_s: float) -> int | None:
    for step in policy.warm_up:
        if age_s < step.until_day * DAY:
            value: int | None = getattr(step, key)
            return value if value is not None else getattr(policy, key)
    rest: int | None = getattr(policy, key)
    return rest


def check(policy: Policy, sent: list[Sent], connected: float) -> tuple[list[str], float]:
    """Returns every broken rule, and the share of time in which a message waited although every rule allowed it."""
    broken: list[str] = []
    starts = [s.at for s in sent]
    new = [s.at for s in sent if s.new]
    last_of_chat: dict[str, Sent] = {}
    lost = 0.0
    busy = 0.0
    bucket: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, float(policy.chat_burst)))
    new_seen = 0
    for i, s in enumerate(sent):
        tight = [s.waited_since]
        if i and policy.gap_max_s:
            tight.append(sent[i - 1].settled + sent[i - 1].gap)
        elif i and policy.max_in_flight == 1:
            tight.append(sent[i - 1].settled)
        age = s.at - connected
        counts = [("minute", starts, i, policy.per_minute, 60.0)]
        counts += [("hour", starts, i, limit_at(policy, "per_hour", age), 3600.0)]
        counts += [("day", starts, i, limit_at(policy, "per_day", age), DAY)]
        if policy.per_second:
            whole = max(1, int(policy.per_second))
            counts += [("second", starts, i, whole, whole / policy.per_second)]
        if s.new:
            counts += [("new chats", new, new_seen, limit_at(policy, "new_chats_per_day", age), DAY)]
            new_seen += 1
        for name, times, n, limit, window in counts:
            if limit is None:
                continue
            inside = n - bisect_left(times, s.at - window + 1e-6, 0, n)
            if inside >= limit:
                broken.append(f"{name}: {inside + 1} > {limit} at {s.at}")
            if n >= limit:
                tight.append(times[n - limit] + window)
        for step in policy.warm_up:
            tight.append(connected + step.until_day * DAY)
        if policy.chat_gap_s:
            at, left = bucket[s.chat]
            credit = min(policy.chat_burst, left + (s.at - at) / policy.chat_gap_s)
            if credit < 1 - 1e-6:
                broken.append(f"chat {s.chat}: {credit} at {s.at}")
            bucket[s.chat] = (s.at, credit - 1)
            if policy.chat_burst == 1 and (before := last_of_chat.get(s.chat)):
                tight.append(before.settled + policy.chat_gap_s)
            else:
                tight.append(at + (1 - left) * policy.chat_gap_s)
        if policy.gap_max_s and i and s.at < sent[i - 1].settled + sent[i - 1].gap - 1e-6:
            broken.append(f"gap at {s.at}")
        last_of_chat[s.chat] = s
        slack = s.at - max(t for t in tight if t <= s.at + 1e-6)
        previous = sent[i - 1].at if i else 0.0
        busy += s.at - max(previous, min(s.waited_since, s.at))
        lost += max(slack, 0.0)
    return broken, lost / busy if busy else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Pacing over many days: violations, and the share of the pace used")
    parser.add_argument("--phones", type=int, default=100)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--policy", default="linked-new")
    given = parser.parse_args()
    policy = parse_policy(given.policy)
    begun = time.process_time()
    total = violations = 0
    worst = 0.0
    for n in range(given.phones):
        rate = (20.0, 60.0, 120.0, 400.0)[n % 4]
        connected = -DAY * (n % 15)
        simulation = PhoneSimulation(policy, n, given.days, connected, arrivals_per_hour=rate, kills=n % 5)
        broken, lost = check(policy, simulation.run(), simulation.connected)
        total += len(simulation.sent)
        violations += len(broken)
        worst = max(worst, lost)
    spent = time.process_time() - begun
    print(f"{given.policy}: {given.phones} phones × {given.days:g} days, {total} sent, {violations} violations,")
    print(f"at least {100 * (1 - worst):.2f} % of the allowed pace on every phone; {spent:.0f} s of processor time")


if __name__ == "__main__":
    main()
