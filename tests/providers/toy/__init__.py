"""A provider as CONTRIBUTING's recipe makes one: a folder that exports a SPEC. It hands messages to a list."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import invalid
from heliograph.domain.jobs.outcome import Accepted, Outcome
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.clock import Clock
from heliograph.ports.provider import Capabilities, Phone, PhoneCheck, Receipt, SendRequest, SessionState, Sink
from heliograph.ports.provider_inbox import (
    NewInboxItem,
    PayloadReader,
    ProviderInbox,
    ProviderUpdate,
    ReceiveResult,
    ReceiveStatus,
    WebhookReceiver,
)
from heliograph.ports.secrets import Secrets
from heliograph.providers.spec import (
    ConfigField,
    OpenProvider,
    PhoneSource,
    ProviderContext,
    ProviderSpec,
    WebhookSpec,
)

PATH = "/providers/toy/webhook"
sent: list[SendRequest] = []


class ToyProvider:
    name = "toy"
    capabilities = Capabilities(kinds=frozenset({Kind.TEXT}))

    async def open(self, phone: Phone, sink: Sink) -> None:
        await sink.session(phone.phone_no, SessionState.CONNECTED)

    async def close(self, phone_no: int) -> None: ...

    async def restart(self, phone_no: int) -> None: ...

    async def send(self, request: SendRequest) -> Outcome:
        sent.append(request)
        return Accepted()

    def honours_client_id(self, content: Content, chat_id: str) -> bool:
        return False

    def refuses(self, content: Content, chat_id: str) -> tuple[str, str] | None:
        return None if content.type is Kind.TEXT else (content.type.value, "A toy phone sends texts only.")

    async def shutdown(self) -> None: ...

    def accept_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if not config.get("toy_key"):
            raise invalid("config", "toy_key is missing")
        return dict(config)

    def show_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    async def check(self, phone: Phone) -> list[PhoneCheck]:
        return [PhoneCheck("key", True, f"The key has {len(phone.config['toy_key'])} letters.")]


class ToyWebhookReceiver:
    def __init__(self, phones: PhoneSource, inbox: ProviderInbox, secrets: Secrets, clock: Clock) -> None:
        self._phones, self._inbox, self._secrets, self._clock = phones, inbox, secrets, clock

    async def challenge(self, mode: str, token: str, challenge: str) -> str | None:
        return None

    async def receive(self, raw: bytes, signature: str) -> ReceiveResult:
        phones = [row for row in await self._phones.phones(None) if row.provider == "toy"]
        rows = [row for row in phones if self._signed(row, raw, signature)]
        if not rows:
            return ReceiveResult(ReceiveStatus.FORGED, "no phone signed this")
        await self._inbox.keep_deliveries(
            [NewInboxItem(row.org_no, row.phone_no, self._clock.now_us(), raw) for row in rows]
        )
        return ReceiveResult(ReceiveStatus.STORED, phone_nos=tuple(row.phone_no for row in rows))

    def _signed(self, row: PhoneRow, raw: bytes, signature: str) -> bool:
        key = json.loads(self._secrets.open(row.config, about=row.phone_id))["toy_key"]
        return signature == signature_of(key, raw)


def signature_of(key: str, raw: bytes) -> str:
    return hmac.new(key.encode(), raw, hashlib.sha256).hexdigest()


def read(phone: Phone, payload: bytes, received_at_us: int) -> ProviderUpdate:
    status = json.loads(payload)
    return ProviderUpdate(receipts=(Receipt(status["ack"], received_at_us, unique_id=status["unique_id"]),))


def _reader() -> PayloadReader:
    return read


def _receiver(phones: PhoneSource, inbox: ProviderInbox, secrets: Secrets, clock: Clock) -> WebhookReceiver:
    return ToyWebhookReceiver(phones, inbox, secrets, clock)


@asynccontextmanager
async def _open(context: ProviderContext) -> AsyncIterator[OpenProvider]:
    provider = ToyProvider()
    yield OpenProvider(provider, provider)


SPEC = ProviderSpec(
    name="toy",
    preset="linked-warm",
    open=_open,
    webhook=WebhookSpec(path=PATH, receiver=_receiver, reader=_reader, signature_header="X-Toy-Signature"),
    config=(
        ConfigField(name="toy_shelf", metavar="SHELF", help="The shelf that the toy stands on."),
        ConfigField(name="toy_key", prompt="Key of the toy", secret=True),
    ),
    next_steps=("Wind the toy up, then let it call https://YOUR-HOST{webhook}.",),
)
