"""One phone's queue on a real store: short calls to enqueue, start, settle and look at its messages."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.ids import JobId, JobIds, unique_id
from heliograph.domain.jobs.job import Enqueued, Event, Idempotency, Job, NewJob, OutgoingJob
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.ports.provider import Receipt
from heliograph.ports.stores.lease_store import Lease
from heliograph.ports.stores.sender_store import (
    PhoneReceipts,
    ReceiptsApplied,
    SettleAndStartResult,
    Settlement,
    Started,
    StartRequest,
)
from heliograph.store.control_store import SqlControlStore
from heliograph.store.stores import Stores
from tests.kit.audit import find_faults
from tests.kit.clocks import ManualClock
from tests.kit.database import Location, execute_sql, fetch_rows, make_database
from tests.kit.factories import claim_phone, create_org, create_phone, new_job

SENT = Verdict(State.SENT, "sent", ack=1)
REFUSED = Verdict(State.FAILED, "failed", "blocked", "This person has blocked the phone.")
FAILED = Verdict(State.FAILED, "failed", "not_on_whatsapp", "Not on WhatsApp.")
OWNER = "sender-a"


def retry(wait_s: float = 2.0, *, maybe_sent: bool = False) -> Verdict:
    return Verdict(State.QUEUED, "retry", "network_error", "Not now.", lane_wait_s=wait_s, maybe_sent=maybe_sent)


def uncertain(wait_s: float | None = 20.0) -> Verdict:
    return Verdict(State.UNCERTAIN, "uncertain", "answer_lost", "Lost.", lane_wait_s=wait_s, maybe_sent=True)


@dataclass
class PhoneQueue:
    """The queue of one phone, with the store, the clock and the lease that tests need for it."""

    stores: Stores
    clock: ManualClock
    location: Location
    phone: PhoneRow
    lease: Lease
    ids: JobIds
    owner: str = OWNER
    started: list[OutgoingJob] = field(default_factory=list)  # by `run`, in their order
    _texts: int = 0

    @property
    def control(self) -> SqlControlStore:
        return SqlControlStore(self.stores.database, self.clock, self.ids)

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self.location, Path)

    @property
    def org_no(self) -> int:
        return self.phone.org_no

    @property
    def phone_no(self) -> int:
        return self.phone.phone_no

    @property
    def token(self) -> int:
        return self.lease.token

    def new_job(
        self,
        chat: str = "a",
        *,
        priority: Priority = Priority.NORMAL,
        key: str | None = None,
        body: str = "",
        **changes: Any,
    ) -> NewJob:
        """A message that is not in the store yet, with a text of its own if none is given."""
        self._texts += 1
        text = body or f"message {self._texts}"
        idempotency = None if key is None else Idempotency(key, text.encode())
        return new_job(self.ids, self.phone, chat, text, priority=priority, idempotency=idempotency, **changes)

    async def put(self, chat: str = "a", **more: Any) -> JobId:
        """Enqueues one message."""
        result = await self.stores.jobs.enqueue(self.new_job(chat, **more))
        assert isinstance(result, Enqueued), result
        return result.job_id

    async def put_text(self, chat: str = "919537851844", text: str = "hi", **more: Any) -> Job:
        """Enqueues one message, and reads it back."""
        return await self.get(await self.put(chat, body=text, **more))

    def start_request(self, limit: int = 1, *, token: int | None = None, **more: Any) -> StartRequest:
        held = self.token if token is None else token
        return StartRequest(self.phone_no, self.org_no, held, limit=limit, **more)

    async def start(self, limit: int = 1, *, token: int | None = None, **more: Any) -> list[Started]:
        return (await self.try_start(limit, token=token, **more)).started

    async def try_start(self, limit: int = 1, *, token: int | None = None, **more: Any) -> SettleAndStartResult:
        return await self.stores.sender.settle_and_start([], [self.start_request(limit, token=token, **more)])

    def settlement(self, started: Started, verdict: Verdict, *, token: int | None = None) -> Settlement:
        held = self.token if token is None else token
        return Settlement(started.job, held, started.token, verdict, new_chat=started.new_chat)

    async def settle(self, started: Started, verdict: Verdict = SENT) -> SettleAndStartResult:
        result = await self.try_settle(started, verdict)
        assert result.settled == [True]
        return result

    async def try_settle(self, started: Started, verdict: Verdict, *, token: int | None = None) -> SettleAndStartResult:
        return await self.stores.sender.settle_and_start([self.settlement(started, verdict, token=token)], [])

    async def send_next(self, verdict: Verdict = SENT) -> JobId:
        """Starts the next message and settles it."""
        (started,) = await self.start()
        await self.settle(started, verdict)
        return started.job.job_id

    async def run(self, limit: int = 1, verdict: Verdict = SENT) -> list[OutgoingJob]:
        """Starts and settles up to `limit` messages."""
        started = await self.start(limit)
        for one in started:
            self.started.append(one.job)
            await self.settle(one, verdict)
        return [one.job for one in started]

    async def drain(self, verdict: Verdict = SENT, *, max_rounds: int = 10_000) -> list[OutgoingJob]:
        """Enqueues recipients and sends until nothing is left; the clock is put ahead while all have to wait."""
        sent: list[OutgoingJob] = []
        for _ in range(max_rounds):
            _, due_us = await self.stores.broadcasts.enqueue_recipients()
            done = await self.run(50, verdict)
            sent += done
            if not done:
                if due_us is None:
                    return sent
                self.clock.us = max(self.clock.us, due_us)
        raise AssertionError("the queue does not come to an end")

    async def receipt(self, job_id: JobId, *acks: int, token: int | None = None, **more: Any) -> ReceiptsApplied:
        at = self.clock.now_us()
        return await self.receipts([Receipt(ack, at, unique_id=unique_id(job_id), **more) for ack in acks], token=token)

    async def receipts(self, receipts: Sequence[Receipt], *, token: int | None = None) -> ReceiptsApplied:
        held = self.token if token is None else token
        return await self.stores.sender.apply_receipts([PhoneReceipts(self.org_no, self.phone_no, held, receipts)])

    async def get(self, job_id: int) -> Job:
        job = await self.stores.jobs.job(self.org_no, unique_id(JobId(job_id)))
        assert job is not None
        return job

    async def history(self, job_id: JobId) -> list[Event]:
        return await self.stores.jobs.history(self.org_no, job_id)

    async def take_over(self, owner: str = "sender-b") -> Lease:
        """Gives the phone to another sender, whose token is the good one from now on."""
        self.lease = await claim_phone(self.stores, self.phone, owner, first=True)
        return self.lease

    async def add_phone(self, number: str, *, org_no: int | None = None) -> "PhoneQueue":
        """A second phone on the same store, owned by the same sender."""
        phone = await create_phone(self.stores, org_no or self.org_no, number)
        lease = await claim_phone(self.stores, phone, self.owner)
        return PhoneQueue(self.stores, self.clock, self.location, phone, lease, self.ids)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return await fetch_rows(self.location, sql)

    async def execute(self, sql: str) -> None:
        await execute_sql(self.location, sql)

    async def audit(self) -> None:
        faults = await find_faults(self.location)
        assert faults == [], "\n".join(faults)


async def open_phone_queue(location: Location, clock: ManualClock | None = None) -> PhoneQueue:
    """Opens a database, and makes its first organisation and phone unless they are there."""
    clock = clock or ManualClock()
    ids = JobIds(clock.now_us)
    database = make_database(location, clock)
    await database.open()
    stores = Stores(database, clock, ids)
    phones = await stores.phones.phones(None)
    phone = phones[0] if phones else await create_org(stores)
    lease = await claim_phone(stores, phone, OWNER, first=True)
    return PhoneQueue(stores, clock, location, phone, lease, ids)


@asynccontextmanager
async def phone_queue(location: Location, clock: ManualClock | None = None) -> AsyncIterator[PhoneQueue]:
    """An open queue whose database is closed, then audited, at the end."""
    queue = await open_phone_queue(location, clock)
    try:
        yield queue
    finally:
        await queue.stores.database.close()
    await queue.audit()
