"""The sender: owns phones, runs their shards, listens to their sessions, and looks around each second.

Promise: stops sending before its lease can end, by its own monotonic clock; hands its phones over when it is told to
stop; after a crash the next owner settles what stood in `sending` before it starts anything.
Known weakness: a provider whose `open` hangs holds up only its own phone.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from heliograph.domain.ids import JobId
from heliograph.domain.job import PhoneRow
from heliograph.domain.pacing import History, Policy, load
from heliograph.domain.verdict import Limits, interrupted
from heliograph.ports.clock import Chance, Clock
from heliograph.ports.engine import Engine, Lease, Seen, Settlement
from heliograph.ports.meter import Meter
from heliograph.ports.provider import Phone, Provider, SessionState
from heliograph.sender.attempt import Attempt, Prepare
from heliograph.sender.inflow import Inflow
from heliograph.sender.org_rate import OrgRate
from heliograph.sender.owned import Owned
from heliograph.sender.shard import Shard
from heliograph.sender.share import Watch, plan

LOOK_S = 1.0
MARGIN_S = 2.0
DRAIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDeps:
    """`provider(name)`: None = this build cannot drive it. `policy(row)`: the phone's pacing. `config(row)`:
    decrypted."""

    store: Engine
    clock: Clock
    meter: Meter
    chance: Chance
    limits: Limits
    lease_s: float
    owner: str
    sole: bool
    shards: int
    org_per_second: float = 0.0
    provider: Callable[[str], Provider | None]
    policy: Callable[[PhoneRow], Policy]
    config: Callable[[PhoneRow], Mapping[str, object]]
    prepare: Prepare
    log: Callable[..., None]


class Sender:
    """Implements ports.wake.Wake for the phones it owns."""

    def __init__(self, deps: SenderDeps) -> None:
        self._deps = deps
        self._good_until = 0.0
        self._watch = Watch()
        self._owned: dict[int, Owned] = {}
        self._joined = False
        self._stopping = False
        # each shard keeps its part
        self._org_rates = [OrgRate(deps.org_per_second / deps.shards) for _ in range(deps.shards)]
        self._shards = [
            Shard(
                deps.store,
                Attempt(deps.prepare, deps.store.network_id),
                deps.clock,
                limits=deps.limits,
                meter=deps.meter,
                chance=deps.chance,
                org_rate=rate,
                good_until=lambda: self._good_until,
                lost=self._lost,
                log=deps.log,
            )
            for rate in self._org_rates
        ]
        self.inflow = Inflow(
            deps.store,
            deps.clock,
            deps.meter,
            owned=self._owned.get,
            under_way=self._under_way,
            changed=self._session,
            log=deps.log,
        )
        self._dropped: list[Owned] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what others ask

    def phones(self, phone_nos: Iterable[int]) -> None:
        """A hint: these phones may have work."""
        for phone_no in phone_nos:
            self._shard(phone_no).look(phone_no)

    @property
    def owned(self) -> Mapping[int, Owned]:
        return self._owned

    @property
    def ready(self) -> bool:
        """It has joined the fleet and its lease is good."""
        return self._joined and self._deps.clock.monotonic() < self._good_until

    # -- its life

    async def run(self) -> None:
        """Until cancelled; `stop` first, for a hand-over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.inflow.run())
            for shard in self._shards:
                group.create_task(shard.run())
            group.create_task(self._own())
            group.create_task(self._look())

    async def stop(self) -> None:
        """Starts nothing more, waits at most 2 s for what is in flight, and frees the phones for the next owner."""
        self._stopping = True
        await asyncio.gather(*(shard.stop(DRAIN_S) for shard in self._shards))
        held = [_seen(owned) for owned in self._owned.values()]
        for owned in list(self._owned.values()):
            self._drop(owned)
        await self._close_dropped()
        try:
            await self._deps.store.release(self._deps.owner, held)
            await self._deps.store.forget(self._deps.owner)
        except Exception as error:  # noqa: BLE001 - supervised: the lease ends by itself
            self._deps.log("release_failed", error=f"{type(error).__name__}: {error}")

    # -- ownership

    async def _own(self) -> None:
        while not self._stopping:
            try:
                await self._beat()
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away; the lease runs out
                self._deps.log("heartbeat_failed", error=f"{type(error).__name__}: {error}")
            await self._close_dropped()
            pause = self._deps.lease_s / 3
            await self._deps.clock.sleep(pause if self._joined else min(pause, 0.5))

    async def _beat(self) -> None:
        deps = self._deps
        began = deps.clock.monotonic()
        lapsed = self._joined and began >= self._good_until
        if lapsed:  # we may have been taken for dead: begin anew, under new tokens
            self._drop_all("the lease ran out")
        fleet = await deps.store.heartbeat(deps.owner, first=not self._joined)
        if not fleet.alive:
            self._drop_all("declared dead by another sender")
            fleet = await deps.store.heartbeat(deps.owner, first=True)
        if deps.clock.monotonic() - began >= deps.lease_s:
            return  # too late to count as a beat in time
        self._good_until = began + deps.lease_s - min(MARGIN_S, deps.lease_s / 4)
        self._joined = True
        held = {seen.phone_no: seen for seen in fleet.leases if seen.owner == deps.owner}
        for phone_no, owned in list(self._owned.items()):
            if phone_no not in held or held[phone_no].token != owned.token:
                self._drop(owned)
        self._watch.look(fleet, began)
        for rate in self._org_rates:
            rate.senders = max(len(fleet.beats), 1)
        todo = plan(fleet, deps.owner, self._watch, now=began, ttl_s=deps.lease_s, sole=deps.sole)
        for owner in todo.dead:
            await deps.store.forget(owner)
        stale = [seen for seen in held.values() if seen.phone_no not in self._owned]  # ours by name, not in mind
        if todo.release:
            await self._give_up([seen for seen in todo.release if seen.phone_no in self._owned])
        take = [*todo.take, *stale]
        if take and not self._stopping:
            leases = await deps.store.take(deps.owner, take)
            deps.meter.lease("taken", len(leases))
            for lease in leases:
                self._spawn(self._adopt(lease))

    async def _give_up(self, seen: Sequence[Seen]) -> None:
        """For a new sender: first nothing more starts, then what is in flight ends, then the lease is free."""
        leaving = [self._owned[one.phone_no] for one in seen]
        for owned in leaving:
            owned.closing = True
        deadline = self._deps.clock.monotonic() + DRAIN_S
        while any(owned.in_flight for owned in leaving) and self._deps.clock.monotonic() < deadline:
            await self._deps.clock.sleep(0.01)
        for owned in leaving:
            self._drop(owned)
        await self._close_dropped()
        await self._deps.store.release(self._deps.owner, seen)
        self._deps.meter.lease("released", len(seen))

    async def _adopt(self, lease: Lease) -> None:
        """Opens the session, settles what a former owner left in the middle, then lets the phone start."""
        deps, row = self._deps, lease.phone
        provider = deps.provider(row.provider)
        if provider is None:
            detail = f"This gateway cannot drive {row.provider} phones."
            await deps.store.phone_state(row.org_no, row.phone_no, lease.token, state="offline", detail=detail)
            return
        policy = deps.policy(row)
        history = await self._history(row, policy)
        phone = Phone(row.phone_no, row.phone_id, row.number, row.provider, deps.config(row))
        owned = Owned(row, lease.token, phone, provider, policy, history)
        now, now_us = deps.clock.monotonic(), deps.clock.now_us()
        owned.hold_until = now + max((row.hold_until_us or 0) - now_us, 0) / 1e6
        owned.new_chats_until = now + max((row.new_chats_until_us or 0) - now_us, 0) / 1e6
        if lease.token < self._token(row.phone_no):
            return  # taken anew meanwhile
        self._owned[row.phone_no] = owned
        shard = self._shard(row.phone_no)
        await self._recover(owned, shard)
        shard.add(owned)
        await provider.open(phone, self.inflow)

    async def _history(self, row: PhoneRow, policy: Policy) -> History:
        """What the phone sent lately, so that a new owner goes on at the same pace."""
        if policy.free:
            return History(policy)
        now, now_us = self._deps.clock.monotonic(), self._deps.clock.now_us()
        rows = await self._deps.store.pace(row.org_no, row.phone_no, now_us - round(policy.horizon_s * 1e6))
        return load(policy, rows, now=now, now_us=now_us, first_connected_at_us=row.first_connected_at_us)

    def _token(self, phone_no: int) -> int:
        owned = self._owned.get(phone_no)
        return -1 if owned is None else owned.token

    async def _recover(self, owned: Owned, shard: Shard) -> None:
        deps, row = self._deps, owned.row
        for job, token in await deps.store.interrupted(row.org_no, row.phone_no, owned.token):
            verdict = interrupted(
                starts=job.starts,
                honours_client_id=owned.provider.honours_client_id(job.content, job.chat_id),
                limits=deps.limits,
            )
            deps.log("recovered", phone=row.phone_id, verdict=verdict.kind, reason=verdict.reason)
            shard.settle(owned, Settlement(job, owned.token, token, verdict))

    # -- what happens to phones we own

    async def _look(self) -> None:
        """Each second: phones with work that no hint told of, and phones that a person changed."""
        while True:
            await self._deps.clock.sleep(LOOK_S)
            try:
                await self._look_once()
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away
                self._deps.log("look_failed", error=f"{type(error).__name__}: {error}")

    async def _look_once(self) -> None:
        deps = self._deps
        known = [(owned.row.org_no, phone_no) for phone_no, owned in self._owned.items()]
        if not known:
            return
        versions = await deps.store.versions(known)
        for phone_no, owned in list(self._owned.items()):
            version = versions.get(phone_no)
            if version is None:
                self._drop(owned)
            elif version[0] != owned.row.updated_at_us:
                await self._changed(owned)
        quiet = [(owned.row.org_no, n) for n, owned in self._owned.items() if not owned.in_flight]
        due = await deps.store.ready(quiet)
        now_us, now = deps.clock.now_us(), deps.clock.monotonic()
        for phone_no, due_us in due.items():
            if due_us is not None and (found := self._owned.get(phone_no)) is not None:
                found.due_at = min(found.due_at, now + max(due_us - now_us, 0) / 1e6)
                if due_us <= now_us:
                    self._shard(phone_no).look(phone_no)

    async def _changed(self, owned: Owned) -> None:
        row = await self._deps.store.phone_row(owned.row.org_no, owned.row.phone_no)
        if row is None:
            return
        restart = row.restarts != owned.row.restarts
        repaced = row.pacing != owned.row.pacing
        rekeyed = row.config != owned.row.config
        owned.row = row
        if repaced:
            policy = self._deps.policy(row)
            owned.pace(policy, await self._history(row, policy))
            owned.history.in_flight = owned.in_flight
        if rekeyed:
            owned.phone = replace(owned.phone, config=self._deps.config(row))
            self._spawn(owned.provider.open(owned.phone, self.inflow))
        elif restart:
            self._spawn(owned.provider.restart(row.phone_no))
        self._shard(row.phone_no).look(row.phone_no)

    def _session(self, phone_no: int, state: SessionState) -> None:
        self._shard(phone_no).session(phone_no, state)
        if (owned := self._owned.get(phone_no)) is not None:
            owned.session = state
            owned.row = replace(owned.row, state=state.value)
            self._deps.log("session", phone=owned.row.phone_id, state=state.value)

    def _under_way(self, job_id: JobId) -> bool:
        return any(job_id in shard.in_flight for shard in self._shards)

    def _lost(self, phones: Iterable[tuple[int, int]]) -> None:
        for phone_no, token in phones:
            owned = self._owned.get(phone_no)
            if owned is not None and owned.token == token:
                self._drop(owned)

    def _drop_all(self, why: str) -> None:
        if self._owned:
            self._deps.log("phones_dropped", why=why, phones=len(self._owned))
        for owned in list(self._owned.values()):
            self._drop(owned)

    def _drop(self, owned: Owned) -> None:
        owned.closing = True
        if self._owned.get(owned.row.phone_no) is owned:
            del self._owned[owned.row.phone_no]
            self._shard(owned.row.phone_no).remove(owned.row.phone_no)
            self._deps.meter.lease("dropped", 1)
            self._dropped.append(owned)

    async def _close_dropped(self) -> None:
        dropped, self._dropped = self._dropped, []
        for owned in dropped:
            if owned.row.phone_no not in self._owned:  # not taken anew
                await owned.provider.close(owned.row.phone_no)

    def _shard(self, phone_no: int) -> Shard:
        return self._shards[zlib.crc32(phone_no.to_bytes(8, "big")) % len(self._shards)]

    def _spawn(self, work: "Callable[[], None] | object") -> None:
        task = asyncio.ensure_future(self._supervised(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervised(self, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - supervised: one phone's trouble is not the others'
            self._deps.log("phone_failed", error=f"{type(error).__name__}: {error}")


def _seen(owned: Owned) -> Seen:
    return Seen(owned.row.org_no, owned.row.phone_no, None, owned.token)
