"""/simulator as an ASGI application, to be mounted in the gateway behind its check of keys."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from heliograph.ports.simulated_network import DeviceScope
from heliograph.simulator.network import SimulatedNetwork
from heliograph.simulator.routes import MAX_BODY_BYTES, PREFIX, HttpReply, Request, Routes, error_reply, too_large

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def simulator_asgi(network: SimulatedNetwork) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Takes paths with or without /simulator before them, so that any way of mounting works.

    `heliograph.share` in the scope, from whoever checked the key: what of the network the caller has.
    """
    routes = Routes(network)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            await _answer(send, error_reply(too_large()))
            return
        path = PREFIX + scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(PREFIX)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        share = scope.get("heliograph.share", DeviceScope())
        await _answer(send, await routes.handle(Request(scope["method"], path, query, body, share)))

    return app


async def _body(receive: Receive) -> bytes | None:
    """None: larger than is taken."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _answer(send: Send, reply: HttpReply) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(reply.body))]
    if reply.allow:
        headers.append((b"allow", reply.allow.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
