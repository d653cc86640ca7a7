"""The ASGI entry of the API: every request passes here before it is routed.

Under /v1 the checks come in this order: bearer key (401), rate limit (429), size of the body (413). Then Litestar
routes the request. Other paths belong to the API's own pages, to a mounted app, or to the app outside.

Promise: every answer under /v1 is JSON with the contract's headers. A defect is logged and answered with a plain 500.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from heliograph.api.http.auth import Caller
from heliograph.api.http.body import ClientGone, read_body
from heliograph.api.http.dependencies import AsgiApp, Mount
from heliograph.api.http.errors import Headers, error_body, from_status, headers_of, internal_error, log_refusal
from heliograph.api.http.rate_limit import RateLimitState
from heliograph.api.http.request import ApiRequest, ApiState, RequestHeaders
from heliograph.api.http.trace import Traces
from heliograph.api.messages.fast_path import FastPath
from heliograph.domain.accounts.client_address import client_address
from heliograph.domain.errors import Refusal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OWN_PAGES = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"})
_JSON = (b"content-type", b"application/json")
_traces = Traces()


class ApiApp:
    """An ASGI app. `inner` routes /v1 and OWN_PAGES, `mounts` follow by the longest path, `outside` gets the rest.

    `fast_path` is for a server that offers it the POSTs to `fast_path.SENDS` before it calls the app.
    """

    def __init__(self, state: ApiState, inner: AsgiApp, *, mounts: tuple[Mount, ...], outside: AsgiApp) -> None:
        self._state = state
        self._inner = inner
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.path))
        self._outside = outside
        self.fast_path = FastPath(state)

    async def __call__(self, scope: Scope, receive: Receive, send_: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send_)
            return
        path, is_http = scope["path"], scope["type"] == "http"
        if is_http and (path.startswith("/v1/") or path == "/v1"):
            await _Exchange(self._state, scope, receive, send_).run(self._inner)
            return
        if is_http and path.rstrip("/") in OWN_PAGES:
            await self._inner(scope, receive, send_)
            return
        for mount in self._mounts:
            if path == mount.path or path.startswith(f"{mount.path}/"):
                if mount.provider is not None and is_http:
                    await _Exchange(self._state, scope, receive, send_).run_mounted(mount.app, mount.provider)
                else:
                    await mount.app(scope, receive, send_)
                return
        await self._outside(scope, receive, send_)


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_caller", "_head", "_rate", "_receive", "_scope", "_send", "_started", "_state", "_status")

    def __init__(self, state: ApiState, scope: Scope, receive: Receive, send_: Send) -> None:
        self._state = state
        self._scope = scope
        self._receive = receive
        self._send = send_
        self._head = RequestHeaders(scope["headers"])
        self._caller: Caller | None = None
        self._rate: RateLimitState | None = None
        self._started = False
        self._status = 500

    async def run(self, inner: AsgiApp) -> None:
        try:
            await self._enter()
            limit = self._state.deps.max_body_bytes
            await self._route(inner, await read_body(self._receive, self._head.content_length, limit))
        except Refusal as refusal:
            await self._refuse(refusal)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge: a defect is a JSON answer and a line in the log
            defect = internal_error(error, self._scope["method"])
            if not self._started:
                await self._refuse(defect)
        self._state.deps.meter.answered(self._status)

    async def run_mounted(self, app: AsgiApp, provider: str) -> None:
        """Calls another room's app after the check of the key; the scope holds what the caller may see of it."""
        try:
            caller = await self._state.keys.caller(self._head.authorization, _address(self._scope))
            share = await self._state.deps.phones.device_scope(caller.org_no, provider)
        except Refusal as refusal:
            await self._refuse(refusal)
            return
        self._scope["heliograph.share"] = share
        await app(self._scope, self._receive, self._send)

    async def _enter(self) -> None:
        self._caller = await self._state.keys.caller(self._head.authorization, _address(self._scope))
        self._rate = self._state.limit.count_request(self._caller.key.key_no)
        if self._rate is not None and self._rate.over:
            raise self._rate.refusal()

    async def _route(self, inner: AsgiApp, body: bytes | bytearray) -> None:
        assert self._caller is not None
        scope = self._scope
        call = ApiRequest(
            self._state,
            self._caller,
            self._head,
            body,
            method=scope["method"],
            query_string=scope["query_string"],
        )
        scope["heliograph"] = call

        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._started, self._status = True, message["status"]
                added = self._headers()
                if call.phone is not None:
                    added.append((b"x-periskope-phone-id", call.phone.phone_id.encode()))
                message["headers"] = [*message["headers"], *added]
            await self._send(message)

        await inner(scope, self._receive, send_with_headers)

    def _headers(self) -> Headers:
        """Makes the headers of every answer under /v1. Source: contract section 1, "Response headers"."""
        headers: Headers = [(b"x-periskope-trace-id", _traces.make())]
        if self._caller is not None:
            headers.append(self._caller.org_header)
        if self._rate is not None:
            headers += self._rate.headers()
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
    """Answers 404 in JSON: the last app for a path of no other."""
    if scope["type"] == "websocket":
        await send_({"type": "websocket.close", "code": 1000})
        return
    body = error_body(from_status(404, "There is nothing at this path; the API is under /v1, its description at /docs"))
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send_({"type": "http.response.start", "status": 404, "headers": headers})
    await send_({"type": "http.response.body", "body": body})
