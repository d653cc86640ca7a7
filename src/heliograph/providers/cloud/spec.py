"""WhatsApp's official Cloud API as a provider: what other rooms know of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from heliograph.providers.spec import ConfigField, OpenProvider, PhoneSource, ProviderContext, ProviderSpec, WebhookSpec

if TYPE_CHECKING:
    from heliograph.ports.clock import Clock
    from heliograph.ports.provider_inbox import PayloadReader, ProviderInbox, WebhookReceiver
    from heliograph.ports.secrets import Secrets


WEBHOOK_PATH = "/providers/cloud/webhook"


@asynccontextmanager
async def _open(context: ProviderContext) -> AsyncIterator[OpenProvider]:
    import aiohttp

    from heliograph.providers.cloud.provider import CloudProvider

    # limit 0: the sender alone bounds the number of sends in flight
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
    url = context.settings.cloud_api_url
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        provider = CloudProvider(
            session, clock=context.clock, uploads=context.uploads, allowed_base_urls=(url,) if url else ()
        )
        try:
            yield OpenProvider(provider, provider)
        finally:
            await provider.shutdown()


def _receiver(phones: PhoneSource, inbox: ProviderInbox, secrets: Secrets, clock: Clock) -> WebhookReceiver:
    from heliograph.providers.cloud.webhook_receiver import CloudWebhookReceiver

    return CloudWebhookReceiver(phones, inbox, secrets, clock)


def _reader() -> PayloadReader:
    from heliograph.providers.cloud.webhook_payload import read_delivery

    return read_delivery


SPEC = ProviderSpec(
    name="cloud",
    preset="cloud-default",
    open=_open,
    webhook=WebhookSpec(path=WEBHOOK_PATH, receiver=_receiver, reader=_reader),
    config=(
        ConfigField(
            name="phone_number_id", metavar="ID", help="From WhatsApp → API setup at Meta.", prompt="Phone number id"
        ),
        ConfigField(
            name="waba_id", metavar="ID", help="The WhatsApp Business account, so that `phones check` can look at it."
        ),
        ConfigField(
            name="base_url", metavar="URL", help="Another Graph server, such as that of `heliograph simulator --graph`."
        ),
        ConfigField(name="api_version", metavar="vN.N", help="Version of the Graph API."),
        ConfigField(name="token", prompt="Access token", secret=True),
        ConfigField(name="app_secret", prompt="App secret", secret=True),
        ConfigField(name="verify_token", generated=True),
    ),
    next_steps=(
        "Now give Meta the webhook: callback URL https://YOUR-HOST{webhook}, field `messages`,",
        "verify token {verify_token}.",
        "Then look at it all: heliograph phones check {phone_id}",
    ),
)
