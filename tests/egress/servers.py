"""Servers and names for tests of the guarded fetch."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from heliograph.clock import SystemClock
from heliograph.egress.addresses import Network, parse_networks
from heliograph.egress.guarded_fetch import GuardedFetch


class FakeResolver:
    """A DNS in memory: each name has a list of addresses, or a function that gives one at each question."""

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[str] | Callable[[], Sequence[str]]] = {}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.get(host.rstrip("."))
        if answer is None:
            # what a system's own resolver makes of an odd spelling is what must be refused too
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
            return [str(entry[4][0]) for entry in found]
        return answer() if callable(answer) else answer


class Listener:
    """A counter of connections to `port`, on any address of this machine, IPv4 and IPv6."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    four = socket.create_server(("0.0.0.0", 0), reuse_port=True)
    listener.port = four.getsockname()[1]
    sockets = [four]
    if socket.has_dualstack_ipv6():
        six = socket.socket(socket.AF_INET6)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.bind(("::", listener.port))
        six.listen()
        sockets.append(six)
    servers = [await asyncio.start_server(listener.count, sock=one) for one in sockets]
    try:
        yield listener
    finally:
        for server in servers:
            server.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def answering(answer: bytes, host: str = "127.0.0.2", port: int = 0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that reads one request's head and answers; gives its port and the heads it saw."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()


@asynccontextmanager
async def guarded(names: FakeResolver | None = None, allow: str = "") -> AsyncIterator[GuardedFetch]:
    allowed: tuple[Network, ...] = parse_networks(allow)
    fetch = GuardedFetch(clock=SystemClock(), allowed=allowed, lookup=names)
    try:
        yield fetch
    finally:
        await fetch.close()
