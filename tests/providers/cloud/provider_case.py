"""The Cloud API's case for the contract: the local Graph server, its signed webhooks, and the stored inbox."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
from aiohttp import web

from heliograph.clock import SystemClock
from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.provider import Inbound, Phone, Receipt, SendRequest, SessionState, Sink
from heliograph.ports.provider_inbox import NewInboxItem
from heliograph.providers.cloud.graph_client import Timeouts
from heliograph.providers.cloud.provider import CloudProvider
from heliograph.providers.cloud.webhook_payload import read_delivery, signed
from heliograph.sender.provider_inbox import InboxService
from heliograph.simulator.graph import Rules, graph_server
from heliograph.store.provider_store import SqlProviderInbox
from tests.kit.database import open_database
from tests.kit.log import RecordedLog
from tests.kit.provider import ProviderCase, RecordingSink
from tests.kit.until import until
from tests.providers.cloud.session import Uploads, cloud_phone

CLOCK = SystemClock()
RULES = Rules(sent_after_s=0.02, delivered_after_s=0.05, read_after_s=0.1, throughput_per_s=0, pair_interval_s=0)
_CHATS = {
    "accepted": "777",
    "notsent": "010",
    "rejected": "043",
    "throttled": "020",
    "sessiondown": "053",
    "unknown": "064",
}


class _Opened(CloudProvider):
    """A provider that keeps the sink of each open phone, as the sender does."""

    sinks: dict[int, tuple[Phone, Sink]]

    async def open(self, phone: Phone, sink: Sink) -> None:
        await super().open(phone, sink)
        self.sinks[phone.phone_no] = (phone, sink)

    async def close(self, phone_no: int) -> None:
        self.sinks.pop(phone_no, None)
        await super().close(phone_no)


class _Switch:
    """A sink that forwards to the sink that the phone is open with; a closed phone raises."""

    def __init__(self, provider: _Opened) -> None:
        self._provider = provider

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        await self._provider.sinks[phone_no][1].receipts(phone_no, receipts)

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None:
        await self._provider.sinks[phone_no][1].inbound(phone_no, messages)

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
        await self._provider.sinks[phone_no][1].session(phone_no, state, detail)


@asynccontextmanager
async def cloud_api(folder: Path) -> AsyncIterator[ProviderCase]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(folder / "inbox.db", CLOCK))
        inbox = SqlProviderInbox(database, CLOCK, JobIds(CLOCK.now_us))
        graph = await stack.enter_async_context(graph_server(RULES, clock=CLOCK))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        provider = _Opened(session, clock=CLOCK, uploads=Uploads(), timeouts=Timeouts(connect_s=2, answer_s=3))
        provider.sinks = {}
        phone = cloud_phone(graph.base_url)
        service = InboxService(
            inbox,
            _Switch(provider),
            read_delivery,
            owned=lambda: [(1, opened) for opened, _ in provider.sinks.values()],
            clock=CLOCK,
            log=RecordedLog(),
        )

        async def take(request: web.Request) -> web.Response:
            raw = await request.read()
            if not signed(raw, request.headers["X-Hub-Signature-256"], "graph-test-app-secret"):
                return web.Response(status=403)
            await inbox.keep_deliveries([NewInboxItem(1, phone.phone_no, CLOCK.now_us(), raw)])
            service.wake()
            return web.Response()

        app = web.Application()
        app.add_routes([web.post("/hook", take)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        graph.network.rules = replace(graph.network.rules, callback_url=url)
        running = asyncio.create_task(service.run())

        async def prepare(kind: str) -> str:
            return f"447700900{_CHATS[kind]}@c.us"

        async def shown(request: SendRequest) -> int:
            return len(graph.network.journal(tracker=request.queue_id))

        case = ProviderCase(provider, phone, RecordingSink(), prepare, shown, unhonoured="447700900064@c.us")
        await provider.open(phone, case.sink)
        await until(lambda: case.sink.state(1) is SessionState.CONNECTED)
        try:
            yield case
        finally:
            await provider.shutdown()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
