"""HTTP connection of uvicorn with the fast path for sends.

A send with a complete body is offered to the fast path. If it is accepted, it needs no task and its answer is one
write. uvicorn handles everything else: pipelined requests, `Expect: 100-continue`, large bodies, clients that do not
read, and whatever the fast path does not accept.

Promise: one answer a request, in order, and a stopping server answers the requests in progress. Both ways use uvicorn's
own request cycle, so its rules hold for both.
Known weakness: this relies on internals of uvicorn's httptools protocol; tests/acceptance/test_connections.py shows
that a new version still fits.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from heliograph.api.http.errors import error_body
from heliograph.domain.errors import BadRequest

MAX_DIGITS = 5  # of a Content-Length on the fast path: up to 99,999
Headers = list[tuple[bytes, bytes]]


class SendPath(Protocol):
    """The part of `api.messages.fast_path.FastPath` that a connection uses."""

    def take(self, headers: Headers, body: bytes | bytearray, answer: Any) -> bool: ...


class Connection(HttpToolsProtocol):
    """A connection. `fast_path` is offered POSTs to `paths` of at most `max_bytes`."""

    def __init__(self, *, fast_path: SendPath, paths: frozenset[str], max_bytes: int, **given: Any) -> None:
        super().__init__(**given)
        self._fast_path = fast_path
        self._paths = paths
        self._max_bytes = max_bytes
        self._held: RequestResponseCycle | None = None  # a send whose body is not complete yet
        self._default_headers: Headers | None = None  # uvicorn's own headers, renewed each second
        self._default_lines = b""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope = cycle.scope
        if (
            scope["path"] in self._paths
            and scope["method"] == "POST"
            and app is self.app
            and cycle.more_body
            and not cycle.waiting_for_100_continue
            and not self.flow.write_paused
            and not _is_large(scope["headers"])
        ):
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        held = self._held
        if held is not None and held is self.cycle and len(held.body) > self._max_bytes:
            self._held = None
            super()._start_asgi_task(held, self.app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        held = self._held
        if held is None or held is not self.cycle:
            return
        self._held = None
        if not self._fast_path.take(held.scope["headers"], held.body, _Reply(self, held)):  # type: ignore[arg-type]
            super()._start_asgi_task(held, self.app)

    def send_400_response(self, msg: str) -> None:
        """Refuses a request that is no HTTP in JSON too."""
        body = error_body(BadRequest(msg))
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        end = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join((STATUS_LINE[400], *lines, end, body)))
        self.transport.close()

    def reply(self, cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> None:
        """Writes the whole answer at once."""
        if cycle.disconnected:
            return
        if self._default_headers is not self.server_state.default_headers:
            self._default_headers = self.server_state.default_headers
            self._default_lines = b"".join(b"%b: %b\r\n" % header for header in self._default_headers)
        end = b"content-length: %d\r\n\r\n" if cycle.keep_alive else b"connection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], self._default_lines, lines, end % len(body), body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _is_large(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """True if the announced length is too large for the fast path; its refusal need not wait for the body."""
    return any(name == b"content-length" and len(value) > MAX_DIGITS for name, value in headers)


class _Reply:
    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    def __call__(self, status: int, lines: bytes, body: bytes) -> None:
        self._connection.reply(self._cycle, status, lines, body)
