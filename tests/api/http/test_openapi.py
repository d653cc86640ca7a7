"""Tests of /openapi.json against the program: its routes, their bodies and their responses."""

from typing import Any

import jsonschema_rs
import pytest

from heliograph.api.app import v1_routes
from tests.api.gateway import BODY_LIMIT, Gateway


async def document(gateway: Gateway) -> Any:
    async with gateway.client(None) as http:
        return (await http.get("/openapi.json")).json()


async def test_every_route_is_on_the_page_and_nothing_else(gateway: Gateway) -> None:
    page = await document(gateway)
    shown = {(method.upper(), path) for path, methods in page["paths"].items() for method in methods}
    routed = {(handler.opt["about"].method, handler.opt["about"].path) for handler in v1_routes()}
    assert shown == routed
    for method, path in shown:
        answer = await gateway.http.request(
            method, "/v1" + path.replace("{message_id}", "x").replace("{unique_id}", "x")
        )
        assert answer.status_code not in (405, 500)
        assert answer.status_code != 404 or answer.json()["message"] != "There is nothing at this path; see /docs"


async def test_each_operation_names_its_key_and_its_errors(gateway: Gateway) -> None:
    page = await document(gateway)
    assert page["openapi"] == "3.1.0"
    assert page["security"] == [{"bearer": []}]
    for methods in page["paths"].values():
        for operation in methods.values():
            answers = operation["responses"]
            assert {"401", "413", "422", "429", "500", "503"} <= set(answers)
            for status, answer in answers.items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorBody"}
                    assert answer["content"]["application/json"]["example"]["status"] == int(status)


async def test_a_body_over_the_limit_is_refused_on_a_path_that_takes_none_as_the_page_says(gateway: Gateway) -> None:
    answer = await gateway.http.request("GET", "/v1/phones/all", content=b" " * (BODY_LIMIT + 1))
    assert answer.status_code == 413
    await check_answer(await document(gateway), "get", "/phones/all", 413, answer.json())


async def test_every_reference_leads_somewhere(gateway: Gateway) -> None:
    page = await document(gateway)

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(one) for one in value.values()))
        return set().union(*(references(one) for one in value)) if isinstance(value, list) else set()

    found = references(page)
    assert found
    for name in found:
        assert name.rpartition("/")[2] in page["components"]["schemas"]


async def check_answer(page: Any, method: str, path: str, status: int, body: Any) -> None:
    """Checks a response against its description."""
    schema = page["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(schema | {"components": page["components"]}, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/message/send", {"chat_id": "919537851844", "message": "Hi"}),
        ("post", "/message/send", {"chat_id": "x"}),
        ("post", "/message/send-sync", {"chat_id": "919537851844", "message": "Hi", "sync_timeout": 0}),
        ("post", "/message/queues", {}), ("get", "/message/queues", None), ("get", "/queue/jobs", None),
        ("get", "/message/queues/health", None), ("get", "/queue", None), ("post", "/message/queues/purge", {}),
        ("get", "/phones", None), ("get", "/phones/all", None), ("post", "/phones/create", {}),
        ("patch", "/phones/update", {"phone_name": "x"}), ("patch", "/phones/update", {}),
    ],
)  # fmt: skip
async def test_answers_are_as_the_page_describes_them(gateway: Gateway, method: str, path: str, body: Any) -> None:
    await gateway.send(poll={"pollName": "Lunch?", "pollOptions": ["Yes", "No"]}, message=None)
    page = await document(gateway)
    answer = await gateway.http.request(method.upper(), f"/v1{path}", json=body)
    await check_answer(page, method, path, answer.status_code, answer.json())


async def test_webhook_bodies_match_their_description(gateway: Gateway) -> None:
    sent = (await gateway.send()).json()
    page = await document(gateway)
    for path, name in (
        ("/message/{message_id}", "message_id"), ("/message/{unique_id}/status", "unique_id"),
        ("/message/{message_id}/history", "message_id"),
    ):  # fmt: skip
        answer = await gateway.http.get("/v1" + path.replace(f"{{{name}}}", sent["unique_id"]))
        await check_answer(page, "get", path, 200, answer.json())
    missing = await gateway.http.get("/v1/message/x")
    await check_answer(page, "get", "/message/{message_id}", 404, missing.json())


async def test_the_example_of_a_send_is_accepted(gateway: Gateway) -> None:
    page = await document(gateway)
    example = page["paths"]["/message/send"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert (await gateway.http.post("/v1/message/send", json=example)).status_code == 200


async def test_the_page_for_people_needs_nothing_from_elsewhere(gateway: Gateway) -> None:
    page = await document(gateway)
    async with gateway.client(None) as http:
        answer = await http.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    for loads in ("src=", "url(", "@import", "<link", 'href="http'):
        assert loads not in answer.text
    for path in page["paths"]:
        assert f"/v1{path}" in answer.text
