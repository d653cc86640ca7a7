"""Resolution of names to addresses that were checked.

Promise: the returned addresses are the checked ones, from one look-up; if one of them is private, none is returned.
Known weakness: the system's look-up cannot be cancelled. A name that hangs keeps a thread until the system gives up.
If all threads are busy, look-ups fail as timed out.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from heliograph.egress.addresses import Network, may_reach

DNS_LIMIT_S = 2.0
_THREADS = 32

Lookup = Callable[[str], Awaitable[Sequence[str]]]


class AddressRefused(OSError):
    """The name has an address that may not be reached."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(f"{host} has the address {address}, which is not a public one")
        self.address = address


class LookupTimeout(OSError):
    """DNS did not answer in time."""


def _look(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class SystemLookup:
    """The system's resolver in its own threads.

    Concurrent callers with the same name share one look-up, so that a name that hangs holds one thread.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="egress-dns")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str) -> Sequence[str]:
        asked = self._asked.get(host)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _look, host)
            self._asked[host] = asked
            asked.add_done_callback(lambda done: self._told(host, done))
        return await asyncio.shield(asked)

    def _told(self, host: str, done: "asyncio.Future[list[str]]") -> None:
        del self._asked[host]
        if not done.cancelled():
            done.exception()  # retrieved, as all callers may have left

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """The resolver for aiohttp. Raises OSError for a failure, AddressRefused for a forbidden address."""

    def __init__(self, lookup: Lookup, allowed: Sequence[Network]) -> None:
        self._lookup = lookup
        self._allowed = tuple(allowed)

    async def addresses(self, host: str) -> list[str]:
        try:
            async with asyncio.timeout(DNS_LIMIT_S):
                found = list(await self._lookup(host))
        except TimeoutError:
            raise LookupTimeout(f"no answer from DNS for {host} within {DNS_LIMIT_S:g} s") from None
        except UnicodeError as error:
            raise OSError(f"{host} is not a name") from error
        if not found:
            raise OSError(f"{host} has no address")
        for address in found:
            if not may_reach(address, self._allowed):
                raise AddressRefused(host, address)
        return found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self.addresses(host)
        ]

    async def close(self) -> None:
        return None
