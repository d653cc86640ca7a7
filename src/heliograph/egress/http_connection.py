"""HTTP request on a connection of aiohttp's pool, without redirects, cookies or decompression.

Promise: what is written is one request, whose headers hold no line break; a connection goes back into the pool only
when its answer was read to its end, and is not used again if anything came after it. At most ten interim answers are
passed over; a head has at most 100 fields. Raises what aiohttp raises, and never follows or repeats.
Known weakness: it speaks to the pool as aiohttp's own session does, so a new aiohttp is taken only with its tests. In
return a delivery costs a good part less processor time.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from yarl import URL

_CHUNK: Final = 32_768
_MAX_LINE: Final = 8_190
_MAX_HEADERS: Final = 16_384
_MAX_FIELDS: Final = 100
_MAX_INTERIM: Final = 10  # answers of 1xx before the answer
_HOSTS: Final = 4096
_TOGETHER: Final = (
    65_536  # bytes; up to this size head and body are one packet, as a second write costs more than the copy
)
_UNTIMED: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_OWN: Final = "User-Agent: Heliograph/0.1\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose head was read; to be closed or released, once."""

    status: int
    headers: Mapping[str, str]
    content: StreamReader
    connection: Connection

    def close(self) -> None:
        self.connection.close()

    def release(self) -> None:
        """Returns the connection to the pool after the answer was read to its end."""
        self.connection.release()


class HttpConnections:
    """Makes requests. `connector` limits the reachable addresses and pools the connections."""

    def __init__(self, connector: aiohttp.TCPConnector) -> None:
        self._connector = connector
        self._asks: dict[URL, tuple[aiohttp.ClientRequest, str]] = {}  # the request for the pool, and the head

    async def close(self) -> None:
        await self._connector.close()

    async def request(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Sends a request, and returns after the head of the answer."""
        to, target = self._ask(url)
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
            raise ValueError("a header holds a line break")
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target}{fields}{length}\r\n".encode("latin-1")
        connection, protocol = await self._connect(to)
        try:
            return await _exchange(connection, protocol, head, body or b"")
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientPayloadError("no usable HTTP answer") from error
        except BaseException:
            connection.close()
            raise

    def _ask(self, url: URL) -> tuple[aiohttp.ClientRequest, str]:
        found = self._asks.get(url)
        if found is None:
            if len(self._asks) >= _HOSTS:
                self._asks.clear()
            request = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
            target = f"{url.raw_path_qs} HTTP/1.1\r\nHost: {request.headers['Host']}\r\n{_OWN}"
            found = self._asks[url] = request, target
        return found

    async def _connect(self, to: aiohttp.ClientRequest) -> tuple[Connection, ResponseHandler]:
        while True:
            connection = await self._connector.connect(to, [], _UNTIMED)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection, protocol
            connection.close()  # bytes came while it was idle; they would be read as the answer


async def _exchange(connection: Connection, protocol: ResponseHandler, head: bytes, body: bytes) -> Response:
    protocol.set_response_params(
        read_until_eof=True,
        auto_decompress=False,
        read_bufsize=_CHUNK,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_HEADERS,
        max_headers=_MAX_FIELDS,
    )
    transport = connection.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    if len(body) <= _TOGETHER:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)
    for _ in range(_MAX_INTERIM + 1):
        message, content = await protocol.read()
        if not 100 <= message.code < 200 or message.code == 101:
            return Response(message.code, message.headers, content, connection)
    raise aiohttp.ClientPayloadError("too many interim answers")
