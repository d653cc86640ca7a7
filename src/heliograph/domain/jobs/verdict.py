"""Verdict of an attempt's outcome for its job: a pure decision, written by the store in one transaction.

Source: architecture, "State"; interface, "Jobs on the wire" (4 attempts; a throttle or a session down is none).
"""

from dataclasses import dataclass
from typing import assert_never

import msgspec

from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, Scope, SessionDown, Throttled, Unknown
from heliograph.domain.jobs.states import State

POISON_STARTS = 4  # a message during which the process died this often in a row is parked


@dataclass(frozen=True, slots=True)
class Limits:
    max_retries: int = 3
    retry_base_s: float = 2.0
    ack_timeout_s: float = 20.0


class Verdict(msgspec.Struct, frozen=True):
    """`lane_wait_s`: how long the chat's lane stays closed (None: it goes on at once).

    `uncounted`: the attempt is taken back. `maybe_sent` stays on the job once set.
    """

    state: State
    kind: str
    reason: str | None = None
    detail: str | None = None
    lane_wait_s: float | None = None
    uncounted: bool = False
    maybe_sent: bool = False
    ack: int = 0
    provider_message_id: str | None = None


def backoff_s(attempts: int, base_s: float, jitter: float) -> float:
    """Wait after the n-th failed attempt: base × 1, 2, 4 … ± 20 %. `jitter` in [-1, 1].

    >>> backoff_s(3, 2.0, 0.0)
    8.0
    """
    return base_s * float(2 ** min(max(attempts, 1) - 1, 16)) * (1 + 0.2 * jitter)


def judge(
    outcome: Outcome, *, attempts: int, maybe_sent: bool, honours_client_id: bool, limits: Limits, jitter: float
) -> Verdict:
    """The verdict on the attempt numbered `attempts` (the first is 1). `jitter` in [-1, 1], drawn by the caller."""
    match outcome:
        case Accepted():
            return Verdict(State.SENT, "sent", ack=outcome.ack, provider_message_id=outcome.provider_message_id)
        case NotSent():
            if attempts > limits.max_retries:
                return _given_up(outcome.code, outcome.detail, attempts, maybe_sent)
            wait = max(backoff_s(attempts, limits.retry_base_s, jitter), outcome.retry_after_s or 0.0)
            return Verdict(State.QUEUED, "retry", outcome.code, outcome.detail, lane_wait_s=wait)
        case Rejected():
            return Verdict(State.FAILED, "failed", outcome.code, outcome.detail)
        case Throttled():
            held = outcome.retry_after_s if outcome.scope is Scope.CHAT else None
            return Verdict(State.QUEUED, "throttled", outcome.code, outcome.detail, lane_wait_s=held, uncounted=True)
        case SessionDown():
            return Verdict(State.QUEUED, "held", outcome.code, outcome.detail, uncounted=True)
        case Unknown():
            if honours_client_id and not outcome.taken and attempts <= limits.max_retries:
                wait = backoff_s(attempts, limits.retry_base_s, jitter)
                return Verdict(State.QUEUED, "retry", outcome.code, outcome.detail, lane_wait_s=wait, maybe_sent=True)
            wait_s = None if outcome.waited else limits.ack_timeout_s
            return Verdict(
                State.UNCERTAIN, "uncertain", outcome.code, outcome.detail, lane_wait_s=wait_s, maybe_sent=True
            )
        case _:
            assert_never(outcome)


def _given_up(code: str, detail: str, attempts: int, maybe_sent: bool) -> Verdict:
    if maybe_sent:  # an earlier attempt may have arrived: "failed" would be a guess
        return Verdict(State.UNCERTAIN, "uncertain", code, detail, maybe_sent=True)
    return Verdict(State.FAILED, "failed", code, f"{detail} Gave up after {attempts} attempts.")


NEVER_TRIED = Verdict(
    State.QUEUED, "recovered", "interrupted", "Its start was stored, but the attempt was not made.", uncounted=True
)


def unreadable(*, maybe_sent: bool) -> Verdict:
    """The verdict on a message that was started and whose stored content cannot be read: nothing was tried."""
    state, kind = (State.UNCERTAIN, "uncertain") if maybe_sent else (State.FAILED, "failed")
    return Verdict(state, kind, "unreadable", "Its stored content cannot be read.", maybe_sent=maybe_sent)


def interrupted(*, starts: int, honours_client_id: bool, limits: Limits) -> Verdict:
    """The verdict on an attempt whose process died or lost its lease before the answer was stored."""
    if starts >= POISON_STARTS:
        return Verdict(
            State.FAILED,
            "failed",
            "poison",
            f"Parked: the sending process ended {starts} times in a row during this message. It may have arrived.",
            maybe_sent=True,
        )
    detail = "The sending process ended before the answer was stored."
    if honours_client_id:
        return Verdict(State.QUEUED, "recovered", "interrupted", detail, maybe_sent=True)
    return Verdict(
        State.UNCERTAIN, "uncertain", "interrupted", detail, lane_wait_s=limits.ack_timeout_s, maybe_sent=True
    )
