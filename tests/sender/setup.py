"""Senders on a real store and the simulated network, under a clock of the test's own."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.ids import JobId, JobIds, new_phone_id, unique_id
from heliograph.domain.jobs.job import Enqueued, Job, NewJob, NewPhone, OutgoingJob, PhoneRow
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Limits
from heliograph.domain.messages.content import Content, Kind
from heliograph.domain.pacing.next_start import PRESETS
from heliograph.ports.meter import NoMetrics
from heliograph.ports.provider import Provider, SendRequest
from heliograph.providers.simulator.provider import SimulatorProvider
from heliograph.sender.deps import SenderDeps
from heliograph.sender.sender import Sender
from heliograph.simulator.journal_reads import messages
from heliograph.simulator.network import SimulatedNetwork, open_network
from heliograph.store.database.database import Database
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.sqlite import SqliteDatabase
from heliograph.store.database.unit import Unit
from heliograph.store.job_store import Store
from tests.kit.store import faults_of
from tests.kit.virtual_clock import VirtualClock

T = TypeVar("T")
LEASE_S = 10.0


@dataclass
class Faulty:
    """A shell that fails when it is told to. `away`: the database cannot be reached. `lose`: so many of the next
    commits happen, but their answers are lost. `slow_s`: each call takes that long."""

    inner: Database
    clock: VirtualClock
    away: bool = False
    lose: int = 0
    slow_s: float = 0.0
    under_way: int = 0
    lost: int = 0
    frozen: bool = False  # the process stands still: its calls neither happen nor end
    dialect: str = ""
    write_error: str | None = None

    async def open(self, *, migrate: bool = True) -> None:
        await self.inner.open(migrate=migrate)

    async def close(self) -> None:
        await self.inner.close()

    async def write(self, make: Callable[[], Unit[T]], *, within_s: float | None = None) -> T:
        value = await self._call(self.inner.write, make)
        if self.lose > 0:
            self.lose -= 1
            self.lost += 1
            raise Unavailable("The answer to the commit was lost.")
        return value

    async def read(self, make: Callable[[], Unit[T]]) -> T:
        return await self._call(self.inner.read, make)

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
    """One sender process's worth of objects. `sends`: (when, unique_id) of each attempt that reached its provider."""

    name: str
    sender: Sender
    shell: Faulty
    provider: SimulatorProvider
    watched: Provider = field(init=False)
    task: "asyncio.Task[None]" = field(init=False)
    sends: list[tuple[float, str]] = field(default_factory=list)
    logs: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def said(self, event: str) -> int:
        return sum(1 for name, _ in self.logs if name == event)


@dataclass
class World:
    where: Path | str
    clock: VirtualClock
    network: SimulatedNetwork
    store: Store  # the tests' own, that no fault meets
    phones: list[PhoneRow]
    shells: Callable[[Path | str, VirtualClock], Database]
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
        """A sender begins to work. `changes`: other SenderDeps than the usual ones."""
        shell = Faulty(self.shells(self.where, self.clock), self.clock)
        self.clock.busy.append(lambda: shell.under_way > 0)
        await shell.open(migrate=False)
        provider = SimulatorProvider(self.network, self.clock)
        member: Member

        def log(event: str, **more: Any) -> None:
            member.logs.append((event, more))

        async def freed() -> None:
            for other in self.members:
                if other is not member:
                    other.sender.phones_freed()

        async def prepare(job: OutgoingJob) -> tuple[Content, None]:
            return job.content, None

        deps = SenderDeps(
            store=Store(shell, self.clock, self.ids),
            clock=self.clock,
            meter=NoMetrics(),
            chance=random.Random(len(self.members)),
            limits=Limits(**limits),
            lease_s=lease_s,
            owner=name,
            sole=False,
            shards=1,
            provider=lambda _name: member.watched,
            policy=lambda row: PRESETS[row.pacing],
            config=lambda _row: {},
            prepare=prepare,
            freed=freed,
            log=log,
            warn=log,
        )
        sender = Sender(replace(deps, **(changes or {})))
        member = Member(name, sender, shell, provider)
        member.watched = _watched(provider, member, self.clock)
        member.task = asyncio.ensure_future(sender.run())
        self.members.append(member)
        return member

    async def crash(self, member: Member) -> None:
        """The process is gone from one moment to the next: nothing of it is written or sent any more."""
        member.shell.frozen = True
        member.task.cancel()
        for shard in member.sender._loops:
            for task in list(shard._tasks):
                task.cancel()
        for phone in self.phones:
            await member.provider.close(phone.phone_no)
        await asyncio.gather(member.task, return_exceptions=True)

    async def put(self, chat: str, *, phone: PhoneRow | None = None, body: str = "") -> JobId:
        """`chat`: the two digits of a test recipient, or a name of its own."""
        phone = phone or self.phone
        chat_id = f"120255501{chat}@c.us" if len(chat) == 2 and chat.isdigit() else f"{chat}@c.us"
        made = await self.store.enqueue(
            NewJob(self.ids.make(), phone.org_no, phone.phone_no, chat_id, Content(Kind.TEXT, body or f"to {chat}"))
        )
        assert isinstance(made, Enqueued)
        return made.job_id

    async def get(self, job_id: JobId) -> Job:
        found = await self.store.job(self.phone.org_no, unique_id(job_id))
        assert found is not None
        return found

    async def kinds(self, job_id: JobId) -> list[str]:
        return [event.kind for event in await self.store.history(self.phone.org_no, job_id)]

    async def until_state(self, job_id: JobId, state: State, *, ack: int = 0, limit_s: float = 120.0) -> Job:
        async def there() -> bool:
            job = await self.get(job_id)
            return job.state is state and job.ack >= ack

        await self.clock.until(there, limit_s=limit_s)
        return await self.get(job_id)

    async def until_settled(self, *, limit_s: float = 120.0) -> None:
        async def done() -> bool:
            health = await self.store.health(self.phone.org_no, None)
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


class _Watched:
    """A provider that notes each attempt."""

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
    watched: Any = _Watched(provider, member, clock)
    return watched  # type: ignore[no-any-return]


def shell_of(where: Path | str, clock: VirtualClock) -> Database:
    if isinstance(where, Path):
        return SqliteDatabase(str(where), lambda _seconds, _units: None, clock.monotonic, lock=False)
    return PostgresDatabase(where, lambda _seconds, _units: None, clock.monotonic)


@contextlib.asynccontextmanager
async def sending(
    where: Path | str,
    journal: Path,
    *,
    phones: int = 1,
    shells: Callable[[Path | str, VirtualClock], Database] = shell_of,
) -> AsyncIterator[World]:
    """A network, a store with so many phones, and no sender yet. Ends with an audit of the database."""
    clock = VirtualClock()
    shell = shells(where, clock)
    await shell.open()
    store = Store(shell, clock, JobIds(clock.now_us))
    org = await store.create_org("an organisation")
    made = []
    for n in range(phones):
        phone = NewPhone(org.org_no, new_phone_id(), f"9198765{n:05d}", "simulator")
        made.append((await store.create_phone(phone))[0])
    async with open_network(journal, clock, random.Random(7)) as network:
        clock.busy.append(lambda: not network.journal.idle)
        world = World(where, clock, network, store, made, shells)
        try:
            yield world
        finally:
            for member in world.members:
                member.task.cancel()
            await asyncio.gather(*(member.task for member in world.members), return_exceptions=True)
            for member in world.members:
                await member.provider.shutdown()
                await member.shell.close()
            await shell.close()
    assert await faults_of(where) == []
