"""Guarded request to an outside URL.

Promise: it connects only to an address that passed the rule, checked again at the socket. It follows no redirect, uses
no proxy and no cookie, and decompresses nothing. Time, headers and body are bounded. Nothing that the other side does
raises. The only state is idle connections.
Known weakness: the body of an answer that came in time is awaited until the limit of the request.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import aiohttp

from heliograph.egress.addresses import Network, may_reach
from heliograph.egress.http_connection import HttpConnections, Response
from heliograph.egress.resolver import AddressRefused, GuardedResolver, Lookup, LookupTimeout, SystemLookup
from heliograph.egress.urls import Target, parse_target
from heliograph.ports.clock import Clock
from heliograph.ports.fetch import Failure, Fetched, FetchResponse, Forbidden, NoAnswer

_KEEPALIVE_S: Final = 4.0  # below the 5 s after which common servers close an idle connection
_BODY_GRACE_S: Final = 5.0  # for the body of an answered POST, whose status is already known
_TARGETS: Final = 4096


class GuardedFetch:
    """Makes guarded requests. `allowed`: private networks that the operator opened. `lookup`, `tls`: for tests."""

    def __init__(
        self,
        *,
        clock: Clock,
        allowed: Sequence[Network] = (),
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        connections: int = 1024,
    ) -> None:
        self._clock = clock
        self._allowed = tuple(allowed)
        self._system = SystemLookup() if lookup is None else None
        self._resolver = GuardedResolver(lookup or self._system or SystemLookup(), self._allowed)
        self._tls = tls
        self._connections = connections
        self._wire: HttpConnections | None = None
        self._targets: dict[
            str, Target | Forbidden
        ] = {}  # the form of a URL does not change; the address of its name may

    def _open(self) -> HttpConnections:
        if self._wire is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                socket_factory=self._socket,
                ssl=self._tls if self._tls is not None else True,
                limit=self._connections,
                keepalive_timeout=_KEEPALIVE_S,
            )
            self._wire = HttpConnections(connector)
        return self._wire

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()
            self._wire = None
        if self._system is not None:
            self._system.close()

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Makes a socket, and refuses an address that may not be reached: the last check."""
        family, kind, proto, _, where = info
        if not may_reach(str(where[0]), self._allowed):
            raise AddressRefused(str(where[0]), str(where[0]))
        return socket.socket(family, kind, proto)

    def _target(self, url: str) -> Target | Forbidden:
        target = self._targets.get(url)
        if target is None:
            target = parse_target(url)
            if isinstance(target, Target) and target.literal and not may_reach(target.host, self._allowed):
                target = _private(target.host)
            if len(self._targets) >= _TARGETS:
                self._targets.clear()
            self._targets[url] = target
        return target

    async def check(self, url: str) -> Forbidden | None:
        target = self._target(url)
        if isinstance(target, Forbidden):
            return target
        if not target.literal:
            try:
                await self._resolver.addresses(target.host)
            except AddressRefused as refused:
                return _private(refused.address)
            except OSError:
                return None
        return None

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str], limit_s: float, keep: int) -> Fetched:
        async def read(response: Response, until: float) -> tuple[bytes, bool]:
            if (
                response.content.is_eof() and response.content.exception() is None
            ):  # the whole body came with the headers
                whole = response.content.read_nowait()
                return whole[:keep], len(whole) > keep
            kept = bytearray()
            try:
                async with asyncio.timeout(min(until - self._clock.monotonic(), _BODY_GRACE_S)):
                    while chunk := await response.content.readany():
                        kept += chunk
                        if len(kept) > keep:
                            return bytes(kept[:keep]), True
            except (TimeoutError, aiohttp.ClientError):
                return bytes(kept[:keep]), True
            return bytes(kept), False

        return await self._request("POST", url, headers, body, limit_s, read)

    async def get(self, url: str, *, write: Callable[[bytes], Awaitable[None]], limit_s: float, most: int) -> Fetched:
        async def read(response: Response, until: float) -> tuple[bytes, bool]:
            if response.status != 200:
                return b"", True
            total = 0
            try:
                async with asyncio.timeout(until - self._clock.monotonic()):
                    while chunk := await response.content.readany():
                        total += len(chunk)
                        await write(chunk)
                        if total > most:
                            return b"", True
            except (TimeoutError, aiohttp.ClientError):
                return b"", True
            return b"", False

        return await self._request("GET", url, {}, None, limit_s, read)

    async def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit_s: float,
        read: "_Read",
    ) -> Fetched:
        target = self._target(url)
        if isinstance(target, Forbidden):
            return target
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                response = await self._open().request(method, target.url, headers, body)
        except TimeoutError:
            return NoAnswer(Failure.TIMEOUT, f"No answer within {limit_s:g} s.", self._since_ms(began))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _reason(error, self._since_ms(began))
        try:
            kept, cut = await read(response, began + limit_s)
        except BaseException:
            response.close()
            raise
        if cut:
            response.close()  # the rest is not read, so the connection cannot be used again
        else:
            response.release()
        return FetchResponse(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            kept,
            cut,
            self._since_ms(began),
        )

    def _since_ms(self, began: float) -> int:
        return round((self._clock.monotonic() - began) * 1000)


_Read = Callable[[Response, float], Awaitable[tuple[bytes, bool]]]


def _private(address: str) -> Forbidden:
    return Forbidden("private_address", f"The URL leads to {address}, which is not a public address.")


def _reason(error: Exception, took_ms: int) -> NoAnswer | Forbidden:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate(error.certificate_error, took_ms)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _no_connection(error, error.os_error, took_ms)
    if isinstance(error, aiohttp.ClientPayloadError):
        return NoAnswer(Failure.BAD_ANSWER, "What came back is not a usable HTTP answer.", took_ms)
    return NoAnswer(Failure.CLOSED, "The connection was closed before an answer came.", took_ms)


def _no_connection(error: aiohttp.ClientConnectorError, cause: OSError, took_ms: int) -> NoAnswer | Forbidden:
    if isinstance(cause, AddressRefused):
        return _private(cause.address)
    if isinstance(cause, LookupTimeout):
        return NoAnswer(Failure.DNS_TIMEOUT, "The host's name was not resolved in time.", took_ms)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NoAnswer(Failure.DNS_FAILED, "The host's name could not be resolved.", took_ms)
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return NoAnswer(Failure.TLS_FAILED, "No secure connection could be agreed on.", took_ms)
    if cause.errno == errno.ECONNREFUSED:
        return NoAnswer(Failure.CONNECTION_REFUSED, "Nothing listens at that address.", took_ms)
    return NoAnswer(Failure.CONNECTION_FAILED, f"No connection: {cause.strerror or cause}.", took_ms)


def _certificate(error: Exception, took_ms: int) -> NoAnswer:
    code = getattr(error, "verify_code", 0)
    if code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
        return NoAnswer(Failure.TLS_EXPIRED, "The server's certificate has expired.", took_ms)
    if code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        return NoAnswer(Failure.TLS_WRONG_HOST, "The server's certificate is for another host.", took_ms)
    return NoAnswer(Failure.TLS_UNTRUSTED, "The server's certificate is signed by nobody we trust.", took_ms)
