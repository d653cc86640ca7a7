"""Webhook receivers for a measurement, in a process of their own: many ports, one count, how late each delivery came.

Prints its ports; the last one never answers. `GET /` on the first gives `{"count", "late_ms"}` and begins anew.
"""

import asyncio
import sys
import time
from datetime import datetime
from typing import Any

import httptools
import msgspec

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Sent(msgspec.Struct):
    timestamp: str


class Counted:
    def __init__(self, *, timed: bool) -> None:
        self.count = 0
        self.late_ms: list[float] = []
        self.timed = timed
        self.decode = msgspec.json.Decoder(_Sent).decode

    def take(self, body: bytes) -> None:
        self.count += 1
        if self.timed:
            made = datetime.fromisoformat(self.decode(body).timestamp).timestamp()
            self.late_ms.append((time.time() - made) * 1000)

    def told(self) -> bytes:
        answer = msgspec.json.encode({"count": self.count, "late_ms": self.late_ms})
        self.count, self.late_ms = 0, []
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)


class Receiver(asyncio.Protocol):
    """One connection, on httptools."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted
        self.body = b""
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        body, self.body = self.body, b""
        if self.parser.get_method() == b"GET":
            self.transport.write(self.counted.told())
            return
        self.counted.take(body)
        self.transport.write(_OK)


class Silent(asyncio.Protocol):
    """Takes everything and never answers."""


async def main(ports: int, *, timed: bool) -> None:
    counted, loop = Counted(timed=timed), asyncio.get_running_loop()
    made = [await loop.create_server(lambda: Receiver(counted), "127.0.0.1", 0, backlog=512) for _ in range(ports)]
    made.append(await loop.create_server(Silent, "127.0.0.1", 0))
    print(*(server.sockets[0].getsockname()[1] for server in made), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main(int(sys.argv[1]), timed=sys.argv[2] == "timed"))
    except ImportError:
        asyncio.run(main(int(sys.argv[1]), timed=sys.argv[2] == "timed"))
