"""A request to a handler: caller, phone, body and query."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from heliograph.api.http.auth import ApiKeyCache, Caller, PhoneCache
from heliograph.api.http.body import check_encoding, decode
from heliograph.api.http.dependencies import ApiDeps
from heliograph.api.http.errors import Headers
from heliograph.api.http.rate_limit import RateLimit
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import NotFound, invalid
from heliograph.domain.jobs.job import Job

T = TypeVar("T")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class ApiState:
    """State that all requests share: the dependencies, the caches of keys and phones, and the rate limit."""

    deps: ApiDeps
    keys: ApiKeyCache
    phones: PhoneCache
    limit: RateLimit


class RequestHeaders:
    """The headers that the API reads. Names are lower case, as ASGI gives them."""

    __slots__ = (
        "accept",
        "authorization",
        "client_version",
        "content_encoding",
        "content_length",
        "content_type",
        "idempotency_key",
        "phone",
    )

    def __init__(self, headers: Headers) -> None:
        given = dict(headers)
        self.authorization = given.get(b"authorization")
        self.phone = given.get(b"x-phone")
        self.idempotency_key = given.get(b"idempotency-key")
        self.content_length = given.get(b"content-length")
        self.content_type = given.get(b"content-type")
        self.content_encoding = given.get(b"content-encoding")
        self.client_version = given.get(b"client-version")
        self.accept = given.get(b"accept")


class ApiRequest:
    """A request that `asgi` makes and the route completes (`phone`, `path`)."""

    __slots__ = ("_query", "body", "caller", "head", "method", "path", "phone", "query_string", "state")

    def __init__(
        self,
        state: ApiState,
        caller: Caller,
        head: RequestHeaders,
        body: bytes | bytearray,
        *,
        method: str,
        query_string: bytes,
    ) -> None:
        self.state = state
        self.caller = caller
        self.head = head
        self.body = body
        self.method = method
        self.query_string = query_string
        self.path: dict[str, str] = {}
        self.phone: PhoneRow | None = None
        self._query: dict[str, str] | None = None

    @property
    def deps(self) -> ApiDeps:
        return self.state.deps

    @property
    def org_no(self) -> int:
        return self.caller.key.org_no

    @property
    def required_phone(self) -> PhoneRow:
        """The phone, for routes with PhoneHeader.REQUIRED."""
        assert self.phone is not None
        return self.phone

    @property
    def phone_no(self) -> int | None:
        return None if self.phone is None else self.phone.phone_no

    def decoded(self, kind: type[T]) -> T:
        """Decodes the body as `kind`, a Struct whose fields all have defaults if the body may be missing."""
        check_encoding(self.head.content_type, self.head.content_encoding, self.body)
        return decode(msgspec.json.Decoder(kind), self.body if self.body else b"{}")

    async def job(self, parameter: str = "message_id") -> Job:
        """Looks up the job whose queue_id, unique_id or message_id is in the path."""
        name = self.path[parameter]
        job = await self.deps.jobs.job(self.org_no, name) if name and "\0" not in name and len(name) <= 300 else None
        if job is None:
            raise unknown_message()
        return job

    @property
    def query(self) -> Mapping[str, str]:
        if self._query is None:
            query = self.query_string.decode("latin-1")
            self._query = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
        return self._query

    def text(self, name: str) -> str | None:
        """Returns a query parameter: the last of several, None for an empty one."""
        value = self.query.get(name) or None
        if value is not None and "\0" in value:
            raise invalid(name, f"{name} holds a NUL character")
        return value

    def number(self, name: str, convert: Callable[[str], T]) -> T | None:
        """Returns a query parameter of plain digits: `int` and `float` alone accept `1_0`, spaces and other scripts."""
        value = self.text(name)
        if value is None:
            return None
        try:
            if not _NUMBER.fullmatch(value):
                raise ValueError
            return convert(value)
        except ValueError:
            raise invalid(name, f"{name} must be a number", value) from None


def unknown_message() -> NotFound:
    return NotFound(
        "There is no such message in this organisation: give its queue_id, unique_id or message_id. Settled messages"
        " are kept for the retention time."
    )
