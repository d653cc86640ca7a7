"""Tests of the queue in both families of paths: lists, health and purge."""

import json
from typing import Any

import pytest

from tests.api.gateway import NUMBER, Gateway


async def put_in(gateway: Gateway, count: int) -> list[str]:
    return [
        (await gateway.send(chat_id=f"9195378518{n:02d}", message=f"no {n}")).json()["queue_id"] for n in range(count)
    ]


async def test_both_families_list_the_newest_first(gateway: Gateway) -> None:
    names = await put_in(gateway, 3)
    new = (await gateway.http.post("/v1/message/queues", json={})).json()
    old = (await gateway.http.get("/v1/queue/jobs")).json()
    assert [job["queue_id"] for job in new] == names[::-1]
    assert [job["id"] for job in old] == names[::-1]
    assert {job["status"] for job in new} == {"queued"}
    assert {job["status"] for job in old} == {"waiting"}
    assert old[0]["message_id"] == new[0]["unique_id"]
    assert new[0]["message_id"] == f"true_{new[0]['chat_id']}_{new[0]['unique_id']}"


async def test_a_list_by_post_needs_no_body_and_by_get_works_the_same(gateway: Gateway) -> None:
    await put_in(gateway, 2)
    lists = [
        (await gateway.http.post("/v1/message/queues")).json(),
        (await gateway.http.post("/v1/message/queues", json={"queue_id": None})).json(),
        (await gateway.http.get("/v1/message/queues")).json(),
    ]
    assert len(lists[0]) == 2
    assert lists[0] == lists[1] == lists[2]


async def test_a_filter_of_one_job_gives_one_or_none_never_a_404(gateway: Gateway) -> None:
    names = await put_in(gateway, 2)
    for ask in (
        gateway.http.post("/v1/message/queues", json={"queue_id": names[0]}),
        gateway.http.get("/v1/message/queues", params={"queue_id": names[0]}),
        gateway.http.get("/v1/queue/jobs", params={"queue_id": names[0]}),
    ):
        assert [job["queue_id"] for job in (await ask).json()] == [names[0]]
    for name in ("5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400", "nonsense", "x" * 5000):
        answer = await gateway.http.get("/v1/queue/jobs", params={"queue_id": name})
        assert (answer.status_code, answer.json()) == (200, [])


async def test_a_broadcast_that_is_not_there_is_an_empty_list(gateway: Gateway) -> None:
    await put_in(gateway, 1)
    for ask in (
        gateway.http.post("/v1/message/queues", json={"broadcast_id": "b25192d5-2370-4a69-b844-aae5e2bfae92"}),
        gateway.http.get("/v1/queue/jobs", params={"broadcast_id": "b25192d5-2370-4a69-b844-aae5e2bfae92"}),
    ):
        answer = await ask
        assert (answer.status_code, answer.json()) == (200, [])


async def test_lists_are_paged_by_limit_and_offset(gateway: Gateway) -> None:
    names = (await put_in(gateway, 5))[::-1]
    page = await gateway.http.get("/v1/queue/jobs", params={"limit": 2, "offset": 1})
    assert [job["id"] for job in page.json()] == names[1:3]
    page = await gateway.http.post("/v1/message/queues", json={"limit": 2, "offset": 4})
    assert [job["queue_id"] for job in page.json()] == names[4:]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("limit", 2001, "Limit should be less than 2000"), ("limit", 0, "limit must be 1 or more"),
        ("limit", -5, "limit must be 1 or more"), ("offset", -1, "offset must be 0 or more"),
        ("offset", 2**70, "offset is too large"),
    ],
)  # fmt: skip
async def test_pages_out_of_bounds_are_refused(gateway: Gateway, name: str, value: int, text: str) -> None:
    for ask in (
        gateway.http.get("/v1/queue/jobs", params={name: value}),
        gateway.http.post("/v1/message/queues", params={name: value}),
    ):
        answer = await ask
        assert answer.status_code == 422
        assert answer.json()["fields"][name]["message"] == text


@pytest.mark.parametrize("value", ["x", "1.5", "1e9", "\0", "٣x", "9" * 5000, "1_0", " 5", "5 ", "+5", "５", "٣"])
async def test_a_page_that_is_no_number_is_refused(gateway: Gateway, value: str) -> None:
    answer = await gateway.http.get("/v1/queue/jobs", params={"limit": value})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["limit"])


async def test_lists_and_health_are_of_the_phone_or_of_the_whole_organisation(gateway: Gateway) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    for number in (NUMBER, second.number, second.number):
        body = {"chat_id": "919537851844", "message": "Hi"}
        await gateway.http.post("/v1/message/send", json=body, headers={"x-phone": number})
    for headers, count in (({}, 3), ({"x-phone": NUMBER}, 1), ({"x-phone": second.phone_id}, 2)):
        assert len((await gateway.http.post("/v1/message/queues", headers=headers)).json()) == count
        assert len((await gateway.http.get("/v1/queue/jobs", headers=headers)).json()) == count
        health = (await gateway.http.get("/v1/message/queues/health", headers=headers)).json()
        assert health == {"waiting": count, "active": 0, "completed": 0, "failed": 0, "delayed": 0, "paused": 0}
        legacy = (await gateway.http.get("/v1/queue", headers=headers)).json()
        assert legacy == {"active": 0, "failed": 0, "completed": 0, "is_running": True, "pending": count}
    answer = await gateway.http.get("/v1/message/queues/health", headers={"x-phone": "447700900999"})
    assert answer.status_code == 404


async def test_a_paused_phones_jobs_are_counted_once_in_every_scope(gateway: Gateway) -> None:
    await put_in(gateway, 3)
    await gateway.http.post("/v1/phones/pause", json={"by": "Asha"})
    for headers in ({}, {"x-phone": NUMBER}):
        health = (await gateway.http.get("/v1/message/queues/health", headers=headers)).json()
        assert (health["waiting"], health["paused"]) == (3, 3)
        legacy = (await gateway.http.get("/v1/queue", headers=headers)).json()
        assert (legacy["pending"], legacy["is_running"]) == (3, False)
    await gateway.add_phone(gateway.org.org_no, "447700900002")
    assert (await gateway.http.get("/v1/queue")).json()["is_running"] is True  # one of its phones runs


@pytest.mark.parametrize("spelling", ["queue_ids", "queue_id"])
@pytest.mark.parametrize("as_list", [True, False])
async def test_named_jobs_are_purged_under_every_spelling(gateway: Gateway, spelling: str, as_list: bool) -> None:
    names = await put_in(gateway, 2)
    body: Any = {spelling: [names[0]] if as_list else names[0]}
    answer = await gateway.http.post("/v1/message/queues/purge", json=body)
    assert answer.json() == {"purged": True, "mode": "queue_ids", "queue_ids": [names[0]]}
    status = (await gateway.http.get(f"/v1/message/{names[0]}/status")).json()
    assert (status["status"], status["ack"]) == ("failed", -1)
    assert status["status_description"] == "Purged before it was sent."
    kept = (await gateway.http.get(f"/v1/message/{names[1]}/status")).json()
    assert kept["status"] == "queued"


async def test_the_legacy_purge_takes_a_delete_with_a_body(gateway: Gateway) -> None:
    names = await put_in(gateway, 3)
    answer = await gateway.http.request("DELETE", "/v1/queue/purge", json={"queue_id": names[0]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await gateway.http.get("/v1/queue")).json()["pending"] == 2
    assert (await gateway.http.request("DELETE", "/v1/queue/purge", content=b"{}")).status_code == 204
    assert (await gateway.http.get("/v1/queue")).json() == {
        "active": 0, "failed": 3, "completed": 0, "is_running": True, "pending": 0,
    }  # fmt: skip


async def test_without_a_filter_everything_that_waits_is_purged(gateway: Gateway) -> None:
    names = await put_in(gateway, 3)
    answer = (await gateway.http.post("/v1/message/queues/purge")).json()
    assert (answer["purged"], answer["mode"], sorted(answer["queue_ids"])) == (True, "all", sorted(names))
    assert (await gateway.http.post("/v1/message/queues/purge")).json()["queue_ids"] == []


async def test_a_purge_of_unknown_jobs_removes_nothing(gateway: Gateway) -> None:
    await put_in(gateway, 2)
    for body in ({"queue_ids": ["nonsense"]}, {"queue_id": "5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400"}):
        answer = (await gateway.http.post("/v1/message/queues/purge", json=body)).json()
        assert answer == {"purged": True, "mode": "queue_ids", "queue_ids": []}
    assert (await gateway.http.get("/v1/queue")).json()["pending"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"broadcast_id": ""}, "broadcast_id"), ({"broadcast_id": " "}, "broadcast_id"),
        ({"broadcast_id": None}, "broadcast_id"), ({"broadcast_id": []}, "broadcast_id"),
        ({"queue_ids": None}, "queue_ids"), ({"queue_ids": []}, "queue_ids"), ({"queue_ids": ""}, "queue_ids"),
        ({"queue_ids": 5}, "queue_ids"), ({"queue_ids": [5]}, "queue_ids"), ({"queue_ids": [""]}, "queue_ids"),
        ({"queue_id": None}, "queue_id"), ({"queue_id": ""}, "queue_id"), ({"queue_id": []}, "queue_id"),
        ({"queueIds": ["a"]}, "queueIds"), ({"broadcast": "a"}, "broadcast"), ({"": "a"}, ""),
        ({"queue_ids": ["a"], "chat_id": "9195"}, "chat_id"), ({"queue_ids": ["a"], "queue_id": None}, "queue_id"),
    ],
)  # fmt: skip
async def test_a_filter_that_is_empty_or_unknown_removes_nothing(gateway: Gateway, body: Any, field: str) -> None:
    await put_in(gateway, 1)
    for method, path in (("POST", "/v1/message/queues/purge"), ("DELETE", "/v1/queue/purge")):
        answer = await gateway.http.request(method, path, json=body)
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])
    assert (await gateway.http.get("/v1/queue")).json()["pending"] == 1


@pytest.mark.parametrize("name", ["queue_id", "queue_ids", "broadcast_id", "phone"])
@pytest.mark.parametrize("value", ["5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400", ""])
async def test_a_filter_in_the_query_of_a_purge_removes_nothing(gateway: Gateway, name: str, value: str) -> None:
    await put_in(gateway, 1)
    for method, path in (("POST", "/v1/message/queues/purge"), ("DELETE", "/v1/queue/purge")):
        answer = await gateway.http.request(method, path, params={name: value})
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [name])
    assert (await gateway.http.get("/v1/queue")).json()["pending"] == 1


async def test_a_purge_with_an_empty_phone_removes_nothing(gateway: Gateway) -> None:
    await put_in(gateway, 1)
    answer = await gateway.http.post("/v1/message/queues/purge", headers={"x-phone": " "})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["x-phone"])
    assert (await gateway.http.get("/v1/queue")).json()["pending"] == 1


@pytest.mark.parametrize("body", [[], "x", None])
async def test_a_purge_whose_body_is_no_object_removes_nothing(gateway: Gateway, body: Any) -> None:
    await put_in(gateway, 1)
    for method, path in (("POST", "/v1/message/queues/purge"), ("DELETE", "/v1/queue/purge")):
        answer = await gateway.http.request(method, path, content=json.dumps(body))
        assert answer.status_code == 422
    assert (await gateway.http.get("/v1/queue")).json()["pending"] == 1
