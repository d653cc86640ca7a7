"""Tests of Cloud API phones over HTTP: credentials are sealed, never shown, checked and replaced."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from heliograph.clock import SystemClock
from heliograph.domain.messages.content import Kind
from heliograph.providers.cloud.provider import CloudProvider
from heliograph.vault import Vault
from tests.api.gateway import Gateway, open_gateway
from tests.providers.cloud.session import Uploads
from tests.simulator.graph.graph_client import graph_client

SECRETS = {"token": "graph-test-token", "app_secret": "graph-test-app-secret", "verify_token": "graph-verify"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 32).decode()


@asynccontextmanager
async def cloud(folder: Path) -> AsyncIterator[tuple[Gateway, dict[str, Any], Vault]]:
    """An API that knows the Cloud API, and the body that makes a phone on a local Graph server."""
    async with graph_client() as graph, aiohttp.ClientSession() as session:
        base_url = graph.server.base_url
        provider = CloudProvider(session, clock=SystemClock(), uploads=Uploads(), allowed_base_urls=[base_url])
        vault = Vault("a key of the test, long enough")
        wiring = {
            "provider": lambda name: provider if name == "cloud" else None,
            "provider_names": ("simulator", "cloud"),
            "setup": lambda name: provider if name == "cloud" else None,
            "secrets": vault,
        }
        config = {"phone_number_id": "100000000000001", "waba_id": "200000000000001", "base_url": base_url, **SECRETS}
        async with open_gateway(folder, **wiring) as gateway:
            yield gateway, {"provider": "cloud", "number": "447700900000", "config": config}, vault
        await provider.shutdown()


async def test_a_cloud_phone_is_made_and_its_credentials_are_sealed_and_never_shown(tmp_path: Path) -> None:
    async with cloud(tmp_path) as (gateway, body, vault):
        made = await gateway.http.post("/v1/phones/create", json=body)
        assert made.status_code == 200, made.text
        phone_id = made.json()["phone_id"]
        shown = made.text + (await gateway.http.get("/v1/phones/all")).text
        checked = await gateway.http.get(f"/v1/phones/{phone_id}/check")
        shown += checked.text
        row = await gateway.stores.phones.phone(gateway.org.org_no, phone_id)
        assert row is not None
        for secret in SECRETS.values():
            assert secret not in shown and secret not in row.config
            assert secret in vault.open(row.config, about=phone_id)


async def test_a_check_says_for_each_item_whether_it_works_and_what_to_do(tmp_path: Path) -> None:
    async with cloud(tmp_path) as (gateway, body, _):
        phone_id = (await gateway.http.post("/v1/phones/create", json=body)).json()["phone_id"]
        found = (await gateway.http.get(f"/v1/phones/{phone_id}/check")).json()
        assert found["ok"] and {one["name"] for one in found["checks"]} >= {"settings", "access", "number", "webhooks"}
        renamed = {"config": {"token": "another-token"}}
        changed = await gateway.http.patch("/v1/phones/update", json=renamed, headers={"x-phone": phone_id})
        assert changed.status_code == 200 and "another-token" not in changed.text
        found = (await gateway.http.get("/v1/phones/447700900000/check")).json()
        assert not found["ok"]
        (wrong,) = [one for one in found["checks"] if not one["ok"]]
        assert wrong["name"] == "access" and "token" in wrong["advice"]
        assert (await gateway.http.get("/v1/phones/phone-nobody/check")).status_code == 404
        plain = await gateway.http.get(f"/v1/phones/{gateway.phone.phone_id}/check")
        assert plain.status_code == 200 and plain.json()["checks"][0]["name"] == "session"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"config": None}, "config"),
        ({"number": None}, "number"),
        ({"config": {"token": "graph-test-token"}}, "phone_number_id"),
        ({"config": {"token": 5}}, "config"),
        ({"provider": "simulator"}, "config"),
        ({"provider": "pigeon"}, "provider"),
    ],
)
async def test_wrong_input_is_refused_by_field_and_no_phone_is_made(
    change: dict[str, Any], field: str, tmp_path: Path
) -> None:
    async with cloud(tmp_path) as (gateway, body, _):
        answer = await gateway.http.post("/v1/phones/create", json=body | change)
        assert answer.status_code == 422 and list(answer.json()["fields"]) == [field]
        assert len(await gateway.stores.phones.phones(None)) == 1
        assert SECRETS["app_secret"] not in answer.text


async def test_a_server_that_the_operator_did_not_allow_is_refused(tmp_path: Path) -> None:
    async with cloud(tmp_path) as (gateway, body, _):
        inside = body | {"config": body["config"] | {"base_url": "http://169.254.169.254"}}
        answer = await gateway.http.post("/v1/phones/create", json=inside)
        assert answer.status_code == 422 and list(answer.json()["fields"]) == ["base_url"]


@pytest.mark.parametrize(
    ("extension", "kind"),
    [
        ({"location": {"latitude": 51.5, "longitude": 0, "name": "A bridge"}}, Kind.LOCATION),
        ({"contacts": [{"name": "Ada", "phones": [{"phone": "+447700900001"}]}]}, Kind.CONTACT),
        ({"template": {"name": "hello_world", "language": "en_US", "components": []}}, Kind.TEMPLATE),
        ({"interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": []}}}, Kind.INTERACTIVE),
    ],
)
async def test_an_extension_is_queued_for_a_phone_that_can_send_it(
    extension: dict[str, Any], kind: Kind, tmp_path: Path
) -> None:
    async with cloud(tmp_path) as (gateway, body, _):
        await gateway.http.post("/v1/phones/create", json=body)
        headers = {"x-phone": "447700900000"}
        sent = await gateway.http.post(
            "/v1/message/send", json={"chat_id": "447911123456"} | extension, headers=headers
        )
        assert sent.status_code == 200, sent.text
        (job,) = await gateway.jobs()
        assert job.content.type is kind and job.content.extra
        status = await gateway.http.get(f"/v1/message/{sent.json()['queue_id']}")
        assert status.status_code == 200


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"location": {"latitude": 91, "longitude": 0}}, "latitude"),
        ({"location": {"latitude": 1}}, "longitude"),
        ({"location": {"latitude": 1, "longitude": 1}, "message": "hi"}, "message"),
        ({"location": {"latitude": 1, "longitude": 1}, "template": {"name": "a", "language": "en"}}, "template"),
        ({"contacts": []}, "contacts"),
        ({"contacts": [{"name": " "}]}, "name"),
        ({"template": {"name": "", "language": "en"}}, "name"),
        ({"template": {"name": "a", "language": ""}}, "language"),
        ({"interactive": {"type": "button"}}, "interactive"),
        ({"reaction": {"message_id": "", "emoji": "👍"}}, "message_id"),
        ({"reaction": {"message_id": "nobody", "emoji": "👍"}}, "message_id"),
        ({"reaction": {"message_id": "x" * 301, "emoji": "👍"}}, "message_id"),
        ({"poll": {"pollName": "?", "pollOptions": ["a", "b"]}}, "poll"),
        ({"message": "x" * 5_000}, "message"),
        ({"chat_id": "120363000000000001@g.us", "message": "hi"}, "chat_id"),
        ({"chat_id": "12025550100", "message": "hi"}, "chat_id"),
        ({"media": {"type": "sticker", "filedata": PNG}}, "mimetype"),
    ],
)
async def test_what_the_cloud_api_cannot_send_is_refused_at_accept(
    message: dict[str, Any], field: str, tmp_path: Path
) -> None:
    async with cloud(tmp_path) as (gateway, body, _):
        await gateway.http.post("/v1/phones/create", json=body)
        headers = {"x-phone": "447700900000"}
        answer = await gateway.http.post(
            "/v1/message/send", json={"chat_id": "447911123456"} | message, headers=headers
        )
        assert answer.status_code == 422, answer.text
        assert list(answer.json()["fields"]) == [field]
        assert await gateway.jobs() == []
