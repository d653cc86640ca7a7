"""Starting and stopping the local Graph server, in a test or as `heliograph simulator --graph`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from heliograph.ports.clock import Clock
from heliograph.simulator.graph.config import Rules
from heliograph.simulator.graph.network import GraphNetwork
from heliograph.simulator.graph.server import GraphRoutes
from heliograph.simulator.graph.webhooks import Callbacks

_CALLBACK_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class GraphServer:
    """A running server. `base_url` is what a phone's `base_url` must be."""

    base_url: str
    network: GraphNetwork
    callbacks: Callbacks


@asynccontextmanager
async def graph_server(
    rules: Rules | None = None, *, clock: Clock, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[GraphServer]:
    """Runs until the block ends. Port 0: any free one."""
    limit = aiohttp.ClientTimeout(total=_CALLBACK_LIMIT_S)
    async with aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session:
        network = GraphNetwork(rules or Rules(), clock, lambda *item: callbacks.say(*item))
        callbacks = Callbacks(session, clock, lambda: network.rules)
        runner = web.AppRunner(GraphRoutes(network, callbacks, clock).application(), access_log=None)
        await runner.setup()
        deliveries = asyncio.create_task(callbacks.run(), name="graph-callbacks")
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = runner.addresses[0][1]
            yield GraphServer(f"http://{host}:{bound}", network, callbacks)
        finally:
            deliveries.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deliveries
            await runner.cleanup()


async def serve_graph(
    host: str,
    port: int,
    *,
    clock: Clock,
    rules: Rules | None = None,
    started: Callable[[GraphServer], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Runs until `stop` is set (or for ever). `started` is told once the port is open. OSError: the port is taken."""
    async with graph_server(rules, clock=clock, host=host, port=port) as server:
        if started is not None:
            started(server)
        await (stop or asyncio.Event()).wait()
