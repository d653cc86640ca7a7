"""A store, a delivery worker and receivers in one process: messages are settled by hand, webhooks are really posted."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from heliograph.clock import SystemClock
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.jobs.ids import JobId, JobIds, new_uuid, unique_id
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.outcome import Accepted, Outcome
from heliograph.domain.jobs.verdict import Limits, judge
from heliograph.domain.webhooks.webhook import NewHook, WebhookRow, new_signing_key
from heliograph.egress.addresses import parse_networks
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.ports.meter import NoMetrics
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.stores.lease_store import Lease
from heliograph.ports.stores.sender_store import PhoneReceipts, Settlement, StartRequest
from heliograph.store.database.database import Database
from heliograph.store.delivery_store import SqlDeliveryStore
from heliograph.store.stores import Stores
from heliograph.store.webhook_store import SqlWebhookStore
from heliograph.vault import Vault
from heliograph.webhooks.worker import DeliveryWorker, WorkerOptions
from tests.kit.factories import NUMBER, claim_phone, create_org, new_job

ALL = (
    "message.created", "message.sent", "message.delivered", "message.read", "message.failed", "message.ack.updated",
)  # fmt: skip
SHORT = (0.05, 0.05, 0.1, 0.1)


@dataclass
class Request:
    """A request that a receiver got."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.raw)
        return found

    @property
    def name(self) -> str:
        return str(self.body["event_type"])


Answering = Callable[[Request], int | Awaitable[int]]


@dataclass
class Receiver:
    """A server that keeps the requests it got, and answers with `answer` (200 if there is none)."""

    answer: Answering | None = None
    got: list[Request] = field(default_factory=list)
    url: str = ""
    headers: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode()
                pairs = [line.split(": ", 1) for line in asked.split("\r\n")[1:] if ": " in line]
                headers = {name.lower(): value for name, value in pairs}
                got = Request(headers, await reader.readexactly(int(headers.get("content-length", "0"))))
                self.got.append(got)
                said = self.answer(got) if self.answer else 200
                status = said if isinstance(said, int) else await said
                head = f"HTTP/1.1 {status} X\r\n{self.headers}Content-Length: 2\r\n\r\nok"
                writer.write(head.encode("utf-8", "surrogateescape"))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def names(self) -> list[str]:
        return [got.name for got in self.got]


@asynccontextmanager
async def receiving(answer: Answering | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()


@dataclass
class Gateway:
    """One organisation with one phone, whose lease is held here."""

    database: Database
    stores: Stores
    hooks: SqlWebhookStore
    deliveries: SqlDeliveryStore
    org: OrgRow
    lease: Lease
    ids: JobIds

    async def hook(self, url: str, *events: str) -> list[WebhookRow]:
        integration_id = new_uuid()
        made = [NewHook(new_uuid(), url, event, integration_id, {"id": integration_id}) for event in events or ALL]
        created = await self.hooks.create_hooks(self.org.org_no, made, new_signing_key())
        assert created is not None
        return created[0]

    async def enqueue(self, chat: str = "919537851844", text: str = "Hi") -> JobId:
        result = await self.stores.jobs.enqueue(new_job(self.ids, self.lease.phone, chat, text))
        assert isinstance(result, Enqueued)
        return result.job_id

    async def settle_all(self, outcome: Outcome | None = None) -> int:
        """Starts what may start and settles it with `outcome` (accepted if none)."""
        phone = self.lease.phone
        wish = StartRequest(phone.phone_no, phone.org_no, self.lease.token, limit=1000)
        started = (await self.stores.sender.settle_and_start([], [wish])).started
        verdict = judge(
            outcome or Accepted(), attempts=1, maybe_sent=False, honours_client_id=True, limits=Limits(), jitter=0.0
        )
        settlements = [Settlement(s.job, self.lease.token, s.token, verdict, s.new_chat) for s in started]
        await self.stores.sender.settle_and_start(settlements, [])
        return len(started)

    async def receipts(self, ack: int, *job_ids: JobId, **more: Any) -> None:
        phone, now_us = self.lease.phone, SystemClock().now_us()
        receipts = [Receipt(ack, now_us, unique_id(job_id), **more) for job_id in job_ids]
        await self.stores.sender.apply_receipts(
            [PhoneReceipts(phone.org_no, phone.phone_no, self.lease.token, receipts)]
        )

    async def whole_way(self, *job_ids: JobId) -> None:
        while await self.settle_all():
            pass
        for ack in (2, 3, 4):
            await self.receipts(ack, *job_ids)

    async def inbound(self, text: str, chat: str = "919537851844") -> None:
        phone = self.lease.phone
        message = Inbound(new_uuid(), f"{chat}@c.us", f"{chat}@c.us", SystemClock().now_us(), "chat", text)
        await self.stores.sender.keep_inbound(phone.phone_no, phone.org_no, [message])


@asynccontextmanager
async def open_gateway(database: Database, number: str = NUMBER) -> AsyncIterator[Gateway]:
    """An organisation with one phone, on a database that is open."""
    clock = SystemClock()
    ids = JobIds(clock.now_us)
    stores = Stores(database, clock, ids)
    phone = await create_org(stores, "First", number)
    lease = await claim_phone(stores, phone, "test", first=True)
    (org,) = [org for org in await stores.accounts.orgs() if org.org_no == phone.org_no]
    yield Gateway(database, stores, stores.webhooks, stores.deliveries, org, lease, ids)


@asynccontextmanager
async def delivering(
    on: Gateway,
    *,
    schedule: tuple[float, ...] = SHORT,
    name: str = "worker-1",
    alone: bool = True,
    database: Database | None = None,
    clock: SystemClock | None = None,
    **options: Any,
) -> AsyncIterator[DeliveryWorker]:
    clock = clock or SystemClock()
    fetch = GuardedFetch(clock=clock, allowed=parse_networks("127.0.0.0/8"))
    worker = DeliveryWorker(
        SqlDeliveryStore(database or on.database, clock, on.ids),
        fetch,
        clock,
        lambda: random.uniform(-1, 1),
        Vault(None),
        NoMetrics(),
        WorkerOptions(name, alone, schedule, **options),
    )
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await fetch.close()
