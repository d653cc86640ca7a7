"""The front of the API: every request under /v1 passes here before anything is routed.

In this order: bearer key (401), rate limit (429), body within its limit (413). Then POST /message/send goes straight to
`send.send` (no routing in between: this path is what a busy gateway does all day), everything else to Litestar.
Paths outside /v1 go to whoever is mounted there; what nobody takes is a 404 in JSON.

Promise: every answer, whatever went wrong, is JSON with the contract's headers; a defect is logged and is a plain 500.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from heliograph.api.http.auth import Caller
from heliograph.api.http.body import ClientGone, read_body
from heliograph.api.http.dependencies import AsgiApp, Mount
from heliograph.api.http.errors import Headers, error_body, from_status, headers_of, internal_error, log_refusal
from heliograph.api.http.idempotency import REPLAYED
from heliograph.api.http.rate_limit import RateLimitState
from heliograph.api.http.request import ApiRequest, ApiState, RequestHeaders
from heliograph.api.http.trace import Traces
from heliograph.api.messages.fast_path import FastPath
from heliograph.api.messages.send import SEND, answer_of, send
from heliograph.domain.accounts.client_address import client_address
from heliograph.domain.errors import Refusal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SENDS = frozenset({SEND, "/v1/messages/send"})
_JSON = (b"content-type", b"application/json")
_traces = Traces()


class ApiApp:
    """An ASGI app. `inner` routes what is under /v1, `mounts` by the longest path first, `outside` has the rest.

    `shortcut` is for a server that offers it POSTs to SENDS before it calls the app.
    """

    def __init__(self, desk: ApiState, inner: AsgiApp, *, mounts: tuple[Mount, ...], outside: AsgiApp) -> None:
        self._desk = desk
        self._inner = inner
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.path))
        self._outside = outside
        self.shortcut = FastPath(desk)

    async def __call__(self, scope: Scope, receive: Receive, send_: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send_)
        elif scope["type"] == "http" and (scope["path"].startswith("/v1/") or scope["path"] == "/v1"):
            await _Exchange(self._desk, scope, receive, send_).run(self._inner)
        else:
            await self._elsewhere(scope, receive, send_)

    async def _elsewhere(self, scope: Scope, receive: Receive, send_: Send) -> None:
        path = scope["path"]
        for mount in self._mounts:
            if path == mount.path or path.startswith(f"{mount.path}/"):
                if mount.provider is not None and scope["type"] == "http":
                    await _Exchange(self._desk, scope, receive, send_).run_mounted(mount.app, mount.provider)
                else:
                    await mount.app(scope, receive, send_)
                return
        await self._outside(scope, receive, send_)


class _Exchange:
    """One request and its answer."""

    __slots__ = (
        "_caller",
        "_desk",
        "_head",
        "_receive",
        "_scope",
        "_send",
        "_standing",
        "_started",
        "_status",
    )

    def __init__(self, desk: ApiState, scope: Scope, receive: Receive, send_: Send) -> None:
        self._desk = desk
        self._scope = scope
        self._receive = receive
        self._send = send_
        self._head = RequestHeaders(scope["headers"])
        self._caller: Caller | None = None
        self._standing: RateLimitState | None = None
        self._started = False
        self._status = 500

    async def run(self, inner: AsgiApp) -> None:
        try:
            await self._enter()
            limit = self._desk.deps.max_body_bytes
            body = await read_body(self._receive, self._head.content_length, limit)
            if self._scope["path"] in SENDS and self._scope["method"] == "POST":
                await self._accept(body)
            else:
                await self._route(inner, body)
        except Refusal as refusal:
            await self._refuse(refusal)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge: a defect is a JSON answer and a line in the log
            said = internal_error(error, self._scope["method"])
            if not self._started:
                await self._refuse(said)
        self._desk.deps.meter.answered(self._status)

    async def run_mounted(self, app: AsgiApp, provider: str) -> None:
        """Another room's app behind the bearer key; it reads its body itself, and is told what the caller has of it."""
        try:
            caller = await self._desk.keys.caller(self._head.authorization, _address(self._scope))
            share = await self._desk.deps.accounts.share(caller.org_no, provider)
        except Refusal as refusal:
            await self._refuse(refusal)
            return
        self._scope["heliograph.share"] = share
        await app(self._scope, self._receive, self._send)

    async def _enter(self) -> None:
        desk = self._desk
        self._caller = await desk.keys.caller(self._head.authorization, _address(self._scope))
        self._standing = desk.limit.count_request(self._caller.key.key_no)
        if self._standing is not None and self._standing.over:
            raise self._standing.refusal()

    async def _accept(self, body: bytes | bytearray) -> None:
        assert self._caller is not None
        enqueued, phone = await send(self._desk, self._caller, self._head, body)
        headers = self._headers()
        headers.append((b"x-periskope-phone-id", phone.phone_id.encode()))
        if enqueued.replayed:
            headers.append(REPLAYED)
        await self._answer(200, answer_of(enqueued), headers)

    async def _route(self, inner: AsgiApp, body: bytes | bytearray) -> None:
        assert self._caller is not None
        scope = self._scope
        call = ApiRequest(
            self._desk,
            self._caller,
            self._head,
            body,
            method=scope["method"],
            query_string=scope["query_string"],
        )
        scope["heliograph"] = call

        async def headed(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._started, self._status = True, message["status"]
                added = self._headers()
                if call.phone is not None:
                    added.append((b"x-periskope-phone-id", call.phone.phone_id.encode()))
                message["headers"] = [*message["headers"], *added]
            await self._send(message)

        await inner(scope, self._receive, headed)

    def _headers(self) -> Headers:
        """Of every answer under /v1. Source: contract section 1, "Response headers"."""
        headers: Headers = [(b"x-periskope-trace-id", _traces.make())]
        if self._caller is not None:
            headers.append(self._caller.org_header)
        if self._standing is not None:
            headers += self._standing.headers()
        return headers

    async def _refuse(self, refusal: Refusal) -> None:
        log_refusal(refusal, self._scope.get("method", ""), self._scope["path"])
        await self._answer(refusal.status, error_body(refusal), [*self._headers(), *headers_of(refusal)])

    async def _answer(self, status: int, body: bytes, headers: Headers) -> None:
        headers += (_JSON, (b"content-length", b"%d" % len(body)))
        self._started, self._status = True, status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client_address(client[0]) if client else ""


async def not_found_app(scope: Scope, _receive: Receive, send_: Send) -> None:
    """The last app of all: 404 in JSON for a path that nobody takes."""
    if scope["type"] == "websocket":
        await send_({"type": "websocket.close", "code": 1000})
        return
    body = error_body(from_status(404, "There is nothing at this path; the API is under /v1, its description at /docs"))
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send_({"type": "http.response.start", "status": 404, "headers": headers})
    await send_({"type": "http.response.body", "body": body})
