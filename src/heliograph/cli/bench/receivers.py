"""Webhook receivers for a measurement, in a process of their own: many ports, one count, how late each delivery came.

Prints its ports; the last one is a switch that answers, hangs or drops what it holds, as told. `GET /` on the first
gives `{"count", "late_ms"}` of the others and begins anew; `GET /answer`, `/hang`, `/drop` set the switch and give what
it took so far as `count`.
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


class CountingSink:
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
        return _answer(answer)


class Switch:
    """The receiver that can be told to hang. `held`: those who wait for an answer."""

    def __init__(self) -> None:
        self.answers = True
        self.taken = 0
        self.held: list[Any] = []

    def take(self, transport: Any) -> None:
        if self.answers:
            self.taken += 1
            transport.write(_OK)
        else:
            self.held.append(transport)

    def turn(self, word: bytes) -> bytes:
        held, self.held = self.held, []
        self.answers = word == b"/answer"
        for transport in held:
            if transport.is_closing():  # who waited gave up
                continue
            if word == b"/drop":
                transport.abort()
            elif self.answers:
                self.take(transport)
            else:
                self.held.append(transport)
        return _answer(msgspec.json.encode({"count": self.taken, "late_ms": []}))


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class WebhookSink(asyncio.Protocol):
    """One connection, on httptools. `switched`: it leads to the switch itself."""

    def __init__(self, counted: CountingSink, switch: Switch, *, switched: bool = False) -> None:
        self.counted = counted
        self.switch = switch
        self.switched = switched
        self.url = self.body = b""
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        body, self.body = self.body, b""
        if self.parser.get_method() == b"GET":
            self.transport.write(self.counted.told() if self.url == b"/" else self.switch.turn(self.url))
        elif self.switched:
            self.switch.take(self.transport)
        else:
            self.counted.take(body)
            self.transport.write(_OK)


async def main(ports: int, *, timed: bool) -> None:
    counted, switch, loop = CountingSink(timed=timed), Switch(), asyncio.get_running_loop()
    made = [
        await loop.create_server(lambda: WebhookSink(counted, switch), "127.0.0.1", 0, backlog=512)
        for _ in range(ports)
    ]
    made.append(await loop.create_server(lambda: WebhookSink(counted, switch, switched=True), "127.0.0.1", 0))
    print(*(server.sockets[0].getsockname()[1] for server in made), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main(int(sys.argv[1]), timed=sys.argv[2] == "timed"))
    except ImportError:
        asyncio.run(main(int(sys.argv[1]), timed=sys.argv[2] == "timed"))
