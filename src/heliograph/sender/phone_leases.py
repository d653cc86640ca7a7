"""Leases of phones: heartbeats, take-over and release.

Promise: no attempt starts and no session opens once our lease may have ended, by our own monotonic clock. Attempts that
a former owner left are settled before the phone starts. A phone is released only after its attempts in flight have
ended (2 s). A session that ended unnoticed is opened again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.verdict import interrupted
from heliograph.domain.pacing.next_start import Policy, StartHistory, history_from_rows
from heliograph.ports.provider import Phone, SessionState, Sink
from heliograph.ports.secrets import CannotOpen
from heliograph.ports.stores.lease_store import Fleet, Lease, LeaseRow
from heliograph.ports.stores.sender_store import Settlement
from heliograph.sender.assignment import HeartbeatWatch, assign_phones
from heliograph.sender.deps import SenderDeps
from heliograph.sender.owned_phone import OwnedPhone
from heliograph.sender.send_loop import SendLoop
from heliograph.sender.wait import pause

MARGIN_S = 2.0
DRAIN_S = 2.0
REOPEN_S = 15.0  # not more often for one phone


class PhoneLeases:
    """Phones that this process owns. `place(phone_no)`: its send loop. `leave(phone_no)`: it is not owned any more."""

    def __init__(
        self,
        deps: SenderDeps,
        *,
        place: Callable[[int], SendLoop],
        leave: Callable[[int], None],
        joined: Callable[[Fleet], None],
    ) -> None:
        self._deps = deps
        self._place = place
        self._leave = leave
        self._fleet_seen = joined
        self.sink: Sink | None = None
        self.phones: dict[int, OwnedPhone] = {}
        self.good_until = 0.0
        self.joined = False
        self.stopping = False
        self._watch = HeartbeatWatch()
        self._adopting: dict[int, int] = {}  # phone_no → the token under which its session is being opened
        self._closing: dict[int, asyncio.Task[None]] = {}  # phone_no → its session is being closed
        self._reopened: dict[int, float] = {}  # phone_no → when its session was last opened again
        self._soon = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def beat_soon(self) -> None:
        """Hint of another sender: phones are free."""
        self._soon.set()

    async def run(self) -> None:
        """Sends heartbeats until cancelled, or `stopping`."""
        while not self.stopping:
            try:
                await self._heartbeat()
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away; the lease runs out
                self._deps.log.warning("heartbeat_failed", error=f"{type(error).__name__}: {error}")
            wait_s = self._deps.lease_s / 3
            await pause(self._soon, self._deps.clock, wait_s if self.joined else min(wait_s, 0.5))

    async def leave(self) -> None:
        """Frees all phones for the next owner."""
        held = [_seen(owned) for owned in self.phones.values()]
        for owned in list(self.phones.values()):
            self.drop(owned)
        await self._closed(self._closing)
        try:
            await self._deps.leases.release_leases(self._deps.owner, held)
            await self._deps.leases.remove_sender(self._deps.owner)
            await self._deps.freed()
        except Exception as error:  # noqa: BLE001 - supervised: the lease ends by itself
            self._deps.log.warning("release_failed", error=f"{type(error).__name__}: {error}")

    async def _heartbeat(self) -> None:
        deps = self._deps
        began = deps.clock.monotonic()
        if self.joined and began >= self.good_until:  # we may have been taken for dead: begin anew, under new tokens
            self._drop_all("the lease ran out")
        fleet = await deps.leases.heartbeat(deps.owner, first=not self.joined)
        if not fleet.alive:
            self._drop_all("declared dead by another sender")
            fleet = await deps.leases.heartbeat(deps.owner, first=True)
        if deps.clock.monotonic() - began >= deps.lease_s:
            return  # too late to count as a beat in time
        self.good_until = began + deps.lease_s - min(MARGIN_S, deps.lease_s / 4)
        self.joined = True
        self._fleet_seen(fleet)
        held = {seen.phone_no: seen for seen in fleet.leases if seen.owner == deps.owner}
        for phone_no, owned in list(self.phones.items()):
            if phone_no not in held or held[phone_no].token != owned.token:
                self.drop(owned)
        self._watch.look(fleet, began)
        todo = assign_phones(fleet, deps.owner, self._watch, now=began, ttl_s=deps.lease_s, sole=deps.sole)
        for owner in todo.dead:
            await deps.leases.remove_sender(owner)
        # ours by name, but neither in mind nor being opened; looked for before anything is given up
        stale = [s for s in held.values() if s.phone_no not in self.phones and s.phone_no not in self._adopting]
        if todo.release:
            await self._give_up([seen for seen in todo.release if seen.phone_no in self.phones])
        await self._take([*todo.take, *stale])
        self._open_again(began)

    async def _take(self, wanted: Sequence[LeaseRow]) -> None:
        if not wanted or self.stopping:
            return
        leases = await self._deps.leases.claim_leases(self._deps.owner, wanted)
        self._deps.meter.lease("taken", len(leases))
        for lease in leases:
            self._adopting[lease.phone.phone_no] = lease.token
            self.spawn(self._adopt(lease))

    async def _give_up(self, seen: Sequence[LeaseRow]) -> None:
        """Releases phones for a new sender, after their attempts in flight have ended."""
        leaving = [self.phones[one.phone_no] for one in seen]
        for owned in leaving:
            owned.closing = True
        # the beat waits for this: it must not cost us the lease
        deadline = self._deps.clock.monotonic() + min(DRAIN_S, self._deps.lease_s / 4)
        while any(owned.busy for owned in leaving) and self._deps.clock.monotonic() < deadline:
            await self._deps.clock.sleep(0.01)
        for owned in leaving:
            self.drop(owned)
        await self._closed(one.phone_no for one in seen)
        await self._deps.leases.release_leases(self._deps.owner, seen)
        await self._deps.freed()
        self._deps.meter.lease("released", len(seen))

    async def _adopt(self, lease: Lease) -> None:
        """Settles the attempts that a former owner left, opens the session, then lets the phone start."""
        deps, phone_no = self._deps, lease.phone.phone_no
        owned = None
        try:
            await self._closed([phone_no])
            owned = await self._make_owned(lease)
            if owned is None or self.stopping or lease.token != self._adopting.get(phone_no):
                return  # cannot be driven here, or was taken anew meanwhile
            self.phones[phone_no] = owned
            loop = self._place(phone_no)
            await self._recover(owned, loop)
            if deps.clock.monotonic() >= self.good_until:  # a session of the next owner would be ended by ours
                self.drop(owned)
                return
            loop.add(owned)
            assert self.sink is not None
            owned.opened_at = deps.clock.monotonic()
            await owned.provider.open(owned.phone, self.sink)
        except BaseException:
            if owned is not None:
                self.drop(owned)  # and taken anew at the next beat
            raise
        finally:
            if self._adopting.get(phone_no) == lease.token:
                del self._adopting[phone_no]

    def _open_again(self, now: float) -> None:
        """Opens sessions again that are up by their own word, while the network says that they are down, or are silent.

        Networks accept the last connection. A process that was frozen while it opened a phone ends the session of the
        next owner unnoticed; that owner may not even have heard that its session was up.
        """
        since = max(now - self._deps.lease_s / 3, 0.0)  # the last beat
        for phone_no, owned in self.phones.items():
            denied = owned.session is SessionState.CONNECTED and owned.down_until > since
            mute = owned.session is SessionState.CONNECTING and now - owned.opened_at >= REOPEN_S
            if (
                (denied or mute)
                and phone_no not in self._adopting
                and now - self._reopened.get(phone_no, -REOPEN_S) >= REOPEN_S
            ):
                self._reopened[phone_no] = now
                self._deps.log.info("session_reopened", phone=owned.row.phone_id)
                self._closing[phone_no] = self.spawn(self._reopen(owned, self._closing.get(phone_no)))

    async def _reopen(self, owned: OwnedPhone, before: "asyncio.Task[None] | None") -> None:
        await self._close(owned, before)
        if self.phones.get(owned.row.phone_no) is owned and self.sink is not None:
            await owned.provider.open(owned.phone, self.sink)

    async def _make_owned(self, lease: Lease) -> OwnedPhone | None:
        deps, row = self._deps, lease.phone
        provider = deps.provider(row.provider)
        try:
            config = deps.config(row)
        except CannotOpen as problem:
            await self._say(lease, SessionState.UNAUTHORIZED, str(problem))
            return None
        if provider is None:
            await self._say(lease, SessionState.OFFLINE, f"This gateway cannot drive {row.provider} phones.")
            return None
        policy = deps.policy(row)
        phone = Phone(row.phone_no, row.phone_id, row.number, row.provider, config)
        owned = OwnedPhone(row, lease.token, phone, provider, policy, await self.history(row, policy))
        now, now_us = deps.clock.monotonic(), deps.clock.now_us()
        owned.hold_until = now + max((row.hold_until_us or 0) - now_us, 0) / 1e6
        owned.new_chats_until = now + max((row.new_chats_until_us or 0) - now_us, 0) / 1e6
        return owned

    async def _say(self, lease: Lease, state: SessionState, detail: str) -> None:
        row = lease.phone
        await self._deps.store.set_phone_state(row.org_no, row.phone_no, lease.token, state=state.value, detail=detail)

    async def history(self, row: PhoneRow, policy: Policy) -> StartHistory:
        """Loads the phone's recent starts, so that a new owner keeps the same pace."""
        if policy.free:
            return StartHistory(policy)
        now, now_us = self._deps.clock.monotonic(), self._deps.clock.now_us()
        rows = await self._deps.store.recent_starts(row.org_no, row.phone_no, now_us - round(policy.horizon_s * 1e6))
        return history_from_rows(policy, rows, now=now, now_us=now_us, first_connected_at_us=row.first_connected_at_us)

    async def _recover(self, owned: OwnedPhone, loop: SendLoop) -> None:
        deps, row = self._deps, owned.row
        for job, token in await deps.store.interrupted_jobs(row.org_no, row.phone_no, owned.token):
            verdict = interrupted(
                starts=job.starts,
                honours_client_id=owned.provider.honours_client_id(job.content, job.chat_id),
                limits=deps.limits,
            )
            deps.log.info("recovered", phone=row.phone_id, verdict=verdict.kind, reason=verdict.reason)
            loop.settle(owned, Settlement(job, owned.token, token, verdict))

    def lost(self, phones: Iterable[tuple[int, int]]) -> None:
        """Drops each (phone_no, token) for which a write was refused."""
        for phone_no, token in phones:
            owned = self.phones.get(phone_no)
            if owned is not None and owned.token == token:
                self.drop(owned)

    def _drop_all(self, why: str) -> None:
        if self.phones:
            self._deps.log.warning("phones_dropped", why=why, phones=len(self.phones))
        for owned in list(self.phones.values()):
            self.drop(owned)

    def drop(self, owned: OwnedPhone) -> None:
        owned.closing = True
        if self.phones.get(owned.row.phone_no) is owned:
            del self.phones[owned.row.phone_no]
            self._leave(owned.row.phone_no)
            self._deps.meter.lease("dropped", 1)
            self._closing[owned.row.phone_no] = self.spawn(self._close(owned, self._closing.get(owned.row.phone_no)))

    async def _close(self, owned: OwnedPhone, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        await owned.provider.close(owned.row.phone_no)

    async def _closed(self, phone_nos: Iterable[int]) -> None:
        """Waits until former sessions are closed: a session is opened only after that."""
        if closing := [self._closing[phone_no] for phone_no in phone_nos if phone_no in self._closing]:
            await asyncio.wait(closing)

    def spawn(self, work: Awaitable[None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(self._supervised(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _supervised(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - supervised: one phone's trouble is not the others'
            self._deps.log.warning("phone_failed", error=f"{type(error).__name__}: {error}")


def _seen(owned: OwnedPhone) -> LeaseRow:
    return LeaseRow(owned.row.org_no, owned.row.phone_no, None, owned.token)
