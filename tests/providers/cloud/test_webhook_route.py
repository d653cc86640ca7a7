"""Tests of GET and POST /providers/cloud/webhook over HTTP."""

from collections.abc import Sequence

import httpx
import pytest

from heliograph.api.webhooks.provider_callback import MAX_WEBHOOK_BYTES, webhook_app
from heliograph.domain.errors import Unavailable
from heliograph.ports.provider_inbox import ReceiveResult
from heliograph.providers.cloud.spec import WEBHOOK_PATH
from heliograph.vault import Vault
from tests.providers.cloud.session import cloud_phone
from tests.providers.cloud.test_webhook import VAULT, InMemoryInbox, row, webhook_receiver
from tests.providers.cloud.webhooks import SHAPES, raw, signed

OURS = cloud_phone("http://127.0.0.1:1")


def client(woken: list[int], vault: Vault = VAULT) -> tuple[httpx.AsyncClient, InMemoryInbox]:
    receiver, kept = webhook_receiver(row(OURS, vault), vault=vault)

    def stored(phone_nos: Sequence[int]) -> None:
        woken.extend(phone_nos)

    transport = httpx.ASGITransport(webhook_app(receiver, stored=stored))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway"), kept


async def test_the_handshake_is_echoed_as_plain_text_and_only_for_our_token() -> None:
    http, _ = client([])
    async with http:
        ask = {"hub.mode": "subscribe", "hub.challenge": "<b>115</b>"}
        good = await http.get(WEBHOOK_PATH, params=ask | {"hub.verify_token": "graph-test-verify-token"})
        assert (good.status_code, good.text) == (200, "<b>115</b>")
        assert good.headers["content-type"].startswith("text/plain")
        assert good.headers["x-content-type-options"] == "nosniff"
        assert (await http.get(WEBHOOK_PATH, params=ask | {"hub.verify_token": "x"})).status_code == 403
        assert (await http.get(WEBHOOK_PATH)).status_code == 403


async def test_a_signed_webhook_is_stored_and_its_phone_is_woken() -> None:
    woken: list[int] = []
    http, kept = client(woken)
    body = raw(SHAPES["text"][0])
    async with http:
        answer = await http.post(WEBHOOK_PATH, content=body, headers={"X-Hub-Signature-256": signed(body)})
    assert answer.status_code == 200
    assert [one.payload for one in kept.rows] == [body] and woken == [1]


@pytest.mark.parametrize(
    ("body", "signature", "status"),
    [
        (raw(SHAPES["text"][0]), "", 403),
        (raw(SHAPES["text"][0]), "sha256=" + "0" * 64, 403),
        (raw(SHAPES["text"][0]), "sha256=é", 403),
        (b"", "", 400),
        (b'{"object":', "", 400),
        (b" " * (MAX_WEBHOOK_BYTES + 1), "", 413),
    ],
)
async def test_forged_malformed_or_large_webhooks_are_refused_and_not_stored(
    body: bytes, signature: str, status: int
) -> None:
    woken: list[int] = []
    http, kept = client(woken)
    async with http:
        headers = {"X-Hub-Signature-256": signature.encode()}
        answer = await http.post(WEBHOOK_PATH, content=body, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == status and answer.text
    assert kept.rows == [] and woken == []


async def test_other_methods_are_refused() -> None:
    http, _ = client([])
    async with http:
        assert (await http.put(WEBHOOK_PATH)).status_code == 405


async def test_a_store_that_is_away_makes_meta_come_again() -> None:
    class Away:
        async def challenge(self, mode: str, token: str, challenge: str) -> str | None:
            raise Unavailable("The database is away.")

        async def receive(self, raw: bytes, signature: str) -> ReceiveResult:
            raise Unavailable("The database is away.")

    transport = httpx.ASGITransport(webhook_app(Away(), stored=lambda phone_nos: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        for answer in (await http.post(WEBHOOK_PATH, content=b"{}"), await http.get(WEBHOOK_PATH)):
            assert answer.status_code == 503 and answer.headers["retry-after"]
