"""Send loop of some of the phones: settles ended attempts and starts the next messages, one transaction a round.

Attempts that end during a transaction are settled by the next one, together with the starts that they make room for.
Promise: an attempt is made only after `settle_and_start` returned it, while our lease is valid by our own clock.
Known weakness: a defect in a provider ends as an unknown outcome and shows only in the log.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Unknown
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import NEVER_TRIED, Verdict, judge
from heliograph.ports.faultpoint import faultpoint
from heliograph.ports.provider import SessionState
from heliograph.ports.stores.sender_store import SettleAndStartResult, Settlement, Started, StartRequest
from heliograph.sender.attempt import EndedAttempt, LoggedAttempt, SendAttempt
from heliograph.sender.deps import SenderDeps
from heliograph.sender.org_rate_limit import OrgRate
from heliograph.sender.owned_phone import FOREVER, OwnedPhone
from heliograph.sender.throttles import PhoneThrottles
from heliograph.sender.wait import pause

ROUND_S = 0.003  # rounds under load begin no closer than this: fewer and larger transactions
# while API callers wait, the loop pauses for twice the time of its last round
BACKPRESSURE_FACTOR = 2.0
MAX_BACKPRESSURE_PAUSE_S = 0.1
MIN_PAUSE_S = 0.001  # between two checks of a phone that may not send yet
RECHECK_S = 0.1
MAX_RECHECK_S = 1.0  # for new chats that must wait: each check is a transaction


class SendLoop:
    """Loop of some phones. `good_until()`: monotonic end of our leases. `lost((phone_no, token)…)`: taken over.
    `changed(phone)`: a person changed it, so that its row must be read again before it starts."""

    def __init__(
        self,
        deps: SenderDeps,
        attempt: SendAttempt | LoggedAttempt,
        *,
        org_rate: OrgRate,
        good_until: Callable[[], float],
        lost: Callable[[Iterable[tuple[int, int]]], None],
        changed: Callable[[OwnedPhone], None],
        trip: Callable[[OwnedPhone, str], None],
    ) -> None:
        self._deps = deps
        self._store = deps.store
        self._clock = deps.clock
        self._attempt = attempt
        self._org_rate = org_rate
        self._throttles = PhoneThrottles(deps.store, deps.clock)
        self._good_until = good_until
        self._lost = lost
        self._changed = changed
        self._trip = trip
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
        """Hint: the phone may have a message to start."""
        if phone_no in self.phones:
            self._hot.add(phone_no)
            self._wake.set()

    def set_timer(self) -> None:
        """Hint: the `due_at` of a phone has changed, so that the loop computes its wait again."""
        self._wake.set()

    def settle(self, owned: OwnedPhone, settlement: Settlement) -> None:
        """Settles an attempt that this loop did not make: a former owner's, or one that was not tried."""
        self._ended.append(EndedAttempt(owned, settlement, None, 0.0))
        self._wake.set()

    async def stop(self, within_s: float) -> None:
        """Ends all starts, and waits at most `within_s` until attempts in flight are settled."""
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
        """Runs rounds until cancelled."""
        while True:
            await self._wait()
            self._wake.clear()
            began = self._clock.monotonic()
            try:
                if await self._round():
                    # attempts that end meanwhile share the next transaction
                    await self._clock.sleep(self._rest_s(self._clock.monotonic() - began))
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away; it is tried again
                self._deps.log.warning("sender_round_failed", error=f"{type(error).__name__}: {error}")
                await self._clock.sleep(0.5)
                self._hot.update(self.phones)
                self._wake.set()

    def _rest_s(self, took_s: float) -> float:
        """Gives the pause after a round, longer while API callers wait: sending may be late, accepting may not."""
        rest_s = max(ROUND_S - took_s, 0.0)
        return (
            max(rest_s, min(took_s * BACKPRESSURE_FACTOR, MAX_BACKPRESSURE_PAUSE_S))
            if self._deps.has_backpressure()
            else rest_s
        )

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
        """Returns jobs that a transaction started whose commit answer was lost: they were not tried."""
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
                self._throttles.apply_outcome(one.owned, one.outcome, now=now, others=self.phones.values())
        requests: list[StartRequest] = []
        room: dict[int, int] = {}  # org_no → how many it may still start
        if not self._stopping and now < self._good_until():
            for phone_no in hot | settling.keys():
                owned = self.phones.get(phone_no)
                if owned is None:
                    continue
                owned.due_at = FOREVER
                request = owned.start_request(now, settling.get(phone_no, 0))
                if request is not None:
                    request = self._within_org(owned, request, room, now)
                    if request is not None:
                        requests.append(request)
                else:
                    owned.due_at = now  # there may be work; look again when the phone may send
        if not ended and not requests:
            await self._throttles.write()  # those that the store could not take before
            return False
        starting = [owned for request in requests if (owned := self.phones.get(request.phone_no)) is not None]
        for owned in starting:
            owned.starting = True
        try:
            done = await self._store.settle_and_start([one.settlement for one in ended], requests)
        except BaseException:
            self._ended = ended + self._ended  # again next time; the guards make it harmless
            self._doubtful.update(request.phone_no for request in requests)
            raise
        finally:
            for owned in starting:
                owned.starting = False
        faultpoint("settle.after")
        self._after(ended, done)
        await self._throttles.write()
        return True

    def _within_org(
        self, owned: OwnedPhone, request: StartRequest, room: dict[int, int], now: float
    ) -> StartRequest | None:
        if not self._org_rate.per_second:
            return request
        left = room.setdefault(request.org_no, self._org_rate.room(request.org_no, now))
        if left <= 0:
            owned.due_at = max(now + MIN_PAUSE_S, self._org_rate.next_at(request.org_no, now))
            return None
        room[request.org_no] = left - min(request.limit, left)
        return msgspec.structs.replace(request, limit=min(request.limit, left))

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
                owned.history.settle(now, owned.policy.gap_s(self._deps.chance.random()), one.settlement.job.chat_id)
            if settled:
                self._deps.meter.settled(verdict.kind, verdict.reason, one.seconds)
                self._judge(owned, verdict, now)
        now_us = self._clock.now_us()
        self._deps.meter.started([max(now_us - one.job.queued_at_us, 0) / 1e6 for one in done.started])
        for begun in done.started:
            self._org_rate.take(begun.job.org_no, 1, now)
            self._begin(begun)
            if begun.job.phone_no in self.phones:
                self.phones[begun.job.phone_no].due_at = now  # there may be more
        for phone_no, due_us in done.idle.items():
            if (found := self.phones.get(phone_no)) is not None:
                # ready, but not for us now: another transaction holds it, or it is a new chat
                due_s = FOREVER if due_us is None else max((due_us - self._clock.now_us()) / 1e6, RECHECK_S)
                if due_us == 0 and not found.free:
                    due_s = min(max(found.new_chat_in_s(now), RECHECK_S), MAX_RECHECK_S)
                found.due_at = now + due_s

    def _judge(self, owned: OwnedPhone, verdict: Verdict, now: float) -> None:
        """Pauses a phone of which many messages failed, until a person has looked at it."""
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
            self._deps.log.warning(
                "provider_failed", provider=owned.provider.name, error=f"{type(error).__name__}: {error}"
            )
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
            limits=self._deps.limits,
            jitter=self._deps.chance.uniform(-1, 1),
        )
        settlement = Settlement(job, one.token, one.token, verdict, new_chat=one.new_chat)
        self._ended.append(EndedAttempt(owned, settlement, outcome, self._clock.monotonic() - began))
        self._wake.set()

    def _return_unattempted(self, owned: OwnedPhone, one: Started) -> None:
        """Returns a start that is on disk but was not tried; the store refuses it if another process owns the phone."""
        self.settle(owned, Settlement(one.job, one.token, one.token, NEVER_TRIED, new_chat=one.new_chat))

    def session(self, phone_no: int, state: SessionState) -> None:
        if (owned := self.phones.get(phone_no)) is None:
            return
        owned.session = state
        if state is SessionState.CONNECTED:
            owned.down_until = 0.0
            owned.due_at = self._clock.monotonic()
            self.look(phone_no)
