"""A gateway around the Cloud API without its HTTP API: store, sender, provider, webhook, inbox and Graph server."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec
import uvicorn

from heliograph.api.webhooks.provider_callback import webhook_app
from heliograph.clock import SystemClock
from heliograph.domain.accounts.phone import NewPhone, PhoneRow
from heliograph.domain.jobs.ids import JobId, JobIds, queue_id
from heliograph.domain.jobs.job import Enqueued, Job, NewJob, OutgoingJob
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Limits
from heliograph.domain.messages.content import Content
from heliograph.domain.pacing.next_start import PRESETS
from heliograph.ports.meter import NoMetrics
from heliograph.providers.cloud.graph_client import Timeouts
from heliograph.providers.cloud.provider import CloudProvider
from heliograph.providers.cloud.spec import WEBHOOK_PATH
from heliograph.providers.cloud.webhook_payload import read_delivery
from heliograph.providers.cloud.webhook_receiver import CloudWebhookReceiver
from heliograph.sender.deps import SenderDeps
from heliograph.sender.provider_inbox import InboxService
from heliograph.sender.sender import Sender
from heliograph.simulator.graph import GraphServer, Rules, graph_server
from heliograph.store.provider_store import SqlProviderInbox
from heliograph.store.stores import Stores
from heliograph.vault import Vault
from tests.kit.database import make_database
from tests.kit.log import RecordedLog
from tests.kit.until import until
from tests.providers.cloud.session import text

CLOCK = SystemClock()
FAST = Timeouts(connect_s=2, answer_s=2, upload_s=5)
QUICK = Rules(sent_after_s=0.02, delivered_after_s=0.04, read_after_s=0.08, throughput_per_s=0, pair_interval_s=0)


async def nobody(*_: object) -> None:
    """Does nothing: no other sender waits, and no phone is paused."""


class Network(Protocol):
    """A Graph server, in this process or elsewhere."""

    @property
    def base_url(self) -> str: ...

    async def call_back(self, url: str) -> None: ...


class LocalGraph:
    """A Graph server in this process, which tests can inspect."""

    def __init__(self, server: GraphServer) -> None:
        self.base_url = server.base_url
        self.network = server.network
        self.callbacks = server.callbacks

    async def call_back(self, url: str) -> None:
        self.network.rules = replace(self.network.rules, callback_url=url)


@dataclass(slots=True)
class Gateway:
    stores: Stores
    at: Network
    provider: CloudProvider
    sender: Sender
    vault: Vault
    inbox: SqlProviderInbox
    ids: JobIds
    org_no: int
    webhook_url: str
    log: RecordedLog = field(default_factory=RecordedLog)

    @property
    def graph(self) -> LocalGraph:
        assert isinstance(self.at, LocalGraph)
        return self.at

    async def add_phone(self, phone_number_id: str, number: str, **config: str) -> PhoneRow:
        phone_id = f"phone-{number.rjust(16, 'a')}"
        settings = {
            "phone_number_id": phone_number_id,
            "waba_id": "200000000000001",
            "token": "graph-test-token",
            "app_secret": "graph-test-app-secret",
            "verify_token": "graph-test-verify-token",
            "base_url": self.at.base_url,
            **config,
        }
        sealed = self.vault.seal(msgspec.json.encode(settings).decode(), about=phone_id)
        row, _ = await self.stores.phones.create_phone(
            NewPhone(self.org_no, phone_id, number, "cloud", pacing="none", config=sealed)
        )
        return row

    async def connected(self, *phones: PhoneRow) -> None:
        await until(
            lambda: all(
                (owned := self.sender.owned.get(p.phone_no)) is not None and owned.session.value == "connected"
                for p in phones
            ),
            limit_s=30,  # a phone that missed a beat is taken at the next, after a third of the lease
        )

    async def send(self, phone: PhoneRow, to: str, content: Content | None = None, **more: Any) -> JobId:
        job_id = self.ids.make()
        job = NewJob(job_id, phone.org_no, phone.phone_no, f"{to}@c.us", content or text(), **more)
        assert isinstance(await self.stores.jobs.enqueue(job), Enqueued)
        self.sender.phones((phone.phone_no,))
        return job_id

    async def job(self, job_id: JobId) -> Job:
        found = await self.stores.jobs.job(self.org_no, queue_id(job_id))
        assert found is not None
        return found

    async def until_state(self, job_id: JobId, state: State, *, seconds: float = 10.0) -> Job:
        """Polls until the job is in that state."""
        end = CLOCK.monotonic() + seconds
        while (job := await self.job(job_id)).state is not state:
            assert CLOCK.monotonic() < end, f"it is {job.state}"
            await asyncio.sleep(0.005)
        return job

    async def until_ack(self, job_ids: Sequence[JobId], ack: int, *, seconds: float = 20.0) -> list[Job]:
        """Polls until each job has this ack level, or has failed."""
        end = CLOCK.monotonic() + seconds
        while True:
            jobs = [await self.job(one) for one in job_ids]
            if all(job.ack >= ack or job.ack == -1 or job.state == "failed" for job in jobs):
                return jobs
            states = sorted({(job.state.value, job.ack) for job in jobs})
            assert CLOCK.monotonic() < end, f"not settled in time: {states}"
            await asyncio.sleep(0.02)

    def journal(self, job_id: JobId) -> list[dict[str, Any]]:
        return self.graph.network.journal(tracker=queue_id(job_id))


@asynccontextmanager
async def open_gateway(
    folder: Path,
    rules: Rules = QUICK,
    *,
    timeouts: Timeouts = FAST,
    limits: Limits | None = None,
    graph: Network | None = None,
) -> AsyncIterator[Gateway]:
    """Runs a gateway. `graph`: a server in another process; otherwise one starts here with these rules."""
    async with AsyncExitStack() as stack:
        if graph is None:
            graph = LocalGraph(await stack.enter_async_context(graph_server(rules, clock=CLOCK)))
        ids = JobIds(CLOCK.now_us)
        database = make_database(folder / "gateway.db", CLOCK)
        await database.open()
        stack.push_async_callback(database.close)
        stores, vault = Stores(database, CLOCK, ids), Vault("a key for the test of the gateway")
        inbox = stores.inbox
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15), cookie_jar=aiohttp.DummyCookieJar()
            )
        )
        provider = CloudProvider(session, clock=CLOCK, uploads=stores.uploads, timeouts=timeouts)
        log = RecordedLog()

        def config(row: PhoneRow) -> dict[str, object]:
            opened: dict[str, object] = msgspec.json.decode(vault.open(row.config, about=row.phone_id))
            return opened

        async def prepare(job: OutgoingJob) -> tuple[Content, Path | None]:
            return job.content, None

        sender = Sender(
            SenderDeps(
                store=stores.sender,
                leases=stores.leases,
                clock=CLOCK,
                meter=NoMetrics(),
                chance=random.Random(1),
                limits=limits or Limits(retry_base_s=0.05, ack_timeout_s=2.0),
                lease_s=30.0,
                owner="test",
                sole=True,
                loops=1,
                provider=lambda name: provider if name == "cloud" else None,
                policy=lambda row: PRESETS[row.pacing],
                config=config,
                prepare=prepare,
                freed=nobody,
                hold=nobody,
                log=log,
            )
        )
        service = InboxService(
            inbox,
            sender.events,
            read_delivery,
            owned=lambda: [(owned.row.org_no, owned.phone) for owned in sender.owned.values()],
            clock=CLOCK,
            log=log,
        )
        receiver = CloudWebhookReceiver(stores.phones, inbox, vault, CLOCK)
        url = await stack.enter_async_context(served(webhook_app(receiver, stored=service.wake)))
        await graph.call_back(url + WEBHOOK_PATH)
        org = await stores.accounts.create_org("test")
        running = [asyncio.create_task(sender.run()), asyncio.create_task(service.run())]
        try:
            yield Gateway(stores, graph, provider, sender, vault, inbox, ids, org.org_no, url + WEBHOOK_PATH, log)
        finally:
            await sender.stop()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await provider.shutdown()


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serves the app on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            lifespan="off",
            log_config=None,
            access_log=False,
            loop="none",
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
