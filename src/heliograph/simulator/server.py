"""The simulated network as a process of its own: /simulator over HTTP, and a WebSocket for any number of gateways.

It takes no key, so it must listen on loopback alone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web

from heliograph.domain.errors import CannotStart
from heliograph.ports import simulated_network_protocol as wire
from heliograph.ports.clock import Chance, Clock
from heliograph.simulator.gateway_socket import GatewaySocket
from heliograph.simulator.network import SimulatedNetwork, open_network
from heliograph.simulator.routes import MAX_BODY_BYTES, Request, Routes, error_reply, too_large

_HEARTBEAT_S = 15.0


@asynccontextmanager
async def simulator_server(
    host: str, port: int, journal: Path, *, clock: Clock, chance: Chance
) -> AsyncIterator[tuple[str, SimulatedNetwork]]:
    """Runs until the block ends; gives its URL. Port 0: any free one. Raises CannotStart."""
    _check_loopback(host)
    async with open_network(journal, clock, chance) as network:
        runner = web.AppRunner(_application(network), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise CannotStart(f"Cannot listen on {host} port {port}: {error.strerror or error}") from None
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{runner.addresses[0][1]}", network
        finally:
            await runner.cleanup()


async def serve(
    host: str,
    port: int,
    journal: Path,
    *,
    clock: Clock,
    chance: Chance,
    started: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """`heliograph simulator`: until `stop` is set, or for ever. `started` hears the URL once the port is open."""
    async with simulator_server(host, port, journal, clock=clock, chance=chance) as (url, _):
        if started:
            started(url)
        await (stop or asyncio.Event()).wait()


def _application(network: SimulatedNetwork) -> web.Application:
    routes = Routes(network)
    sockets: set[web.WebSocketResponse] = set()

    async def line(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=wire.MAX_MESSAGE_BYTES)
        await socket.prepare(request)
        sockets.add(socket)
        try:
            await GatewaySocket(network, socket).serve()
        finally:
            sockets.discard(socket)
        return socket

    async def plain(request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            reply = error_reply(too_large())
        else:
            reply = await routes.handle(Request(request.method, request.path, dict(request.query), body))
        headers = {"Allow": reply.allow} if reply.allow else None
        return web.Response(status=reply.status, body=reply.body, content_type="application/json", headers=headers)

    async def close_sockets(_: web.Application) -> None:
        for socket in list(sockets):
            await socket.close(code=1001)

    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.router.add_get(wire.PATH, line)
    application.router.add_route("*", "/{path:.*}", plain)
    application.on_shutdown.append(close_sockets)
    return application


def _check_loopback(host: str) -> None:
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise CannotStart(f"The simulated network takes no key, so it listens on loopback only, not on {host}")
