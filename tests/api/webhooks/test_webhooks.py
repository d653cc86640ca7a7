"""Tests of webhooks over HTTP: arrays in, arrays out; one wrong entry refuses all."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.api.http.dependencies import WebhookDeps
from heliograph.clock import SystemClock
from heliograph.domain.webhooks.events import EVENT_NAMES
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.store.webhook_store import SqlWebhookStore
from heliograph.vault import Vault
from heliograph.webhooks.envelope import sample_body
from tests.api.gateway import Gateway, open_gateway

URL = "https://93.184.216.34/hook"
OTHER = "bb_live_0123456789abcdef0123456789abcdef"


class LateStore:
    """A webhook store that is set after its database is open; counts the wakes of the worker."""

    def __init__(self) -> None:
        self.woken = 0
        self.store: SqlWebhookStore

    def wake(self) -> None:
        self.woken += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    late = LateStore()
    fetch = GuardedFetch(clock=SystemClock())
    webhooks = WebhookDeps(late, Vault("a secret of this test's own"), sample_body, late.wake)
    async with open_gateway(tmp_path, fetch=fetch, webhooks=webhooks) as made:
        late.store = made.stores.webhooks
        yield made
    await fetch.close()


async def make(gateway: Gateway, **changes: Any) -> Any:
    body = {"hookUrl": URL, "integrationName": ["message.sent", "message.failed"]} | changes
    return await gateway.http.post("/v1/webhooks", json=body)


async def listed(gateway: Gateway, **query: str) -> list[dict[str, Any]]:
    answer = await gateway.http.get("/v1/webhooks", params=query)
    assert answer.status_code == 200
    rows: list[dict[str, Any]] = answer.json()
    return rows


async def test_an_array_of_names_makes_an_array_of_rows_of_the_contracts_shape(gateway: Gateway) -> None:
    answer = await make(gateway, name="Orders")
    assert answer.status_code == 201
    rows = answer.json()
    assert [row["integration_name"] for row in rows] == ["message.sent", "message.failed"]
    first = rows[0]
    assert first["hook_url"] == URL and first["is_subscribed"] is True
    assert first["integration_type"] == first["type"] == "webhook"
    assert first["integration_metadata"] == {"id": first["integration_id"], "name": "Orders"}
    assert first["integration_id"] == rows[1]["integration_id"] and first["id"] != rows[1]["id"]
    assert first["signing_key"].startswith("whsec_") and len(first["signing_key"]) == 50
    assert first["subscribed_at"].endswith("Z") and first["org_id"] == gateway.org.org_id
    shown = await listed(gateway)
    assert [row["id"] for row in shown] == [row["id"] for row in rows]
    assert all("signing_key" not in row for row in shown)


async def test_a_single_name_makes_a_single_row(gateway: Gateway) -> None:
    row = (await make(gateway, integrationName="message.read")).json()
    assert row["integration_name"] == "message.read"
    assert (await gateway.http.get(f"/v1/webhooks/{row['id']}")).json()["id"] == row["id"]


async def test_every_name_of_the_catalogue_can_be_subscribed_to(gateway: Gateway) -> None:
    rows = (await make(gateway, integrationName=sorted(EVENT_NAMES))).json()
    assert {row["integration_name"] for row in rows} == EVENT_NAMES


async def test_filters_choose_among_rows(gateway: Gateway) -> None:
    rows = (await make(gateway)).json()
    other = (await make(gateway, hookUrl=URL + "2", integrationName="message.sent", type="zapier")).json()
    await gateway.http.patch(f"/v1/webhooks/{rows[1]['id']}", json={"isSubscribed": False})

    async def ids(**query: str) -> list[str]:
        return [row["id"] for row in await listed(gateway, **query)]

    assert await ids(integration_name="message.sent") == [rows[0]["id"], other["id"]]
    assert await ids(type="zapier") == [other["id"]]
    assert await ids(is_subscribed="false") == [rows[1]["id"]]
    assert await ids(is_subscribed="true") == [rows[0]["id"], other["id"]]
    assert await ids(integration_id=rows[0]["integration_id"]) == [row["id"] for row in rows]
    assert await ids(hook_url=URL + "2") == [other["id"]]


async def test_a_row_is_changed_and_deleted(gateway: Gateway) -> None:
    row = (await make(gateway, integrationName="message.sent")).json()
    path = f"/v1/webhooks/{row['id']}"
    change = {
        "hookUrl": URL + "/new",
        "integrationName": "message.read",
        "name": "New",
        "integrationMetadata": {"x": 1},
    }
    changed = (await gateway.http.patch(path, json=change)).json()
    assert (changed["hook_url"], changed["integration_name"], changed["name"]) == (URL + "/new", "message.read", "New")
    assert changed["integration_metadata"]["x"] == 1
    assert changed["integration_metadata"]["id"] == row["integration_id"]
    deleted = await gateway.http.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for gone in (gateway.http.get(path), gateway.http.delete(path), gateway.http.patch(path, json={"name": "x"})):
        assert (await gone).status_code == 404
    assert await listed(gateway) == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"hookUrl": None}, "hookUrl"),
    ({"hookUrl": ""}, "hookUrl"),
    ({"hookUrl": "ftp://93.184.216.34/"}, "hookUrl"),
    ({"hookUrl": "http://127.0.0.1:9/"}, "hookUrl"),
    ({"hookUrl": "http://2130706433/"}, "hookUrl"),
    ({"hookUrl": "http://[::ffff:10.0.0.1]/"}, "hookUrl"),
    ({"hookUrl": "http://localhost/"}, "hookUrl"),
    ({"hookUrl": "https://me:pass@93.184.216.34/"}, "hookUrl"),
    ({"hookUrl": URL + "/" + "x" * 2048}, "hookUrl"),
    ({"hookUrl": "nonsense"}, "hookUrl"),
    ({"integrationName": None}, "integrationName"),
    ({"integrationName": []}, "integrationName"),
    ({"integrationName": ["message.sent", "message.sometimes"]}, "integrationName"),
    ({"integrationName": "MESSAGE.SENT"}, "integrationName"),
    ({"type": "carrier-pigeon"}, "type"),
    ({"name": "x" * 256}, "name"),
    ({"integrationMetadata": {"x": "y" * 5000}}, "integrationMetadata"),
]


@pytest.mark.parametrize(("change", "field"), BAD)
async def test_bad_input_names_its_field_and_makes_nothing(
    gateway: Gateway, change: dict[str, Any], field: str
) -> None:
    answer = await make(gateway, **change)
    assert answer.status_code == 422, answer.text
    assert list(answer.json()["fields"]) == [field]
    assert "pass@" not in answer.text
    assert await listed(gateway) == []
    org = await gateway.stores.database.read(_hooks_counted)
    assert org == 0


def _hooks_counted() -> Any:
    from heliograph.store.database import named
    from heliograph.store.database.unit import query

    return len((yield from query(named.hooks_subscribed(org_no=1))))


@pytest.mark.parametrize(("change", "field"), [*BAD[2:10], *BAD[12:]])
async def test_a_bad_change_changes_nothing(gateway: Gateway, change: dict[str, Any], field: str) -> None:
    row = (await make(gateway, integrationName="message.sent")).json()
    path = f"/v1/webhooks/{row['id']}"
    before = (await gateway.http.get(path)).json()
    if isinstance(change.get("integrationName"), list):
        change = {"integrationName": "message.sometimes"}
    answer = await gateway.http.patch(path, json=change)
    assert answer.status_code == 422 and field in answer.json()["fields"]
    assert (await gateway.http.get(path)).json() == before
    assert (await gateway.http.patch(path, json={})).status_code == 422


async def test_the_same_idempotency_key_gives_the_same_rows(gateway: Gateway) -> None:
    body = {"hookUrl": URL, "integrationName": ["message.sent"]}
    headers = {"Idempotency-Key": "once"}
    first = await gateway.http.post("/v1/webhooks", json=body, headers=headers)
    again = await gateway.http.post("/v1/webhooks", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await listed(gateway)) == 1
    other = await gateway.http.post("/v1/webhooks", json=body | {"name": "x"}, headers=headers)
    assert other.status_code == 422 and len(await listed(gateway)) == 1


async def test_the_signing_key_is_one_for_the_organisation_and_rotates_with_an_overlap(gateway: Gateway) -> None:
    made = (await make(gateway)).json()
    key = (await gateway.http.get("/v1/webhooks/signing-key")).json()
    assert key == {"signing_key": made[0]["signing_key"]}
    rotated = (await gateway.http.post("/v1/webhooks/signing-key/rotate")).json()
    assert rotated["previous_signing_key"] == key["signing_key"] != rotated["signing_key"]
    assert (await gateway.http.get("/v1/webhooks/signing-key")).json() == rotated
    gateway.clock.advance(24 * 3600 + 1)
    assert (await gateway.http.get("/v1/webhooks/signing-key")).json() == {"signing_key": rotated["signing_key"]}


async def test_the_signing_key_is_sealed_in_the_database(gateway: Gateway, tmp_path: Path) -> None:
    key = (await make(gateway)).json()[0]["signing_key"].removeprefix("whsec_")
    for path in tmp_path.iterdir():
        if path.is_file():
            assert key.encode() not in path.read_bytes()


async def test_another_organisation_sees_nothing_of_it(gateway: Gateway) -> None:
    row = (await make(gateway, integrationName="message.sent")).json()
    tested = (await gateway.http.post(f"/v1/webhooks/{row['id']}/test")).json()
    other = await gateway.stores.accounts.create_org("Other")
    await gateway.add_key(other.org_no, OTHER)
    async with gateway.client(OTHER) as client:
        assert (await client.get("/v1/webhooks")).json() == []
        for method, path in (
            ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries"),
            ("GET", f"/deliveries/{tested['id']}"), ("POST", f"/deliveries/{tested['id']}/replay"),
            ("POST", "/deliveries/replay"),
        ):  # fmt: skip
            body = {"failed_since": "2020-01-01"} if path == "/deliveries/replay" else {"name": "x"}
            answer = await client.request(method, f"/v1/webhooks/{row['id']}{path}", json=body)
            assert answer.status_code == 404, (method, path)
        mine = (await client.get("/v1/webhooks/signing-key")).json()["signing_key"]
    assert mine != row["signing_key"]


async def test_a_test_delivery_can_be_looked_up(gateway: Gateway) -> None:
    row = (await make(gateway, integrationName="message.sent")).json()
    path = f"/v1/webhooks/{row['id']}"
    answer = await gateway.http.post(f"{path}/test")
    assert answer.status_code == 202
    made = answer.json()
    assert made["state"] == "pending" and made["webhook_id"] == row["id"]
    assert (await gateway.http.get(f"{path}/deliveries")).json() == [made]
    assert (await gateway.http.get(f"{path}/deliveries?state=dead")).json() == []
    details = (await gateway.http.get(f"{path}/deliveries/{made['id']}")).json()
    assert details["tries"] == [] and made["id"] in details["body"]
    assert (await gateway.http.post(f"{path}/deliveries/{made['id']}/replay")).status_code == 409


@pytest.mark.parametrize(
    ("path", "field"), [("?state=lost", "state"), ("?limit=0", "limit"), ("?limit=x", "limit"), ("?before=x", "before")]
)
async def test_a_list_of_deliveries_refuses_what_it_cannot_read(gateway: Gateway, path: str, field: str) -> None:
    row = (await make(gateway, integrationName="message.sent")).json()
    answer = await gateway.http.get(f"/v1/webhooks/{row['id']}/deliveries{path}")
    assert answer.status_code == 422 and field in answer.json()["fields"]


@pytest.mark.parametrize(
    "body", [{}, {"failed_since": "yesterday"}, {"from": "2026-01-01", "failed_since": "2026-01-01"}]
)
async def test_a_replay_of_many_says_what_it_needs(gateway: Gateway, body: dict[str, str]) -> None:
    row = (await make(gateway, integrationName="message.sent")).json()
    answer = await gateway.http.post(f"/v1/webhooks/{row['id']}/deliveries/replay", json=body)
    assert answer.status_code == 422 and "failed_since" in answer.json()["fields"]
    good = await gateway.http.post(f"/v1/webhooks/{row['id']}/deliveries/replay", json={"from": "2026-01-01"})
    assert good.json() == {"replayed": 0}
