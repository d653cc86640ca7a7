"""The sender: its send loops, its leases, and a check of all its phones each second.

Promise: `phone_leases.py` and `send_loop.py` do the work; this module joins them and stops them in order.
Known weakness: a hint that is lost costs a phone up to a second.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from heliograph.domain.jobs.ids import JobId
from heliograph.ports.provider import SessionState
from heliograph.ports.stores.lease_store import Fleet
from heliograph.sender.attempt import LoggedAttempt, SendAttempt
from heliograph.sender.deps import SenderDeps
from heliograph.sender.org_rate_limit import OrgRate
from heliograph.sender.owned_phone import OwnedPhone
from heliograph.sender.phone_leases import DRAIN_S, PhoneLeases
from heliograph.sender.provider_events import ProviderEventSink
from heliograph.sender.send_loop import SendLoop

POLL_INTERVAL_S = 1.0

# phones of one loop before the next is used: two loops overlap their commits, but write smaller transactions
PHONES_PER_LOOP = 50


class Sender:
    """Sender of this process. Implements ports.wake.Wake for the phones it owns."""

    def __init__(self, deps: SenderDeps) -> None:
        self._deps = deps
        self._org_rate = OrgRate(deps.org_per_second)
        self._own = PhoneLeases(deps, place=self._place, leave=self._leave, joined=self._joined)
        self._places: dict[int, int] = {}  # phone_no → index of its loop
        plain = SendAttempt(deps.prepare, deps.store.network_id)
        attempt = LoggedAttempt(plain, deps.log) if deps.log_attempts else plain
        self._loops = [
            SendLoop(
                deps,
                attempt,
                org_rate=self._org_rate,
                good_until=lambda: self._own.good_until,
                lost=self._own.lost,
                changed=self._read_again,
                trip=self._pause,
            )
            for _ in range(1 if deps.org_per_second else deps.loops)  # an organisation's rate is kept by one loop
        ]
        self.events = ProviderEventSink(
            deps, owned=self._own.phones.get, in_flight=self._is_in_flight, changed=self._session
        )
        self._own.sink = self.events

    # -- what others ask

    def phones(self, phone_nos: Iterable[int]) -> None:
        """Hint: these phones may have work."""
        for phone_no in phone_nos:
            self._loop_of(phone_no).look(phone_no)

    def phones_freed(self) -> None:
        """Hint: another sender released phones."""
        self._own.beat_soon()

    @property
    def owned(self) -> Mapping[int, OwnedPhone]:
        return self._own.phones

    @property
    def ready(self) -> bool:
        """True when this process has joined the fleet and its lease is valid."""
        return self._own.joined and self._deps.clock.monotonic() < self._own.good_until

    # -- its life

    async def run(self) -> None:
        """Runs until cancelled; `stop` first, for a hand-over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.events.run())
            for loop in self._loops:
                group.create_task(loop.run())
            group.create_task(self._own.run())
            group.create_task(self._look())

    async def stop(self) -> None:
        """Ends all starts, waits at most 2 s for attempts in flight, and releases the phones."""
        self._own.stopping = True
        await asyncio.gather(*(loop.stop(DRAIN_S) for loop in self._loops))
        await self._own.leave()

    # -- what happens to phones we own

    async def _look(self) -> None:
        """Finds, each second, work of which no hint came, and phones that a person changed."""
        while True:
            await self._deps.clock.sleep(POLL_INTERVAL_S)
            try:
                await self._look_once()
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away
                self._deps.log.warning("look_failed", error=f"{type(error).__name__}: {error}")

    async def _look_once(self) -> None:
        deps = self._deps
        known = [(owned.row.org_no, phone_no) for phone_no, owned in self._own.phones.items()]
        if not known:
            return
        versions = await deps.store.phone_versions(known)
        for phone_no, owned in list(self._own.phones.items()):
            version = versions.get(phone_no)
            if version is None:
                self._own.drop(owned)
            elif version[0] != owned.row.updated_at_us:
                await self._own.spawn(self._changed(owned))  # one phone's trouble is not the others'
        now = deps.clock.monotonic()
        quiet = [
            (owned.row.org_no, n) for n, owned in self._own.phones.items() if owned.has_room and owned.due_at > now
        ]
        due = await deps.store.next_start_times(quiet)
        now_us, now = deps.clock.now_us(), deps.clock.monotonic()
        for phone_no, due_us in due.items():
            if due_us is not None and (found := self._own.phones.get(phone_no)) is not None:
                found.due_at = min(found.due_at, now + max(due_us - now_us, 0) / 1e6)
                if due_us <= now_us:
                    self._loop_of(phone_no).look(phone_no)
                else:
                    self._loop_of(phone_no).set_timer()

    def _read_again(self, owned: OwnedPhone) -> None:
        if not owned.reading:
            owned.reading = True
            self._own.spawn(self._changed(owned))

    async def _changed(self, owned: OwnedPhone) -> None:
        try:
            row = await self._deps.store.phone_row(owned.row.org_no, owned.row.phone_no)
        finally:
            owned.reading = False
        if row is None:
            return  # deleted: the look of each second drops it
        restart = row.restarts != owned.row.restarts
        repaced = row.pacing != owned.row.pacing
        rekeyed = row.config != owned.row.config
        owned.row = row
        if repaced:
            policy = self._deps.policy(row)
            owned.load_pacing(policy, await self._own.history(row, policy))
            owned.history.in_flight = owned.in_flight
        if rekeyed:
            owned.phone = replace(owned.phone, config=self._deps.config(row))
            self._own.spawn(owned.provider.open(owned.phone, self.events))
        elif restart:
            self._own.spawn(owned.provider.restart(row.phone_no))
        self._loop_of(row.phone_no).look(row.phone_no)

    def _session(self, phone_no: int, state: SessionState) -> None:
        self._loop_of(phone_no).session(phone_no, state)
        if (owned := self._own.phones.get(phone_no)) is not None:
            owned.session = state
            self._note_absence(owned, state)
            owned.row = replace(owned.row, state=state.value)
            self._deps.log.info("session", phone=owned.row.phone_id, state=state.value)

    def _note_absence(self, owned: OwnedPhone, state: SessionState) -> None:
        """Pauses a phone after a long absence while messages wait, if the settings ask for it."""
        now_us = self._deps.clock.now_us()
        if owned.row.state != SessionState.CONNECTED and owned.down_since_us is None:
            owned.down_since_us = owned.row.state_at_us
        if state is not SessionState.CONNECTED:
            owned.down_since_us = owned.down_since_us or now_us
            return
        down_us, owned.down_since_us = now_us - (owned.down_since_us or now_us), None
        if 0 < self._deps.approve_after_s * 1_000_000 <= down_us and owned.row.paused_at_us is None:
            owned.row = replace(owned.row, paused_at_us=now_us, paused_by="gateway")  # at once; written if need be
            self._own.spawn(self._ask(owned, down_us / 3.6e9))

    async def _ask(self, owned: OwnedPhone, hours: float) -> None:
        row = owned.row
        waiting = await self._deps.store.next_start_times([(row.org_no, row.phone_no)])
        if waiting.get(row.phone_no) is None:
            owned.row = replace(owned.row, paused_at_us=None, paused_by=None)
            self._loop_of(row.phone_no).look(row.phone_no)
            return
        why = f"It was away for {hours:.1f} h, and messages wait. Look at them, then resume it."
        await self._deps.hold(row.org_no, row.phone_no, why)

    def _pause(self, owned: OwnedPhone, why: str) -> None:
        """Stops all starts of a phone at once, then writes the pause."""
        owned.row = replace(owned.row, paused_at_us=self._deps.clock.now_us(), paused_by="gateway")
        self._deps.log.warning("phone_paused", phone=owned.row.phone_id, why=why)
        self._own.spawn(self._hold(owned, why))

    async def _hold(self, owned: OwnedPhone, why: str) -> None:
        """Writes the pause, until it succeeds: a person can only end a pause that is stored."""
        while not owned.closing:
            try:
                await self._deps.hold(owned.row.org_no, owned.row.phone_no, why)
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away; it is tried again
                self._deps.log.warning("pause_not_written", error=f"{type(error).__name__}: {error}")
                await self._deps.clock.sleep(POLL_INTERVAL_S)
            else:
                return

    def _joined(self, fleet: Fleet) -> None:
        self._org_rate.senders = max(len(fleet.beats), 1)

    def _is_in_flight(self, job_id: JobId) -> bool:
        return any(job_id in loop.in_flight for loop in self._loops)

    def _loop_of(self, phone_no: int) -> SendLoop:
        """Gives the loop that owns the phone; the others ignore calls for it."""
        return self._loops[self._places.get(phone_no, 0)]

    def _place(self, phone_no: int) -> SendLoop:
        """Chooses the first loop with room, or the one with the fewest phones."""
        if phone_no not in self._places:
            everywhere = list(self._places.values())
            taken = [everywhere.count(n) for n in range(len(self._loops))]
            self._places[phone_no] = next(
                (n for n, count in enumerate(taken) if count < PHONES_PER_LOOP), taken.index(min(taken))
            )
        return self._loops[self._places[phone_no]]

    def _leave(self, phone_no: int) -> None:
        self._loop_of(phone_no).remove(phone_no)
        self._places.pop(phone_no, None)
