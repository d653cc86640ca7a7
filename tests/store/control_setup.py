"""A store with its steering on one of the two databases, a clock that is set by hand, and an engine in small."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from heliograph.domain.broadcasts.csv_recipients import Recipient, recipient
from heliograph.domain.jobs.ids import JobId, JobIds, new_phone_id, unique_id
from heliograph.domain.jobs.job import Enqueued, Job, NewJob, NewPhone, OutgoingJob, PhoneRow
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.sender_store import Lease, LeaseRow, Settlement, Started, StartRequest
from heliograph.store.control_store import ControlStoreUnits
from heliograph.store.database.database import Database
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.sqlite import SqliteDatabase
from heliograph.store.job_store import Store

SENT = Verdict(State.SENT, "sent", ack=1)
FAILED = Verdict(State.FAILED, "failed", "not_on_whatsapp", "Not on WhatsApp.")
S = 1_000_000


class HandClock:
    """Implements ports.clock.Clock; sleeping advances it."""

    def __init__(self) -> None:
        self.us = 1_790_000_000_000_000

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)

    def advance(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


@dataclass
class World:
    shell: Database
    store: Store
    steering: ControlStoreUnits
    clock: HandClock
    ids: JobIds
    phone: PhoneRow
    lease: Lease
    log: list[OutgoingJob] = field(default_factory=list)  # as the network saw them

    @property
    def org_no(self) -> int:
        return self.phone.org_no

    @property
    def phone_no(self) -> int:
        return self.phone.phone_no

    async def send(
        self,
        chat: str = "919537851844@c.us",
        text: str = "hi",
        lane: Priority = Priority.NORMAL,
        expires_at_us: int | None = None,
    ) -> Job:
        new = NewJob(
            self.ids.make(), self.org_no, self.phone_no, chat, Content(Kind.TEXT, text), priority=lane,
            expires_at_us=expires_at_us,
        )  # fmt: skip
        result = await self.store.enqueue(new)
        assert isinstance(result, Enqueued)
        return await self.job(new.job_id)

    async def job(self, job_id: int) -> Job:
        found = await self.store.job(self.org_no, unique_id(JobId(job_id)))
        assert found is not None
        return found

    async def start(self, limit: int = 1, *, paced: bool = False) -> list[Started]:
        """`paced`: noted in the log of the phone's pace."""
        wish = StartRequest(self.phone_no, self.org_no, self.lease.token, limit=limit, paced=paced)
        return (await self.store.settle_and_start([], [wish])).started

    async def settle(self, started: Started, verdict: Verdict = SENT) -> None:
        done = await self.store.settle_and_start(
            [Settlement(started.job, self.lease.token, started.token, verdict, new_chat=started.new_chat)], []
        )
        assert done.settled == [True]

    async def step(self, limit: int = 1, verdict: Verdict = SENT) -> list[OutgoingJob]:
        """Starts and settles up to `limit` messages."""
        started = await self.start(limit)
        for one in started:
            self.log.append(one.job)
            await self.settle(one, verdict)
        return [one.job for one in started]

    async def drain(self, verdict: Verdict = SENT, *, most: int = 10_000) -> list[OutgoingJob]:
        """Feeds and sends until nothing is left to do; the clock runs on while it waits."""
        sent: list[OutgoingJob] = []
        for _ in range(most):
            _, due_us = await self.steering.feed()
            done = await self.step(50, verdict)
            sent += done
            if not done:
                if due_us is None:
                    return sent
                self.clock.us = max(self.clock.us, due_us)
        raise AssertionError("it does not come to an end")


@asynccontextmanager
async def open_world(database: str, clock: HandClock | None = None) -> AsyncIterator[World]:
    """`database`: a path for SQLite, or a PostgreSQL URL."""
    clock = clock or HandClock()
    ids = JobIds(clock.now_us)
    shell: Database
    if database.startswith("postgresql"):
        shell = PostgresDatabase(database, lambda _s, _n: None, clock.monotonic)
    else:
        shell = SqliteDatabase(database, lambda _s, _n: None, clock.monotonic)
    await shell.open()
    try:
        store = Store(shell, clock, ids)
        orgs = await store.orgs()
        org = orgs[0] if orgs else await store.create_org("one")
        phones = await store.phones(org.org_no)
        if phones:
            phone = phones[0]
        else:
            phone, _ = await store.create_phone(NewPhone(org.org_no, new_phone_id(), "919876543210", "simulator"))
        fleet = await store.heartbeat("tester", first=True)
        token = next(seen.token for seen in fleet.leases if seen.phone_no == phone.phone_no)
        (lease,) = await store.claim_leases("tester", [LeaseRow(org.org_no, phone.phone_no, None, token)])
        yield World(shell, store, ControlStoreUnits(shell, clock, ids), clock, ids, phone, lease)
    finally:
        await shell.close()


def recipients(count: int, first: int = 0) -> list[Recipient]:
    return [recipient(f"9195{n:08d}@c.us", {"name": f"N{n}"}) for n in range(first, first + count)]


def path_in(folder: Path) -> str:
    return str(folder / f"test-{random.randrange(10**9)}.db")
