"""The one way to an outside URL, for webhooks and media. What may go wrong out there is a value, never an exception.

Promise: no connection is opened to an address that was not checked; no redirect is followed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Failure(StrEnum):
    """Why no answer came. Each is worth another try later."""

    DNS_FAILED = "dns_failed"
    DNS_TIMEOUT = "dns_timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_FAILED = "connection_failed"  # no route, reset while connecting, connect time-out of the system
    TLS_EXPIRED = "tls_expired"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_WRONG_HOST = "tls_wrong_host"
    TLS_FAILED = "tls_failed"
    CLOSED = "closed"  # the connection ended before an answer
    TIMEOUT = "timeout"
    BAD_ANSWER = "bad_answer"  # not HTTP, or headers beyond all measure


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """A status line and headers came. `body` is what was kept of it; `cut`: there was more, or its end never came.

    `headers` have lower-case names.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool
    took_ms: int


@dataclass(frozen=True, slots=True)
class NoAnswer:
    code: Failure
    detail: str
    took_ms: int


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The URL may not be fetched: `code` is stable (scheme, credentials, private_address …), `detail` plain words."""

    code: str
    detail: str


Fetched = FetchResponse | NoAnswer | Forbidden


class Fetch(Protocol):
    async def check(self, url: str) -> Forbidden | None:
        """Checks the form of a URL and every address its name has now (at most 2 s). Raises Invalid.

        A name that cannot be resolved now passes: it is asked again, and checked again, at each fetch.
        """
        ...

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str], limit_s: float, keep: int) -> Fetched:
        """One POST within `limit_s` in all. Keeps the first `keep` bytes of the answer."""
        ...

    async def get(self, url: str, *, write: Callable[[bytes], Awaitable[None]], limit_s: float, most: int) -> Fetched:
        """One GET. The bytes of a 200 go to `write` as they come; `cut`: it broke off, or grew beyond `most` bytes.

        No more than `most` bytes and one chunk are written. What `write` raises comes out of this call.
        """
        ...
