"""Senders on a real store and the simulated network, under a virtual clock."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.ids import JobId, JobIds, unique_id
from heliograph.domain.jobs.job import Enqueued, Job, OutgoingJob
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Limits
from heliograph.domain.messages.content import Content
from heliograph.domain.pacing.next_start import PRESETS
from heliograph.ports.meter import NoMetrics
from heliograph.ports.provider import Provider, SendRequest
from heliograph.providers.simulator.provider import SimulatorProvider
from heliograph.sender.deps import SenderDeps
from heliograph.sender.sender import Sender
from heliograph.simulator.journal_reads import messages
from heliograph.simulator.network import SimulatedNetwork, open_network
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit
from heliograph.store.stores import Stores
from tests.kit.audit import find_faults
from tests.kit.clocks import VirtualClock
from tests.kit.database import Location, make_database
from tests.kit.factories import create_org, create_phone, new_job
from tests.kit.log import RecordedLog

P = ParamSpec("P")
T = TypeVar("T")
LEASE_S = 10.0


@dataclass
class FaultyDatabase:
    """A database that fails on demand. `away`: it cannot be reached. `lose`: so many of the next commits happen, but
    their answers are lost. `slow_s`: each call takes that long."""

    inner: Database
    clock: VirtualClock
    away: bool = False
    lose: int = 0
    slow_s: float = 0.0
    under_way: int = 0
    lost: int = 0
    frozen: bool = False  # the process is stopped: its calls neither happen nor end
    dialect: str = ""
    write_error: str | None = None

    async def open(self, *, migrate: bool = True) -> None:
        await self.inner.open(migrate=migrate)

    async def close(self) -> None:
        await self.inner.close()

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        value = await self._call(self.inner.write, partial(unit, *args, **kwargs))
        if self.lose > 0:
            self.lose -= 1
            self.lost += 1
            raise Unavailable("The answer to the commit was lost.")
        return value

    async def write_within(self, seconds: float, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.write(unit, *args, **kwargs)

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._call(self.inner.read, partial(unit, *args, **kwargs))

    async def _call(self, call: Callable[[Callable[[], Unit[T]]], Awaitable[T]], make: Callable[[], Unit[T]]) -> T:
        if self.slow_s:
            await self.clock.sleep(self.slow_s)
        if self.frozen:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("The database is away.")
        self.under_way += 1
        try:
            return await call(make)
        finally:
            self.under_way -= 1


@dataclass
class Member:
    """The objects of one sender process. `sends`: (time, unique_id) of each attempt that reached its provider."""

    name: str
    sender: Sender
    database: FaultyDatabase
    stores: Stores
    provider: SimulatorProvider
    watched: Provider = field(init=False)
    task: "asyncio.Task[None]" = field(init=False)
    sends: list[tuple[float, str]] = field(default_factory=list)
    log: RecordedLog = field(default_factory=RecordedLog)

    def times_logged(self, event: str) -> int:
        return self.log.events.count(event)


@dataclass
class Senders:
    """A store and a network, with the senders that have joined."""

    location: Location
    clock: VirtualClock
    network: SimulatedNetwork
    stores: Stores  # the tests' own, that no fault meets
    phones: list[PhoneRow]
    make: Callable[[Location, VirtualClock], Database]
    members: list[Member] = field(default_factory=list)
    ids: JobIds = field(init=False)

    def __post_init__(self) -> None:
        self.ids = JobIds(self.clock.now_us)

    @property
    def phone(self) -> PhoneRow:
        return self.phones[0]

    async def join(
        self, name: str = "a", *, lease_s: float = LEASE_S, changes: Mapping[str, Any] | None = None, **limits: Any
    ) -> Member:
        """Starts a sender. `changes`: other SenderDeps than the usual ones."""
        database = FaultyDatabase(self.make(self.location, self.clock), self.clock)
        self.clock.busy.append(lambda: database.under_way > 0)
        await database.open(migrate=False)
        stores = Stores(database, self.clock, self.ids)
        provider = SimulatorProvider(self.network, self.clock)
        member: Member
        log = RecordedLog()

        async def freed() -> None:
            for other in self.members:
                if other is not member:
                    other.sender.phones_freed()

        async def prepare(job: OutgoingJob) -> tuple[Content, None]:
            return job.content, None

        deps = SenderDeps(
            store=stores.sender,
            leases=stores.leases,
            clock=self.clock,
            meter=NoMetrics(),
            chance=random.Random(len(self.members)),
            limits=Limits(**limits),
            lease_s=lease_s,
            owner=name,
            sole=False,
            loops=1,
            provider=lambda _name: member.watched,
            policy=lambda row: PRESETS[row.pacing],
            config=lambda _row: {},
            prepare=prepare,
            freed=freed,
            log=log,
        )
        sender = Sender(replace(deps, **(changes or {})))
        member = Member(name, sender, database, stores, provider, log=log)
        member.watched = _watched(provider, member, self.clock)
        member.task = asyncio.ensure_future(sender.run())
        self.members.append(member)
        return member

    async def crash(self, member: Member) -> None:
        """Ends a sender at once: it writes and sends nothing more."""
        member.database.frozen = True
        member.task.cancel()
        for loop in member.sender._loops:  # private: the program offers no way to end a sender without its clean-up
            for task in list(loop._tasks):
                task.cancel()
        for phone in self.phones:
            await member.provider.close(phone.phone_no)
        await asyncio.gather(member.task, return_exceptions=True)

    async def put(self, chat: str, *, phone: PhoneRow | None = None, body: str = "") -> JobId:
        """`chat`: the two digits of a test recipient, or a name of its own."""
        phone = phone or self.phone
        chat_id = f"120255501{chat}@c.us" if len(chat) == 2 and chat.isdigit() else f"{chat}@c.us"
        result = await self.stores.jobs.enqueue(new_job(self.ids, phone, chat_id, body or f"to {chat}"))
        assert isinstance(result, Enqueued)
        return result.job_id

    async def get(self, job_id: JobId) -> Job:
        found = await self.stores.jobs.job(self.phone.org_no, unique_id(job_id))
        assert found is not None
        return found

    async def kinds(self, job_id: JobId) -> list[str]:
        return [event.kind for event in await self.stores.jobs.history(self.phone.org_no, job_id)]

    async def until_state(self, job_id: JobId, state: State, *, ack: int = 0, limit_s: float = 120.0) -> Job:
        async def there() -> bool:
            job = await self.get(job_id)
            return job.state is state and job.ack >= ack

        await self.clock.until(there, limit_s=limit_s)
        return await self.get(job_id)

    async def until_settled(self, *, limit_s: float = 120.0) -> None:
        async def done() -> bool:
            health = await self.stores.jobs.health(self.phone.org_no, None)
            return health.waiting + health.active == 0

        await self.clock.until(done, limit_s=limit_s)

    async def journal(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.network.journal.call(
            lambda db: messages(db, chat_id=None, number=None, limit=100_000)
        )
        return rows

    async def shown(self) -> dict[str, int]:
        """By unique_id: how often the person saw it."""
        return {row["message_id"]: row["shown"] for row in await self.journal()}

    async def owners(self) -> dict[str, list[int]]:
        return {member.name: sorted(member.sender.owned) for member in self.members}


class _RecordingProvider:
    """A provider that records each attempt."""

    def __init__(self, inner: SimulatorProvider, member: Member, clock: VirtualClock) -> None:
        self._inner = inner
        self._member = member
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, request: SendRequest) -> Any:
        self._member.sends.append((self._clock.monotonic(), request.unique_id))
        return await self._inner.send(request)


def _watched(provider: SimulatorProvider, member: Member, clock: VirtualClock) -> Provider:
    watched: Any = _RecordingProvider(provider, member, clock)
    return watched  # type: ignore[no-any-return]


def make_shared_database(location: Location, clock: VirtualClock) -> Database:
    """A driver that lets other processes open the same SQLite file."""
    return make_database(location, clock, lock=False)


@contextlib.asynccontextmanager
async def open_senders(
    location: Location,
    journal: Path,
    *,
    phones: int = 1,
    make: Callable[[Location, VirtualClock], Database] = make_shared_database,
) -> AsyncIterator[Senders]:
    """A network, a store with so many phones, and no sender yet; audits the database at the end."""
    clock = VirtualClock()
    async with contextlib.AsyncExitStack() as stack:
        database = make(location, clock)
        await database.open()
        stack.push_async_callback(database.close)
        stores = Stores(database, clock, JobIds(clock.now_us))
        rows = [await create_org(stores, number="919876500000")]
        rows += [await create_phone(stores, rows[0].org_no, f"9198765{n:05d}") for n in range(1, phones)]
        network = await stack.enter_async_context(open_network(journal, clock, random.Random(7)))
        clock.busy.append(lambda: not network.journal.idle)
        senders = Senders(location, clock, network, stores, rows, make)
        try:
            yield senders
        finally:
            for member in senders.members:
                member.task.cancel()
            await asyncio.gather(*(member.task for member in senders.members), return_exceptions=True)
            for member in senders.members:
                await member.provider.shutdown()
                await member.database.close()
    assert await find_faults(location) == []
