"""A local Graph server with a receiver of its webhooks, on the system clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp import web

from heliograph.clock import SystemClock
from heliograph.simulator.graph import GraphServer, Rules, graph_server


@dataclass(slots=True)
class Receiver:
    """A receiver of webhooks. `answers`: its next statuses. `got`: signature and raw body of each request."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, bytes]] = field(default_factory=list)
    verify_token: str = "graph-test-verify-token"

    async def post(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.got.append((request.headers.get("X-Hub-Signature-256", ""), raw))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def get(self, request: web.Request) -> web.Response:
        if request.query.get("hub.verify_token") != self.verify_token:
            return web.Response(status=403)
        return web.Response(text=request.query.get("hub.challenge", ""))


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    taker = Receiver()
    app = web.Application()
    app.add_routes([web.post("/hook", taker.post), web.get("/hook", taker.get)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taker.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield taker
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class GraphClient:
    """A local Graph server, the receiver of its webhooks, and an HTTP session."""

    server: GraphServer
    hooks: Receiver
    http: aiohttp.ClientSession

    @property
    def root(self) -> str:
        return f"{self.server.base_url}/v23.0"

    @property
    def phone(self) -> str:
        return next(iter(self.server.network.rules.phones))

    async def post(self, body: dict[str, object], *, token: str | None = None) -> tuple[int, dict[str, object]]:
        """POST /messages as a client would."""
        headers = {"Authorization": f"Bearer {token or self.server.network.rules.token}"}
        async with self.http.post(f"{self.root}/{self.phone}/messages", json=body, headers=headers) as response:
            return response.status, await response.json()


@asynccontextmanager
async def graph_client(rules: Rules | None = None) -> AsyncIterator[GraphClient]:
    async with receiver() as hooks, aiohttp.ClientSession() as http:
        rules = replace(rules or Rules(), callback_url=hooks.url)
        async with graph_server(rules, clock=SystemClock()) as server:
            yield GraphClient(server, hooks, http)
