"""A Cloud API phone on a local Graph server, with a sink that records."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from heliograph.clock import SystemClock
from heliograph.domain.jobs.ids import JobIds, unique_id
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound, Phone, Receipt, SendRequest
from heliograph.providers.cloud.graph_client import Timeouts
from heliograph.providers.cloud.provider import CloudProvider
from heliograph.providers.cloud.webhook_payload import read_delivery
from heliograph.simulator.graph import Rules
from tests.kit.provider import RecordingSink
from tests.kit.until import until
from tests.simulator.graph.graph_client import GraphClient, graph_client

CLOCK = SystemClock()
IDS = JobIds(CLOCK.now_us)


class Uploads:
    """Media uploads kept in memory, as the store keeps them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str, str], tuple[str, int]] = {}

    async def uploaded(self, phone_no: int, sha256: str, mimetype: str, *, now_us: int) -> str | None:
        media_id, expires_at_us = self.kept.get((phone_no, sha256, mimetype), ("", 0))
        return media_id if media_id and expires_at_us > now_us else None

    async def keep_upload(
        self, phone_no: int, sha256: str, mimetype: str, *, media_id: str, expires_at_us: int
    ) -> None:
        self.kept[(phone_no, sha256, mimetype)] = (media_id, expires_at_us)

    async def forget_upload(self, phone_no: int, sha256: str, mimetype: str) -> None:
        self.kept.pop((phone_no, sha256, mimetype), None)


def cloud_phone(base_url: str, *, phone_no: int = 1, phone_number_id: str = "100000000000001", **config: str) -> Phone:
    settings = {
        "phone_number_id": phone_number_id,
        "waba_id": "200000000000001",
        "token": "graph-test-token",
        "app_secret": "graph-test-app-secret",
        "verify_token": "graph-test-verify-token",
        "base_url": base_url,
        **config,
    }
    return Phone(phone_no, f"phone-{phone_no:016d}", "447700900000", "cloud", settings)


def text(body: str = "hello") -> Content:
    return Content(type=Kind.TEXT, body=body)


def request(phone: Phone, to: str, content: Content | None = None, **more: Any) -> SendRequest:
    job = IDS.make()
    return SendRequest(
        phone=phone,
        job_id=job,
        unique_id=unique_id(job),
        chat_id=f"{to}@c.us",
        content=content or text(),
        attempt=1,
        **more,
    )


@dataclass(frozen=True, slots=True)
class Cloud:
    """A Cloud API phone. `receipts()`: what the webhooks that came so far report of the phone."""

    graph: GraphClient
    provider: CloudProvider
    phone: Phone
    sink: RecordingSink
    uploads: Uploads

    def receipts(self) -> list[Receipt]:
        return [r for _, raw in self.graph.hooks.got for r in read_delivery(self.phone, raw, CLOCK.now_us()).receipts]

    def inbound(self) -> list[Inbound]:
        return [m for _, raw in self.graph.hooks.got for m in read_delivery(self.phone, raw, CLOCK.now_us()).inbound]

    def shown(self, tracker: str) -> int:
        return len(self.graph.server.network.journal(tracker=tracker))


FAST = Timeouts(connect_s=2.0, answer_s=5.0, upload_s=5.0)


@asynccontextmanager
async def cloud_session(
    rules: Rules | None = None, *, timeouts: Timeouts = FAST, **config: str
) -> AsyncIterator[Cloud]:
    quick = replace(rules or Rules(), sent_after_s=0.01, delivered_after_s=0.03, read_after_s=0.05)
    async with graph_client(quick) as graph, aiohttp.ClientSession() as session:
        uploads, sink = Uploads(), RecordingSink()
        base_url = graph.server.base_url
        provider = CloudProvider(session, clock=CLOCK, uploads=uploads, timeouts=timeouts)
        ids = {"phone_number_id": "100000000000001", **config}
        phone = cloud_phone(base_url, phone_no=1, **ids)
        await provider.open(phone, sink)
        await until(lambda: sink.state(1) is not None)
        try:
            yield Cloud(graph, provider, phone, sink, uploads)
        finally:
            await provider.shutdown()
