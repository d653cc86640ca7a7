"""The HTTP server without sockets: bytes go in, requests and responses come out."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from heliograph.app.http.admission import Admission
from heliograph.app.http.connection import Connection
from heliograph.app.http.limits import HttpLimits

SENDS = frozenset({"/v1/message/send"})


@dataclass(frozen=True)
class Seen:
    """A request as the app got it."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Wire(asyncio.Transport):
    """A transport that keeps what is written; `full` makes it one whose client does not read."""

    def __init__(self, host: str) -> None:
        super().__init__({"peername": (host, 1), "sockname": ("127.0.0.1", 80)})
        self.written = b""
        self.closed = self.aborted = self.ended = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written after the end"
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Shortcut:
    """Takes every send that says so, and answers at once or when `later` are called."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.known = True
        self.later: list[Any] | None = None

    def knows(self, headers: Any) -> bool:
        return self.known

    def take(self, headers: Any, body: bytes | bytearray, answer: Any) -> bool:
        if (b"x-short", b"no") in headers:
            return False
        self.seen.append(Seen("POST", b"/v1/message/send", tuple(headers), bytes(body)))
        if self.later is None:
            answer(200, b"", b"short")
        else:
            self.later.append(answer)
        return True


@dataclass
class SocketlessServer:
    """A server. `seen` holds the requests in their order, on either path."""

    limits: HttpLimits = field(default_factory=HttpLimits)
    admission: Admission = field(init=False)
    shortcut: Shortcut = field(default_factory=Shortcut)
    reads: bool = True
    gate: asyncio.Event | None = None  # the app answers when it is set

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits)
        self.seen: list[Seen] = self.shortcut.seen
        self._config = uvicorn.Config(
            self.app,
            interface="asgi3",
            http="httptools",
            lifespan="off",
            log_config=None,
            ws="none",
            proxy_headers=False,
        )
        self._config.load()
        self._state = ServerState()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while self.reads:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event["body"]
            if not event["more_body"]:
                break
        if self.gate is not None:
            await self.gate.wait()
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.seen.append(Seen(scope["method"], target, tuple(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def connect(self, host: str = "192.0.2.1") -> tuple[Connection, Wire]:
        connection = Connection(
            config=self._config,
            server_state=self._state,
            app_state={},
            admission=self.admission,
            fast_path=self.shortcut,
            paths=SENDS,
            most_bytes=65_536,
        )
        wire = Wire(host)
        connection.connection_made(wire)
        return connection, wire

    async def give(self, connection: Connection, wire: Wire, data: bytes, *, pieces: int = 0) -> None:
        """Hands over bytes as an event loop does: none while reading is paused, none after the close."""
        step = pieces or max(len(data), 1)
        for at in range(0, len(data), step):
            for _ in range(50):
                if not wire.paused:
                    break
                await asyncio.sleep(0)
            if wire.closed:
                break
            connection.data_received(data[at : at + step])
        await self.calm()

    async def calm(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


def statuses(written: bytes) -> list[int]:
    """Lists the statuses of the responses."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        found.append(int(status.split()[1]))
        length = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")]
        written = rest[int(length[0]) if length else 0 :]
    return found
