"""The server as a process: listening, stopping in order, the exit code.

Promise: it works, or raises CannotStart with one line. On SIGTERM it stops accepting and starting, waits at most 2 s
for messages in flight, releases its phones, and returns 0 within 10 s.
"""

import asyncio
import contextlib
import functools
import gc
import signal
import socket
import sys
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any, cast

import structlog
import uvicorn

from heliograph.api.asgi import ApiApp
from heliograph.api.messages.fast_path import MAX_BYTES, SENDS
from heliograph.app.gateway import Gateway, open_gateway
from heliograph.app.http.admission import Admission
from heliograph.app.http.connection import Connection
from heliograph.app.http.limits import HttpLimits, fit_descriptors
from heliograph.clock import SystemClock
from heliograph.domain.errors import CannotStart
from heliograph.settings import Settings
from heliograph.telemetry.logs import set_up_logs

GRACE_S = 2
# the writer thread needs the interpreter after each statement; with the default it would wait 5 ms each time
SWITCH_S = 0.0005
# objects made minus freed before a collection of cycles; a request in progress holds some dozens
GC_YOUNG = 10_000


async def serve(settings: Settings) -> int:
    """Runs the server until SIGTERM or SIGINT, and returns the exit code."""
    set_up_logs(settings.log_level, settings.log_format)
    log = structlog.get_logger("heliograph")
    clock = SystemClock()
    sys.setswitchinterval(SWITCH_S)
    listener = _listen(settings) if "api" in settings.roles else None
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(open_gateway(settings, clock, log))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = _Server(running.api, _limits(settings)) if listener is not None else None
        services = [asyncio.create_task(work, name=name) for name, work in running.services.items()]
        if server is not None and listener is not None:
            services.append(asyncio.create_task(server.serve(sockets=[listener]), name="http"))
            _say_where(settings, listener, running)
        gc.collect()
        gc.freeze()  # the objects of the start stay, so no collection needs to visit them
        gc.set_threshold(GC_YOUNG, 20, 20)
        ending = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([ending, *services], return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in services if task.done() and not stop.is_set()]  # a service never ends by itself
        running.closing.set()
        if server is not None:
            server.should_exit = True
        if running.sender is not None:
            await running.sender.stop()
        with contextlib.suppress(TimeoutError):
            http = [task for task in services if task.get_name() == "http"]
            await asyncio.wait_for(asyncio.gather(*http, return_exceptions=True), GRACE_S + 2)
        for task in [ending, *services]:
            task.cancel()
        await asyncio.gather(ending, *services, return_exceptions=True)
        for task in failed:
            why = "cancelled" if task.cancelled() else repr(task.exception() or "it returned")
            log.error("service_failed", service=task.get_name(), error=why)
        log.info("stopped")
    return 1 if failed else 0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers."""

    def __init__(self, app: ApiApp, limits: HttpLimits) -> None:
        protocol = functools.partial(
            Connection, admission=Admission(limits), fast_path=app.fast_path, paths=SENDS, most_bytes=MAX_BYTES
        )
        super().__init__(
            uvicorn.Config(
                app,
                http=cast(Any, protocol),
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                date_header=True,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _limits(settings: Settings) -> HttpLimits:
    return fit_descriptors(
        HttpLimits(
            connections=settings.max_connections,
            connections_per_address=min(settings.max_connections_per_address, settings.max_connections),
            head_s=settings.head_timeout_seconds,
            body_s=settings.body_timeout_seconds,
            idle_s=settings.idle_timeout_seconds,
        )
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Is another server running there? Choose another with --port."
        ) from None
    listener.setblocking(False)
    return listener


def _say_where(settings: Settings, listener: socket.socket, running: Gateway) -> None:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    here = f"http://{host}:{port}"
    url = settings.url or here  # the address that people open
    out = [f"Heliograph {version('heliograph')} listens on {here}"]
    if url != here:
        out.append(f"  public    {url}   (HELIOGRAPH_URL)")
    if running.login_path:
        out.append(f"  page      {url}{running.login_path}   (once, within 15 minutes)")
    if running.new_secret:
        out.append(f"  API key   {running.new_secret}   (shown once: keep it)")
    out.append(f"  API       {url}/docs")
    print("\n".join(out), file=sys.stderr, flush=True)
