"""The loop that settles what ended and starts what may start, for some of the phones, one transaction a round.

Whatever ended while the last transaction ran is settled by the next one, together with the starts it makes room for.
Promise: an attempt is made only after `advance` returned it, and only while our lease is good by our own clock.
Known weakness: a defect in a provider ends as an unknown outcome, and is only seen in the log.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Unknown
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import NEVER_TRIED, Limits, Verdict, judge
from heliograph.ports.clock import Chance, Clock
from heliograph.ports.faultpoint import faultpoint
from heliograph.ports.meter import Meter
from heliograph.ports.provider import SessionState
from heliograph.ports.sender_store import SenderStore, SettleAndStartResult, Settlement, Started, StartRequest
from heliograph.sender.attempt import EndedAttempt, LoggedAttempt, SendAttempt
from heliograph.sender.org_rate_limit import OrgRate
from heliograph.sender.owned_phone import FOREVER, OwnedPhone
from heliograph.sender.throttles import PhoneThrottles
from heliograph.sender.wait import pause

ROUND_S = 0.003  # rounds under load begin no closer than this: fewer and larger transactions
# while callers wait for their message to be stored, a round leaves them twice the time that it took itself
BACKPRESSURE_FACTOR = 2.0
MAX_GIVE_WAY_S = 0.1
MIN_PAUSE_S = 0.001  # between two looks at a phone that may not send yet, whatever its reason
RECHECK_S = 0.1
MAX_LOOK_AGAIN_S = 1.0  # for new chats that have to wait: each look is a transaction


class SendLoop:
    """`good_until()`: until when our leases are surely ours, monotonic. `lost((phone_no, token)…)`: not ours any
    more. `changed(phone)`: a person changed it; it starts nothing before it was read again."""

    def __init__(
        self,
        store: SenderStore,
        attempt: SendAttempt | LoggedAttempt,
        clock: Clock,
        *,
        limits: Limits,
        meter: Meter,
        chance: Chance,
        org_rate: OrgRate,
        good_until: Callable[[], float],
        lost: Callable[[Iterable[tuple[int, int]]], None],
        changed: Callable[[OwnedPhone], None],
        pressed: Callable[[], bool],
        trip: Callable[[OwnedPhone, str], None],
        warn: Callable[..., None],
    ) -> None:
        self._store = store
        self._attempt = attempt
        self._clock = clock
        self._limits = limits
        self._meter = meter
        self._chance = chance
        self._org_rate = org_rate
        self._holds = PhoneThrottles(store, clock)
        self._good_until = good_until
        self._lost = lost
        self._changed = changed
        self._pressed = pressed
        self._trip = trip
        self._warn = warn
        self.phones: dict[int, OwnedPhone] = {}
        self.in_flight: dict[JobId, OwnedPhone] = {}
        self._hot: set[int] = set()
        self._ended: list[EndedAttempt] = []
        self._doubtful: set[int] = set()  # phones of a transaction whose answer was lost: it may have started jobs
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, owned: OwnedPhone) -> None:
        self.phones[owned.row.phone_no] = owned
        self.look(owned.row.phone_no)

    def remove(self, phone_no: int) -> None:
        self.phones.pop(phone_no, None)
        self._hot.discard(phone_no)

    def look(self, phone_no: int) -> None:
        """The phone may have something to start."""
        if phone_no in self.phones:
            self._hot.add(phone_no)
            self._wake.set()

    def set_timer(self) -> None:
        """Some phone's `due_at` was changed: how long to wait is reckoned anew."""
        self._wake.set()

    def settle(self, owned: OwnedPhone, settlement: Settlement) -> None:
        """Settles an attempt whose answer nobody waits for: a former owner's, or one that was not made."""
        self._ended.append(EndedAttempt(owned, settlement, None, 0.0))
        self._wake.set()

    async def stop(self, within_s: float) -> None:
        """Starts nothing more; waits for what is in flight and its settlement, at most so long."""
        self._stopping = True
        deadline = self._clock.monotonic() + within_s
        self._wake.set()
        while self._is_busy() and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lease_good(self) -> bool:
        return self._clock.monotonic() < self._good_until()

    def _is_busy(self) -> bool:
        return bool(self.in_flight or self._ended) or any(owned.starting for owned in self.phones.values())

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait()
            self._wake.clear()
            began = self._clock.monotonic()
            try:
                if await self._round():
                    # what ends meanwhile shares the next transaction
                    await self._clock.sleep(self._rest_s(self._clock.monotonic() - began))
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away; it is tried again
                self._warn("sender_round_failed", error=f"{type(error).__name__}: {error}")
                await self._clock.sleep(0.5)
                self._hot.update(self.phones)
                self._wake.set()

    def _rest_s(self, took_s: float) -> float:
        """The pause after a round: nobody loses a message that waits a little here, but one that is not accepted."""
        rest_s = max(ROUND_S - took_s, 0.0)
        return max(rest_s, min(took_s * BACKPRESSURE_FACTOR, MAX_GIVE_WAY_S)) if self._pressed() else rest_s

    async def _wait(self) -> None:
        if self._wake.is_set():
            return
        now = self._clock.monotonic()
        at = min((owned.look_again_at(now) for owned in self.phones.values()), default=FOREVER)
        if now >= self._good_until():
            at = max(at, now + RECHECK_S)  # until the lease is renewed, or the phones are dropped
        if at == FOREVER or self._stopping:
            await self._wake.wait()
            return
        await pause(self._wake, self._clock, max(at - now, MIN_PAUSE_S))
        now = self._clock.monotonic()
        self._hot.update(n for n, owned in self.phones.items() if owned.look_again_at(now) <= now)

    async def _resolve_doubt(self) -> None:
        """Jobs that were started by a transaction whose answer we never got were not tried: they go back."""
        for phone_no in list(self._doubtful):
            owned = self.phones.get(phone_no)
            if owned is not None:
                for job, token in await self._store.interrupted_jobs(owned.row.org_no, phone_no, owned.token):
                    if token == owned.token and job.job_id not in self.in_flight:
                        self.settle(owned, Settlement(job, token, token, NEVER_TRIED))
            self._doubtful.discard(phone_no)

    async def _round(self) -> bool:
        """Runs one transaction; tells whether there was anything to write."""
        if self._doubtful:
            await self._resolve_doubt()
        now = self._clock.monotonic()
        ended, self._ended = self._ended, []
        hot, self._hot = self._hot, set()
        settling: dict[int, int] = {}
        for one in ended:
            if one.outcome is not None:
                phone_no = one.owned.row.phone_no
                settling[phone_no] = settling.get(phone_no, 0) + 1
                self._holds.apply_outcome(one.owned, one.outcome, now=now, others=self.phones.values())
        wishes: list[StartRequest] = []
        room: dict[int, int] = {}  # org_no → how many it may still start
        if not self._stopping and now < self._good_until():
            for phone_no in hot | settling.keys():
                owned = self.phones.get(phone_no)
                if owned is None:
                    continue
                owned.due_at = FOREVER
                wish = owned.wish(now, settling.get(phone_no, 0))
                if wish is not None:
                    wish = self._within_org(owned, wish, room, now)
                    if wish is not None:
                        wishes.append(wish)
                else:
                    owned.due_at = now  # there may be work; look again when the phone may send
        if not ended and not wishes:
            await self._holds.write()  # what the store could not take when it was said
            return False
        starting = [owned for wish in wishes if (owned := self.phones.get(wish.phone_no)) is not None]
        for owned in starting:
            owned.starting = True
        try:
            done = await self._store.settle_and_start([one.settlement for one in ended], wishes)
        except BaseException:
            self._ended = ended + self._ended  # again next time; the guards make it harmless
            self._doubtful.update(wish.phone_no for wish in wishes)
            raise
        finally:
            for owned in starting:
                owned.starting = False
        faultpoint("settle.after")
        self._after(ended, done)
        await self._holds.write()
        return True

    def _within_org(
        self, owned: OwnedPhone, wish: StartRequest, room: dict[int, int], now: float
    ) -> StartRequest | None:
        if not self._org_rate.per_second:
            return wish
        left = room.setdefault(wish.org_no, self._org_rate.room(wish.org_no, now))
        if left <= 0:
            owned.due_at = max(now + MIN_PAUSE_S, self._org_rate.next_at(wish.org_no, now))
            return None
        room[wish.org_no] = left - min(wish.limit, left)
        return msgspec.structs.replace(wish, limit=min(wish.limit, left))

    def _after(self, ended: list[EndedAttempt], done: SettleAndStartResult) -> None:
        now = self._clock.monotonic()
        if done.lost:
            self._lost(done.lost)
        for phone_no in done.changed:
            if (found := self.phones.get(phone_no)) is not None:
                self._changed(found)
        for one, settled in zip(ended, done.settled, strict=False):
            owned, verdict = one.owned, one.settlement.verdict
            if one.outcome is None:
                if self.in_flight.get(one.settlement.job.job_id) is owned:
                    self._release_slot(one.settlement.job.job_id, owned)
                self.look(owned.row.phone_no)
                continue
            self._release_slot(one.settlement.job.job_id, owned)
            if not owned.free:
                owned.history.settle(now, owned.policy.gap_s(self._chance.random()), one.settlement.job.chat_id)
            if settled:
                self._meter.settled(verdict.kind, verdict.reason, one.seconds)
                self._judge(owned, verdict, now)
        now_us = self._clock.now_us()
        self._meter.started([max(now_us - one.job.queued_at_us, 0) / 1e6 for one in done.started])
        for begun in done.started:
            self._org_rate.take(begun.job.org_no, 1, now)
            self._begin(begun)
            if begun.job.phone_no in self.phones:
                self.phones[begun.job.phone_no].due_at = now  # there may be more
        for phone_no, due_us in done.idle.items():
            if (found := self.phones.get(phone_no)) is not None:
                # ready, but not for us now (held by another transaction, or a new chat): not at once again
                due_s = FOREVER if due_us is None else max((due_us - self._clock.now_us()) / 1e6, RECHECK_S)
                if due_us == 0 and not found.free:
                    due_s = min(max(found.new_chat_in_s(now), RECHECK_S), MAX_LOOK_AGAIN_S)
                found.due_at = now + due_s

    def _judge(self, owned: OwnedPhone, verdict: Verdict, now: float) -> None:
        """Many failures in a row of messages look like a number in trouble: a person should look before it goes on."""
        if owned.watch is None or verdict.state not in (State.SENT, State.FAILED):
            return
        if owned.watch.note(now, verdict.state is State.FAILED):
            self._trip(owned, "Many of its last messages failed. Look at why, then resume it.")

    def _release_slot(self, job_id: JobId, owned: OwnedPhone) -> None:
        owned.in_flight -= 1
        if self.in_flight.get(job_id) is owned:
            del self.in_flight[job_id]

    def _begin(self, one: Started) -> None:
        owned = self.phones.get(one.job.phone_no)
        if owned is None or owned.token != one.token:
            return  # lost meanwhile: the next owner recovers it
        owned.in_flight += 1
        self.in_flight[one.job.job_id] = owned
        if self._stopping or owned.closing:
            self._return_unattempted(owned, one)
            return
        if not owned.free:
            owned.history.start(self._clock.monotonic(), self._clock.now_us(), one.job.chat_id, one.new_chat)
        self._spawn(self._send(owned, one))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, owned: OwnedPhone, one: Started) -> None:
        began = self._clock.monotonic()
        try:
            faultpoint("send.before")
            outcome = await self._attempt.make(owned, one.job, ours=self._lease_good)
            faultpoint("send.after")
        except asyncio.CancelledError:
            self._release_slot(one.job.job_id, owned)
            raise
        except Exception as error:  # noqa: BLE001 - supervised: a defect in a provider must not stop the phone
            self._warn("provider_failed", provider=owned.provider.name, error=f"{type(error).__name__}: {error}")
            outcome = Unknown("provider_failed", "The provider's code failed during the attempt.")
        if outcome is None:
            owned.history.settle(self._clock.monotonic())
            self._return_unattempted(owned, one)
            return
        job = one.job
        verdict = judge(
            outcome,
            attempts=job.attempts,
            maybe_sent=job.maybe_sent,
            honours_client_id=owned.provider.honours_client_id(job.content, job.chat_id),
            limits=self._limits,
            jitter=self._chance.uniform(-1, 1),
        )
        settlement = Settlement(job, one.token, one.token, verdict, new_chat=one.new_chat)
        self._ended.append(EndedAttempt(owned, settlement, outcome, self._clock.monotonic() - began))
        self._wake.set()

    def _return_unattempted(self, owned: OwnedPhone, one: Started) -> None:
        """A start that is on disk, but was not tried, goes back; if the phone is another's by now, that is refused."""
        self.settle(owned, Settlement(one.job, one.token, one.token, NEVER_TRIED, new_chat=one.new_chat))

    def session(self, phone_no: int, state: SessionState) -> None:
        if (owned := self.phones.get(phone_no)) is None:
            return
        owned.session = state
        if state is SessionState.CONNECTED:
            owned.down_until = 0.0
            owned.due_at = self._clock.monotonic()
            self.look(phone_no)
