"""The HTTP calls to the Graph API, and nothing else: one shared session, no retry, every failure a value.

Promise: a phase before ANSWER is named only if not one byte of the body was handed to the connection.
Weakness: a body that was handed over but never left the machine counts as ANSWER: better a wait than a second message.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter

from heliograph.providers.cloud.account import Account
from heliograph.providers.cloud.responses import GraphAnswer

MAX_ANSWER_BYTES = 1024 * 1024


class Phase(StrEnum):
    """Progress of a call before it broke."""

    CONNECT = "connect"  # no connection: surely not sent
    REQUEST = "request"  # connected, no byte of the body handed over: surely not sent
    ANSWER = "answer"  # the body may have arrived


@dataclass(frozen=True, slots=True)
class Lost:
    """Missing answer of a call."""

    phase: Phase
    detail: str


@dataclass(frozen=True, slots=True)
class Timeouts:
    connect_s: float = 10.0
    answer_s: float = 30.0
    upload_s: float = 180.0


class _Marked(aiohttp.BytesPayload):
    """A body that remembers whether it began to be written: the line between "surely not sent" and "nobody knows"."""

    def __init__(self, value: bytes) -> None:
        super().__init__(value, content_type="application/json")
        self.begun = False

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.begun = True
        await super().write(writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self.begun = True
        await super().write_with_length(writer, content_length)


class Graph:
    """`session` is shared by all phones and closed by whoever made it; one without a cookie jar is best."""

    def __init__(self, session: aiohttp.ClientSession, timeouts: Timeouts | None = None) -> None:
        self._session = session
        self._timeouts = timeouts or Timeouts()

    async def send(self, account: Account, body: dict[str, Any]) -> GraphAnswer | Lost:
        """POST /{phone_number_id}/messages."""
        payload = _Marked(msgspec.json.encode(body))
        url = f"{account.root}/{account.phone_number_id}/messages"
        return await self._call("POST", url, account, data=payload, marked=payload, limit_s=self._timeouts.answer_s)

    async def upload(self, account: Account, path: Path, *, mimetype: str, filename: str) -> GraphAnswer | Lost:
        """POST /{phone_number_id}/media. The file is read in pieces, off the loop. Raises FileNotFoundError."""
        form = aiohttp.FormData()
        form.add_field("messaging_product", "whatsapp")
        form.add_field("type", mimetype)
        url = f"{account.root}/{account.phone_number_id}/media"
        file = await asyncio.to_thread(path.open, "rb")
        try:
            form.add_field("file", file, filename=filename, content_type=mimetype)
            return await self._call("POST", url, account, data=form, limit_s=self._timeouts.upload_s)
        finally:
            await asyncio.to_thread(file.close)

    async def phone(self, account: Account) -> GraphAnswer | Lost:
        """GET /{phone_number_id}: whether the token may use this phone."""
        fields = "id,display_phone_number,verified_name,quality_rating,code_verification_status,throughput"
        return await self._call("GET", f"{account.root}/{account.phone_number_id}?fields={fields}", account)

    async def subscriptions(self, account: Account) -> GraphAnswer | Lost:
        """GET /{waba_id}/subscribed_apps: which apps are sent the account's webhooks."""
        return await self._call("GET", f"{account.root}/{account.waba_id}/subscribed_apps", account)

    async def _call(
        self,
        method: str,
        url: str,
        account: Account,
        *,
        data: Any = None,
        marked: _Marked | None = None,
        limit_s: float | None = None,
    ) -> GraphAnswer | Lost:
        times = aiohttp.ClientTimeout(
            total=limit_s or self._timeouts.answer_s,
            connect=self._timeouts.connect_s,
            sock_connect=self._timeouts.connect_s,
        )
        headers = {"Authorization": f"Bearer {account.token}", "Accept": "application/json"}
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=times, allow_redirects=False
            ) as response:
                body = await response.content.read(MAX_ANSWER_BYTES)
                while len(body) < MAX_ANSWER_BYTES and (
                    more := await response.content.read(MAX_ANSWER_BYTES - len(body))
                ):
                    body += more
                return GraphAnswer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            return Lost(Phase.CONNECT, _words(error))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Lost(Phase.ANSWER if marked is None or marked.begun else Phase.REQUEST, _words(error))


def _words(error: BaseException) -> str:
    """The kind of failure; never the request, whose headers hold the token."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorDNSError():
            return "the host's name was not found"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "the TLS certificate was refused"
        case aiohttp.ClientConnectorError():
            return f"cannot connect ({error.os_error.strerror or type(error.os_error).__name__})"
        case _:
            return f"the connection broke ({type(error).__name__})"
