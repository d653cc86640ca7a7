"""/healthz (the process is up), /readyz (it can do its work) and /metrics, for those who run the gateway; no key.

What they tell holds no number, no text and no name of a customer.
"""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from heliograph.api.http.dependencies import ApiDeps
from heliograph.api.http.route import JSON

METRICS_TYPE = "text/plain; version=0.0.4"


def routes(deps: ApiDeps) -> list[HTTPRouteHandler]:
    async def healthz() -> Response[bytes]:
        return _plain({"status": "ok"}, 200)

    async def readyz() -> Response[bytes]:
        found = await deps.ready()
        said = {"status": "ready" if found.ready else "not ready", "checks": dict(found.checks)}
        return _plain(said, 200 if found.ready else 503)

    async def metrics() -> Response[bytes]:
        return Response(await deps.metrics(), media_type=METRICS_TYPE)

    found = (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics))
    return [
        HTTPRouteHandler([path], http_method=["GET", "HEAD"], status_code=200, media_type=JSON)(one)
        for path, one in found
    ]


def _plain(value: Any, status: int) -> Response[bytes]:
    return Response(msgspec.json.encode(value), status_code=status, media_type=JSON)
