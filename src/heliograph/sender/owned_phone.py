"""State of a phone that this process owns, kept by its send loop between two transactions.

After a crash the next owner reads it again from the store.
"""

import math
from dataclasses import dataclass

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.messages.phone_numbers import zones_of
from heliograph.domain.pacing.failure_breaker import Breaker, FailureWatch
from heliograph.domain.pacing.next_start import Policy, StartHistory, next_start, starts_allowed
from heliograph.domain.pacing.quiet_hours import quiet_until
from heliograph.ports.provider import Phone, Provider, SessionState
from heliograph.ports.stores.sender_store import ChatDelay, StartRequest

FOREVER = float("inf")


@dataclass(slots=True, eq=False)
class OwnedPhone:
    """One owned phone. Times are monotonic seconds. `hold_until`: end of the network's throttle. `down_until`: until
    then its session counts as down, unless it reports that it is up. `due_at`: time of the next waiting lane."""

    row: PhoneRow
    token: int
    phone: Phone
    provider: Provider
    policy: Policy
    history: StartHistory
    session: SessionState = SessionState.CONNECTING
    in_flight: int = 0
    starting: bool = False  # a transaction that may start something is under way
    reading: bool = False  # a person changed it, and it is read again
    hold_until: float = 0.0
    down_until: float = 0.0
    new_chats_until: float = 0.0
    due_at: float = FOREVER
    closing: bool = False
    free: bool = False  # no pacing at all
    watch: FailureWatch | None = None
    down_since_us: int | None = None
    opened_at: float = FOREVER

    def __post_init__(self) -> None:
        self.load_pacing(self.policy, self.history)

    def load_pacing(self, policy: Policy, history: StartHistory) -> None:
        self.policy, self.history, self.free = policy, history, policy.free
        # a phone without any pacing (the simulator) may fail as often as it likes
        self.watch = None if policy.free else FailureWatch(Breaker())

    @property
    def busy(self) -> bool:
        return self.starting or self.in_flight > 0

    @property
    def has_room(self) -> bool:
        return self.in_flight < self.provider.capabilities.in_flight

    def start_request(self, now: float, settling: int) -> StartRequest | None:
        """Requests the starts that are possible now, if `settling` attempts are settled in the same transaction;
        None: no start.
        """
        if self.closing or self.row.paused_at_us is not None or self.session is not SessionState.CONNECTED:
            return None
        if now < max(self.hold_until, self.down_until):
            return None
        limit = self.provider.capabilities.in_flight - self.in_flight + settling
        new_limit = limit if now >= self.new_chats_until else 0
        if not self.free:
            limit = min(limit, starts_allowed(self.policy, self.history, now, most=max(limit, 0)))
            new_limit = min(
                new_limit, starts_allowed(self.policy, self.history, now, new_chat=True, most=max(limit, 0))
            )
        if limit <= 0:
            return None
        return StartRequest(
            self.row.phone_no,
            self.row.org_no,
            self.token,
            limit=limit,
            new_limit=max(new_limit, 0),
            paced=not self.free,
            gate=self._gate(now) if self.policy.chat_gap_s or self.policy.quiet else None,
            version=self.row.updated_at_us,
        )

    def _gate(self, now: float) -> ChatDelay:
        policy, history = self.policy, self.history

        def until(chat_id: str, now_us: int) -> int | None:
            wait_s = history.chat_at(chat_id) - now
            found = now_us + math.ceil(wait_s * 1e6) if wait_s > 0 else None
            if policy.quiet is not None:
                morning = quiet_until(policy.quiet, zones_of(chat_id), found or now_us)
                found = morning if morning is not None else found
            return found

        return until

    def new_chat_in_s(self, now: float) -> float:
        """Gives the least waiting time of chats that the phone has not written to before."""
        return max(next_start(self.policy, self.history, now, new_chat=True).at, self.new_chats_until) - now

    def look_again_at(self, now: float) -> float:
        """Gives the time at which the loop checks this phone by itself; FOREVER: only after an event."""
        if self.closing or self.row.paused_at_us is not None or self.session is not SessionState.CONNECTED:
            return FOREVER
        if not self.has_room:
            return FOREVER  # until something settles
        at = self.due_at
        if not self.free and at != FOREVER:
            at = max(at, next_start(self.policy, self.history, now).at)
        return max(at, self.hold_until, self.down_until)
