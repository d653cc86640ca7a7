"""A connection as uvicorn speaks it, stricter, bounded, and with the fast path for sends beside it.

A head is kept until it is whole, checked (`strict.py`) and only then parsed; a body ends where its head said. The next
request is parsed when the one before is answered. A send whose body is whole is offered to `api.messages.fast_path`; if
it is taken, no task is made for it and its answer goes out in one write. Everything else goes on as uvicorn does it.

Promise: one answer a request, in order, and a stopping server lets what is under way be answered: uvicorn's own
request cycle stands for a request on either way, so its rules for both are the same. Nothing that came after a refusal,
or after a request that closes the connection, is read as a request. `limits.py` bounds what one connection may hold.
Known weakness: this leans on uvicorn's httptools protocol from the inside; tests/acceptance/test_connections.py and
tests/app/http show that a new version still fits.
"""

from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from heliograph.app.http.admission import Admission
from heliograph.app.http.chunks import Chunks
from heliograph.app.http.fast_path import Headers, Takes
from heliograph.app.http.patience import Patience
from heliograph.app.http.refusals import HeadTooLarge, Refused, last_answer
from heliograph.app.http.strict import body_length, check_request_line, without_upgrade
from heliograph.domain.errors import BadRequest, Refusal, Unavailable

# the part of a request that the next byte belongs to; plain numbers, as each request asks for it many times
HEAD, SIZED, CHUNKED = range(3)
LARGE_BYTES = 100_000  # of a body that need not wait until it is complete: it is refused, or read as it comes
_END = b"\r\n\r\n"


class _Upgrade(Exception):
    """The head asks for another protocol, which is ignored."""


class Connection(HttpToolsProtocol):
    """`fast_path` takes POSTs to `paths` of at most `most_bytes`."""

    def __init__(
        self, *, admission: Admission, fast_path: Takes, paths: frozenset[str], most_bytes: int, **given: Any
    ) -> None:
        super().__init__(**given)
        self.admission = admission
        self.limits = admission.limits
        self._patience = Patience(self)
        self._fast_path = fast_path
        self._paths = paths
        self._most_bytes = most_bytes
        self._held: RequestResponseCycle | None = None  # its body is not whole yet
        self._standing: Headers | None = None  # uvicorn's headers of every answer, renewed each second
        self._standing_lines = b""
        self._websockets = self.ws_protocol_class is not None
        self.part = HEAD
        self.deaf = False  # what comes from now on is thrown away
        self.requests = 0
        self.taken = 0  # bytes of the present body
        self._left = 0  # bytes of the present body that are to come
        self._waiting = b""  # an incomplete head, or what came before it may be read
        self._searched = 0
        self._chunks = Chunks(self.limits)  # of the present body, if it comes in chunks
        self._checked = b"GET / HTTP/1.1\r\n"  # the last request line that was found right
        self._parsing = False  # a checked head

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        refusal = self.admission.enter(self, self.client[0] if self.client else None)
        if refusal is None:
            return
        if self.admission.may_linger:
            self.refuse(refusal)
        else:
            self.deaf = True
            transport.write(last_answer(refusal, self.server_state.default_headers))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.admission.leave(self)
        self._keep(b"")
        self.deaf = True
        super().connection_lost(exc)

    @property
    def waits_for_head(self) -> bool:
        """Says whether a head has begun and is not complete."""
        return bool(self._waiting)

    def sweep(self, now: float) -> None:
        self._patience.look(now)

    def resume_writing(self) -> None:
        self._patience.read += 1
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        if self._waiting:
            data, searched = self._waiting + data, self._searched
            self._keep(b"")
            self._read(data, searched)
        else:
            self._read(data, 0)
        held = self._held
        if held is not None and not self._fast_path.knows(held.scope["headers"]):  # type: ignore[arg-type]
            self._start(held)  # nobody's body is kept

    def _read(self, data: bytes, searched: int) -> None:
        """Each piece that is parsed belongs to one part of one request. No head ends before `searched`."""
        at, size = 0, len(data)
        while at < size and not self.deaf:
            if (part := self.part) == HEAD:
                if self.cycle is not None and not self.cycle.response_complete:
                    self._wait(data[at:])
                    return
                end = data.find(_END, searched if searched > at else at) + 4
                if end == 3 or end - at > self.limits.head_bytes:
                    self._incomplete(data[at:])
                    return
                self._head(data[at:end])
            elif part == SIZED:
                end = min(size, at + self._left)
                self._left -= end - at
                self._feed(data[at:end])
            else:
                end = self._chunks.end(data, at)
                before = self.taken
                self._feed(data[at:end])
                if self.part == CHUNKED and (long := self._chunks.count(end - at, grew=self.taken > before)):
                    self.refuse(long)
            at = end

    def _keep(self, data: bytes, searched: int = 0) -> bool:
        """Keeps the bytes, unless the connections of the server hold too many."""
        if not self.admission.hold(len(data) - len(self._waiting)):
            return False
        self._waiting, self._searched = data, searched
        return True

    def _wait(self, data: bytes) -> None:
        """Keeps a pipelined request until the one before it is answered."""
        if self._keep(data):
            self.flow.pause_reading()
        else:
            self.deaf = True
            self.cycle.keep_alive = False

    def _incomplete(self, data: bytes) -> None:
        if len(data) > self.limits.head_bytes:
            self.refuse(HeadTooLarge(f"The head of a request may have at most {self.limits.head_bytes} bytes"))
        elif (data[:1] < b"A" and data[:2] not in (b"\r", b"\r\n")) or data.count(b"\n") != data.count(b"\r\n"):
            self.refuse(BadRequest("Invalid HTTP request received."))
        elif data.count(b"\r\n") > self.limits.fields + 2:
            self.refuse(HeadTooLarge(f"The head of a request may have at most {self.limits.fields} fields"))
        elif not self._keep(data, max(0, len(data) - 3)):
            self.refuse(Unavailable("This server is busy with other requests. Try again later.", retry_after_s=5))

    def _head(self, head: bytes) -> None:
        if head[:2] == b"\r\n":  # one empty line before a request is forgiven, as by most servers
            head = head[2:]
            if head == b"\r\n":
                self.refuse(BadRequest("Invalid HTTP request received."))
                return
        if not head.startswith(self._checked):  # most clients repeat their request line
            try:
                self._checked = check_request_line(head)
            except Refusal as refusal:
                self.refuse(refusal)
                return
        self._parsing = True
        self._feed(head)
        self._parsing = False

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # only where a WebSocket is spoken
            self.admission.leave(self)
            self.deaf = True
            self.handle_websocket_upgrade()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _Upgrade):
                self.parser = httptools.HttpRequestParser(self)
                self._feed(without_upgrade(data))
            else:
                known = isinstance(cause, Refused)
                self.refuse(cause.refusal if known else BadRequest("Invalid HTTP request received."))  # type: ignore[union-attr]

    def on_message_begin(self) -> None:
        if not self._parsing:
            raise Refused(BadRequest("Invalid HTTP request received."))
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.part == HEAD:
            name = name.lower()
            value = value.rstrip(b" \t")  # the parser leaves it there
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))
            return
        try:
            self._chunks.trailer(name)
        except Refusal as refusal:
            raise Refused(refusal) from None

    def on_headers_complete(self) -> None:
        parser = self.parser
        if parser.should_upgrade() and not self._should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise Refused(BadRequest("Invalid HTTP request received: this server is no proxy"))
            raise _Upgrade
        try:
            length = body_length(self.headers, parser.get_http_version(), self.limits.fields)
        except Refusal as refusal:
            raise Refused(refusal) from None
        self.requests += 1
        self.taken = 0
        if length is None:
            self._chunks = Chunks(self.limits)
            self.part, self._left = CHUNKED, 0
        else:
            self.part, self._left = SIZED, length
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope = cycle.scope
        if (
            scope["path"] in self._paths
            and scope["method"] == "POST"
            and app is self.app
            and cycle.more_body
            and not cycle.waiting_for_100_continue
            and not self.flow.write_paused
            and self._left < LARGE_BYTES
        ):
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self.taken += len(body)
        cycle = self.cycle
        if (self._websockets and self._becomes_websocket()) or cycle.response_complete:
            return
        cycle.body += body
        if self._held is not None:
            if self.taken > self._most_bytes:
                self._start(cycle)
            return
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self.part = HEAD
        cycle = self.cycle
        if self._websockets and self._becomes_websocket():
            return
        if not cycle.keep_alive:
            self.deaf = True
        if cycle.response_complete:
            return
        cycle.more_body = False
        if self._held is None:
            cycle.message_event.set()
            return
        self._held = None
        if not self._fast_path.take(cycle.scope["headers"], cycle.body, partial(self.reply, cycle)):  # type: ignore[arg-type]
            self._start(cycle)

    def _start(self, held: RequestResponseCycle) -> None:
        """Gives a request that does not take the fast path to the app."""
        self._held = None
        held.message_event.set()
        super()._start_asgi_task(held, self.app)

    def _becomes_websocket(self) -> bool:
        return self.parser.should_upgrade() and self._should_upgrade()

    def on_response_complete(self) -> None:
        """Does what uvicorn does, without a timer for each request: `sweep` ends idle connections."""
        self.server_state.total_requests += 1
        if self.cycle.body:
            self.cycle.body = bytearray()  # what the app did not read is kept no longer than its answer takes
        if self.transport.is_closing():
            return
        if self._waiting and self.part == HEAD:
            self.loop.call_soon(self._go_on)
        else:
            self.flow.resume_reading()

    def _go_on(self) -> None:
        if not self.deaf and not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(b"")

    def refuse(self, refusal: Refusal) -> None:
        """Answers what is no request, or no more one; then closes. In JSON, as every refusal."""
        self.deaf = True
        self._held = None
        self._keep(b"")
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self.part == HEAD:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if self.part == HEAD or not cycle.response_complete:
            self.transport.write(last_answer(refusal, self.server_state.default_headers))
        self.flow.resume_reading()
        self._patience.linger()

    def reply(self, cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> None:
        """The whole answer in one write."""
        if cycle.disconnected:
            return
        if self._standing is not self.server_state.default_headers:
            self._standing = self.server_state.default_headers
            self._standing_lines = b"".join(b"%b: %b\r\n" % header for header in self._standing)
        end = b"content-length: %d\r\n\r\n" if cycle.keep_alive else b"connection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], self._standing_lines, lines, end % len(body), body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
