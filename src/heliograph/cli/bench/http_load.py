"""A load of HTTP requests, as cheap as can be, so that the server is what is measured.

Each connection asks, waits for the answer, asks again. Only what a keep-alive server with Content-Length answers is
understood; anything else ends the measurement.
"""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from heliograph.cli.prove.processes import ProofFailed


@dataclass
class HttpLoad:
    """`took_ms`: one number for each answer. `first_bad`: the first answer that was not 200."""

    took_ms: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    first_bad: str = ""

    @property
    def per_s(self) -> float:
        return len(self.took_ms) / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, load: HttpLoad, following: Callable[[], bytes | None]) -> None:
        self._load = load
        self._following = following
        self._buffer = bytearray()
        self._began = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        request = self._following()
        if request is None:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lowered = bytes(self._buffer[:head]).lower()
        at = lowered.find(b"content-length:")
        if at < 0:
            raise ProofFailed(f"an answer without Content-Length: {lowered[:200]!r}")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < head + 4 + length:
            return
        self._load.took_ms.append((time.perf_counter() - self._began) * 1000)
        status = int(self._buffer[9:12])
        self._load.statuses[status] += 1
        if status != 200 and not self._load.first_bad:
            self._load.first_bad = bytes(self._buffer[head + 4 :][:300]).decode(errors="replace")
        self._buffer.clear()
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def hammer(port: int, connections: int, following: Callable[[], bytes | None]) -> HttpLoad:
    """Asks on all connections until `following` gives None. Raises when an answer was not 200."""
    load = HttpLoad()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [
        (await loop.create_connection(lambda: _Connection(load, following), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.closed for one in made))
    load.seconds = time.perf_counter() - began
    if set(load.statuses) - {200}:
        raise ProofFailed(f"sends were answered with {dict(load.statuses)}: {load.first_bad}")
    return load


def send_request(key: str, phone: str, chat_id: str, n: int) -> bytes:
    body = f'{{"chat_id":"{chat_id}","message":"Order {n:010d} has shipped and will arrive on Tuesday."}}'.encode()
    head = (
        "POST /v1/message/send HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nx-phone: {phone}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
