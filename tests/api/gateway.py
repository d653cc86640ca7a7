"""The API over a real SQLite store in this process: no port, no sender, a manual clock."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from heliograph.api.app import build_api
from heliograph.api.http.dependencies import ApiDeps, Readiness
from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.outcome import Accepted, Outcome
from heliograph.domain.messages.content import Content, Kind
from heliograph.media.folder import MediaFolder
from heliograph.ports.provider import Capabilities, Phone, SendRequest, Sink
from heliograph.store.stores import Stores
from tests.kit.clocks import ManualClock
from tests.kit.database import make_database
from tests.kit.factories import create_phone

NUMBER = "919876543210"
SECRET = "hg_live_0123456789abcdef0123456789abcdef"
BODY_LIMIT = 200_000
START_US = 1_800_000_000_000_000
TEXT_ONLY = Capabilities(frozenset({Kind.TEXT}))


@dataclass
class RecordingWake:
    """Implements ports.wake.Wake; keeps which phones were woken."""

    phone_nos: list[int] = field(default_factory=list)

    def phones(self, phone_nos: Iterable[int]) -> None:
        self.phone_nos += phone_nos


@dataclass
class IdleProvider:
    """A provider that the API can ask what it sends and refuses; it sends nothing."""

    name: str
    capabilities: Capabilities

    def refuses(self, content: Content, chat_id: str) -> tuple[str, str] | None:
        return None if content.type in self.capabilities.kinds else ("type", f"{content.type} cannot be sent")

    async def open(self, phone: Phone, sink: Sink) -> None: ...

    async def close(self, phone_no: int) -> None: ...

    async def restart(self, phone_no: int) -> None: ...

    async def send(self, request: SendRequest) -> Outcome:
        return Accepted()

    def honours_client_id(self, content: Content) -> bool:
        return True

    async def shutdown(self) -> None: ...


@dataclass
class Gateway:
    """An API and its parts. `http` uses the key of `org`; `client(secret)` uses another key."""

    app: Any
    stores: Stores
    media: MediaFolder
    clock: ManualClock
    wake: RecordingWake
    org: OrgRow
    key: KeyRow
    phone: PhoneRow
    http: httpx.AsyncClient

    def client(self, secret: str | None, **headers: str) -> httpx.AsyncClient:
        given = {"Authorization": f"Bearer {secret}", **headers} if secret else headers
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=given)

    async def send(self, **body: Any) -> httpx.Response:
        return await self.http.post("/v1/message/send", json={"chat_id": "919537851844", "message": "Hi"} | body)

    async def jobs(self) -> list[Job]:
        return await self.stores.jobs.jobs(self.org.org_no, None)

    async def add_key(self, org_no: int, secret: str) -> KeyRow:
        digest = hashlib.sha256(secret.encode()).digest()
        return await self.stores.accounts.create_key(org_no, "test", digest, secret[:16])

    async def add_phone(self, org_no: int, number: str, provider: str = "simulator") -> PhoneRow:
        return await create_phone(self.stores, org_no, number, provider)

    def files(self) -> list[Path]:
        return [path for path in self.media.path("0" * 64).parents[1].rglob("*") if path.is_file()]


@asynccontextmanager
async def open_gateway(folder: Path, **changes: Any) -> AsyncIterator[Gateway]:
    clock, wake = ManualClock(START_US), RecordingWake()
    ids = JobIds(clock.now_us)
    database = make_database(folder / "heliograph.db", clock)
    await database.open()
    stores = Stores(database, clock, ids)
    media = MediaFolder(folder / "media")
    everything = Capabilities(frozenset(Kind), media_max_bytes={Kind.IMAGE: 5000}, test_recipients=True)
    carriers = {"simulator": IdleProvider("simulator", everything), "cloud": IdleProvider("cloud", TEXT_ONLY)}

    async def ready() -> Readiness:
        return Readiness(True, {"database": "ok"})

    async def metrics() -> bytes:
        return b"heliograph_up 1\n"

    given: dict[str, Any] = {
        "jobs": stores.jobs,
        "accounts": stores.accounts,
        "phones": stores.phones,
        "broadcasts": stores.broadcasts,
        "schedules": stores.schedules,
        "control": stores.control,
        "media": media,
        "wake": wake,
        "clock": clock,
        "job_ids": ids,
        "provider": carriers.get,
        "provider_names": ("simulator",),
        "pairing_code": lambda phone: f"pair:{phone.phone_id}" if phone.provider == "simulator" else None,
        "ready": ready,
        "metrics": metrics,
        "pacing_for": lambda _: "none",
        "max_body_bytes": BODY_LIMIT,
        "rate_limit_per_second": 0,
        "closing": lambda: False,
    }
    try:
        app = build_api(ApiDeps(**(given | changes)))
        org = await stores.accounts.create_org("First")
        made = Gateway(app, stores, media, clock, wake, org, None, None, None)  # type: ignore[arg-type]
        made.key = await made.add_key(org.org_no, SECRET)
        made.phone = await made.add_phone(org.org_no, NUMBER)
        made.http = made.client(SECRET)
        async with made.http:
            yield made
    finally:
        await database.close()
