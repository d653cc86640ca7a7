"""Webhooks of the local Graph server: signed, in their time, tried again until they are answered with 200.

Promise: none is dropped before `webhook_tries` tries; a repeat carries the same bytes and signature.
"""

import asyncio
import hashlib
import heapq
import hmac
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from heliograph.ports.clock import Clock
from heliograph.simulator.graph.config import Rules
from heliograph.simulator.graph.errors import GraphError, fault

_IN_FLIGHT = 16
_KEPT = 2_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class _Item(NamedTuple):
    """Ordered by time, then by `n`, which is never equal."""

    due_s: float
    n: int
    phone_number_id: str
    kind: str
    value: dict[str, Any]


@dataclass(slots=True)
class _Post:
    raw: bytes
    tries: int = 0


def sign(raw: bytes, app_secret: str) -> str:
    return "sha256=" + hmac.new(app_secret.encode(), raw, hashlib.sha256).hexdigest()


class Callbacks:
    """`posts`: the last raw bodies, for tests that repeat or alter them."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, rules: Callable[[], Rules]) -> None:
        self._session = session
        self._clock = clock
        self._rules = rules
        self._heap: list[_Item] = []
        self._count = itertools.count()
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self.posts: deque[bytes] = deque(maxlen=_KEPT)
        self.delivered = 0
        self.given_up = 0

    @property
    def waiting(self) -> int:
        return len(self._heap)

    def say(self, delay_s: float, phone_number_id: str, kind: str, value: dict[str, Any]) -> None:
        if not self._rules().callback_url:
            return
        due = self._clock.monotonic() + delay_s
        heapq.heappush(self._heap, _Item(due, next(self._count), phone_number_id, kind, value))
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                for phone_number_id, kind, values in self._due():
                    await self._slots.acquire()
                    raw = self._payload(phone_number_id, kind, values)
                    group.create_task(self._deliver(_Post(raw)))
                wait = self._heap[0].due_s - self._clock.monotonic() if self._heap else 3600.0
                if wait > 0:
                    await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        """Until the next is due, or one was added that may be due sooner; at least 5 ms, so that statuses gather."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        await self._clock.sleep(0.005)

    def _due(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Collects the due statuses in order, by phone and kind, up to the size of one webhook."""
        now, most = self._clock.monotonic(), max(self._rules().statuses_a_webhook, 1)
        batches: dict[tuple[str, str], list[dict[str, Any]]] = {}
        full: list[tuple[str, str, list[dict[str, Any]]]] = []
        while self._heap and self._heap[0].due_s <= now:
            item = heapq.heappop(self._heap)
            key = (item.phone_number_id, item.kind)
            batches.setdefault(key, []).append(item.value)
            if len(batches[key]) >= most:
                full.append((*key, batches.pop(key)))
        return [*full, *((*key, values) for key, values in batches.items())]

    def _payload(self, phone_number_id: str, kind: str, values: list[dict[str, Any]]) -> bytes:
        rules = self._rules()
        value: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": rules.phones.get(phone_number_id, ""),
                "phone_number_id": phone_number_id,
            },
        }
        if kind == "messages" or rules.status_contacts:
            people = dict.fromkeys(str(v.get("from") or v.get("recipient_id")) for v in values)
            value["contacts"] = [{"profile": {"name": "A Person"}, "wa_id": person} for person in people]
        value[kind] = values
        change = {"value": value, "field": "messages"}
        return msgspec.json.encode(
            {"object": "whatsapp_business_account", "entry": [{"id": rules.waba_id, "changes": [change]}]}
        )

    async def _deliver(self, post: _Post) -> None:
        rules = self._rules()
        try:
            self.posts.append(post.raw)
            wait_s = rules.webhook_retry_s
            while post.tries < rules.webhook_tries:
                post.tries += 1
                if await self._post(post.raw):
                    self.delivered += 1
                    return
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, 60.0)
            self.given_up += 1
        finally:
            self._slots.release()

    async def _post(self, raw: bytes) -> bool:
        rules = self._rules()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(raw, rules.app_secret)}
        try:
            async with self._session.post(rules.callback_url, data=raw, headers=headers) as response:
                await response.read()
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def verify(self, url: str, token: str, challenge: str) -> bool:
        """The handshake: GET with hub.challenge, which must be echoed."""
        query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": challenge}
        try:
            async with self._session.get(url, params=query) as response:
                return response.status == 200 and (await response.text()).strip() == challenge
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    async def look_behind(self, link: tuple[str, str] | None) -> GraphError | None:
        """Fetches a link as WhatsApp does. Only loopback is called, nothing outside."""
        if link is None or urlsplit(link[1]).hostname not in _LOOPBACK:
            return None
        try:
            async with self._session.get(link[1], allow_redirects=False) as response:
                found, status = response.content_type, response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return fault(131052, "The file could not be fetched from its link.")
        if status != 200:
            return fault(131052, f"The link answers {status}.")
        wanted = "image" if link[0] == "sticker" else link[0]
        if wanted != "document" and found.partition("/")[0] != wanted:
            return fault(131053, f"The link serves {found}, which is no {link[0]}.")
        return None
