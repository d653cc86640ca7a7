"""/healthz (the process is up), /readyz (it can work) and /metrics for operators, without a key.

Their answers hold no number, text or name of a customer.
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
        readiness = await deps.ready()
        body = {"status": "ready" if readiness.ready else "not ready", "checks": dict(readiness.checks)}
        return _plain(body, 200 if readiness.ready else 503)

    async def metrics() -> Response[bytes]:
        return Response(await deps.metrics(), media_type=METRICS_TYPE)

    probes = (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics))
    return [
        HTTPRouteHandler([path], http_method=["GET", "HEAD"], status_code=200, media_type=JSON)(probe)
        for path, probe in probes
    ]


def _plain(value: Any, status: int) -> Response[bytes]:
    return Response(msgspec.json.encode(value), status_code=status, media_type=JSON)
