"""Forecast of a message's start: the pace of its phone, run ahead for everything that stands before it.

The first part is played through start by start; what lies beyond it goes at the steady rate of the policy. So the cost
is bounded however long the queue is. Weakness: it knows nothing of messages yet to come in a lane above, of retries, or
of chats that wait for their own gap.
"""

import copy
import math

from heliograph.domain.pacing.next_start import Policy, StartHistory, limit_now, next_start
from heliograph.domain.pacing.policy import DAY_S, HOUR_S, MINUTE_S

PLAYED = 1_500  # starts played through: some 5 ms
_CHANCE = 0.5  # a gap of middling length


def eta(
    policy: Policy,
    history: StartHistory,
    now: float,
    *,
    ahead: int,
    send_s: float,
    in_flight: int = 1,
    new_chat: bool = False,
) -> float:
    """Seconds from now until the message that has `ahead` others before it starts; inf if never.

    `send_s`: how long one attempt takes; `in_flight`: how many are under way at once, where the policy sets no bound.
    """
    abreast = max(min(in_flight, policy.at_once or in_flight), 1)
    if policy.free:
        return ahead * send_s / abreast
    played = _copied(history)
    at = now
    done = 0
    while done < min(ahead, PLAYED):
        at = next_start(policy, played, at).at
        played.start(at, 0, "", False)
        at += send_s / abreast
        played.settle(at, policy.gap_s(_CHANCE))
        done += 1
    if ahead > done:
        at += (ahead - done) * steady_s(policy, played, at, send_s=send_s, in_flight=in_flight)
        # what was sent until then fills the windows as the rate says: nothing more to wait for
        return at - now
    return next_start(policy, played, at, new_chat=new_chat).at - now


def eta_new(policy: Policy, history: StartHistory, now: float, *, ahead: int) -> float:
    """Seconds until a message to a new chat starts that has `ahead` others to new chats before it, by their limit.

    A limit that grows with the phone's age is followed for the first part; what lies beyond goes at its last value.
    """
    played = _copied(history)
    at = now
    for _ in range(min(ahead, PLAYED)):
        at = next_start(policy, played, at, new_chat=True).at
        if math.isinf(at):
            return at
        played.start(at, 0, "", True)
        played.settle(at)
    at = next_start(policy, played, at, new_chat=True).at
    if ahead > PLAYED:
        limit = limit_now(policy, played, at, "new_chats_per_day")
        at += (ahead - PLAYED) * DAY_S / limit if limit else 0.0
    return at - now


def steady_s(policy: Policy, history: StartHistory, now: float, *, send_s: float, in_flight: int = 1) -> float:
    """Seconds a message takes, on average, while there is work."""
    abreast = max(min(in_flight, policy.at_once or in_flight), 1)
    slowest = send_s / abreast + policy.gap_s(_CHANCE)
    if policy.per_second:
        slowest = max(slowest, 1 / policy.per_second)
    if policy.per_minute:
        slowest = max(slowest, MINUTE_S / policy.per_minute)
    for key, window in (("per_hour", HOUR_S), ("per_day", DAY_S)):
        limit = limit_now(policy, history, now, key)
        if limit:
            slowest = max(slowest, window / limit)
    return slowest


def _copied(history: StartHistory) -> StartHistory:
    """The windows and the gap; chats stay behind (each has its own wait)."""
    played = StartHistory(history.policy, connected_at=history.connected_at)
    played.starts = copy.deepcopy(history.starts)
    played.new = copy.deepcopy(history.new)
    played.gap_until = history.gap_until if math.isfinite(history.gap_until) else -math.inf
    return played
