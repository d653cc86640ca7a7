"""The API as one ASGI app.

To add a resource: write a module with handlers declared by `@route(...)` (see http/route.py), and name the module in
`_RESOURCES` below. Authentication, limits, error bodies, headers, decoding and /openapi.json need no further code. A
handler gets an `ApiRequest` and returns a value or raises a Refusal. What it needs of another room is a field of
`ApiDeps`, handed in by `app/`.
"""

from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from heliograph.api.asgi import ApiApp, not_found_app
from heliograph.api.broadcasts import create as broadcast
from heliograph.api.broadcasts import manage as broadcasts
from heliograph.api.http.auth import ApiKeyCache, PhoneCache
from heliograph.api.http.dependencies import ApiDeps
from heliograph.api.http.docs_page import POLICY, docs_page
from heliograph.api.http.errors import from_status, internal_error, log_refusal
from heliograph.api.http.openapi import document
from heliograph.api.http.rate_limit import RateLimit
from heliograph.api.http.request import ApiState
from heliograph.api.http.route import JSON, error_response, options
from heliograph.api.messages import explain, read, send, send_sync
from heliograph.api.phones import check, qr
from heliograph.api.phones import manage as phones
from heliograph.api.queue import audit, control, jobs, legacy, suppressions
from heliograph.api.schedules import manage as schedules
from heliograph.api.system import probes
from heliograph.api.webhooks import deliveries, signing_key
from heliograph.api.webhooks import manage as webhooks

_RESOURCES = (
    send, send_sync, read, explain, jobs, legacy, control, audit, suppressions, broadcast, broadcasts, schedules,
    phones, check, qr, webhooks, signing_key, deliveries,
)  # fmt: skip


def v1_routes() -> list[HTTPRouteHandler]:
    """Lists the handlers that the modules above declare by `@route`."""
    members = (member for module in _RESOURCES for member in vars(module).values())
    return [member for member in members if isinstance(member, HTTPRouteHandler)]


def build_api(deps: ApiDeps) -> ApiApp:
    """Builds everything that is answered over HTTP, ready for a server."""
    key_cache = ApiKeyCache(deps.accounts, deps.clock, deps.guesses)
    phone_cache = PhoneCache(deps.phones, deps.clock)
    state = ApiState(deps, key_cache, phone_cache, RateLimit(deps.rate_limit_per_second, deps.clock))
    handlers = v1_routes()
    described = document(handlers, version=deps.version)
    inner = Litestar(
        route_handlers=[
            Router("/v1", route_handlers=[*options(handlers), *handlers]),
            *probes.routes(deps),
            *_pages(described),
        ],
        openapi_config=None,
        logging_config=None,
        exception_handlers={HTTPException: _not_routed, Exception: _defect},
    )
    return ApiApp(state, inner, mounts=deps.mounts, outside=deps.dashboard or not_found_app)


def _not_routed(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Puts 404 and 405 of Litestar's routing into the contract's shape."""
    text = "There is nothing at this path; see /docs" if error.status_code == 404 else error.detail
    response = error_response(log_refusal(from_status(error.status_code, text), request.method, request.url.path))
    if allowed := (error.headers or {}).get("allow"):
        response.headers["allow"] = allowed
    return response


def _defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return error_response(internal_error(error, request.method))


def _pages(described: dict[str, Any]) -> list[HTTPRouteHandler]:
    encoded, html = msgspec.json.encode(described), docs_page(described)

    async def openapi() -> Response[bytes]:
        return Response(encoded, media_type=JSON)

    async def docs() -> Response[bytes]:
        headers = {"Content-Security-Policy": POLICY}
        return Response(html, media_type="text/html", headers=headers)

    pages = (("/openapi.json", openapi), ("/docs", docs))
    return [HTTPRouteHandler([path], http_method="GET", status_code=200)(page) for path, page in pages]
