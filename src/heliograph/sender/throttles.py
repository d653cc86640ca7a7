"""Throttles of whole phones: the network asked to wait, or to open no new chats for a time.

A throttle holds at once in this process. It is stored, so that people see the reason and the next owner keeps it.
"""

from collections.abc import Iterable

from heliograph.domain.jobs.outcome import Outcome, Scope, SessionDown, Throttled
from heliograph.ports.clock import Clock
from heliograph.ports.stores.sender_store import SenderStore
from heliograph.sender.owned_phone import OwnedPhone

SESSION_RETRY_S = 5.0  # a session that is down but does not say until when; its own word that it is up comes first
WORTH_WRITING_S = 1.0


class PhoneThrottles:
    def __init__(self, store: SenderStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._unwritten: dict[tuple[int, bool], tuple[OwnedPhone, float, str]] = {}

    def apply_outcome(
        self, owned: OwnedPhone, outcome: Outcome | None, *, now: float, others: Iterable[OwnedPhone]
    ) -> None:
        """Applies an outcome before the next starts. `others`: phones that may share the account at the provider."""
        match outcome:
            case Throttled(scope=Scope.PHONE, retry_after_s=wait_s, detail=why):
                self._hold(owned, now + wait_s, now, why)
            case Throttled(scope=Scope.APP, retry_after_s=wait_s, detail=why):
                for other in others:
                    if other.provider is owned.provider and other.row.org_no == owned.row.org_no:
                        self._hold(other, now + wait_s, now, why)
            case Throttled(scope=Scope.NEW_CHATS, retry_after_s=wait_s, detail=why):
                if now + wait_s > owned.new_chats_until + WORTH_WRITING_S:
                    self._unwritten[owned.row.phone_no, True] = (owned, now + wait_s, why)
                owned.new_chats_until = max(owned.new_chats_until, now + wait_s)
            case SessionDown(retry_after_s=wait_s):  # not written: the next owner's session will say so itself
                owned.down_until = max(owned.down_until, now + (SESSION_RETRY_S if wait_s is None else wait_s))

    def _hold(self, owned: OwnedPhone, until: float, now: float, why: str) -> None:
        if until > owned.hold_until + WORTH_WRITING_S and until > now + WORTH_WRITING_S:
            self._unwritten[owned.row.phone_no, False] = (owned, until, why)
        owned.hold_until = max(owned.hold_until, until)

    async def write(self) -> None:
        """Writes the throttles that are not on disk yet; those that the store cannot take now stay for the next
        call. Refused writes belong to a former owner and are dropped.
        """
        for key, said in list(self._unwritten.items()):
            (phone_no, new_chats_only), (owned, until, why) = key, said
            left_us = round((until - self._clock.monotonic()) * 1e6)
            await self._store.throttle_phone(
                owned.row.org_no,
                phone_no,
                owned.token,
                until_us=self._clock.now_us() + left_us,
                new_chats_only=new_chats_only,
                reason=why,
            )
            if self._unwritten.get(key) is said:
                del self._unwritten[key]
