"""Tests of scheduled messages over HTTP, as contract 2.4 describes them."""

import asyncio
from typing import Any

import pytest

from heliograph.domain.timestamps import iso
from tests.api.gateway import Gateway

WEEKLY = {"repeat_interval": "week", "timezone": "Asia/Kolkata", "repeat_days": ["monday"]}


def at(gateway: Gateway, seconds: float) -> str:
    return iso(gateway.clock.now_us() + round(seconds * 1_000_000))


async def post(gateway: Gateway, **body: Any) -> Any:
    given = {"chat_id": "919537851844", "message": "Hi", "scheduled_at": at(gateway, 3_600)} | body
    return await gateway.http.post("/v1/message/scheduled", json=given)


async def test_a_message_for_later_is_made_shown_and_listed(gateway: Gateway) -> None:
    made = (await post(gateway)).json()
    assert made["status"] == "scheduled" and made["is_repeat"] is False and made["recurrence"] == "once"
    assert made["message_payload"] == {"message": "Hi", "message_type": "chat"}
    path = f"/v1/message/scheduled/{made['scheduled_id']}"
    assert (await gateway.http.get(path)).json() == made
    listed = (await gateway.http.get("/v1/message/scheduled")).json()
    assert (listed["from"], listed["to"], listed["count"]) == (1, 1, 1)
    assert listed["scheduled_messages"] == [made]


async def test_a_key_makes_one_message_for_later_however_often_it_is_asked_for(gateway: Gateway) -> None:
    body = {"chat_id": "919537851844", "message": "Hi", "scheduled_at": at(gateway, 60)}
    headers = {"Idempotency-Key": "later-1"}
    first = await gateway.http.post("/v1/message/scheduled", json=body, headers=headers)
    assert "idempotent-replayed" not in first.headers
    other = await gateway.http.post("/v1/message/scheduled", json=body | {"message": "Ho"}, headers=headers)
    assert (other.status_code, list(other.json()["fields"])) == (422, ["Idempotency-Key"])
    gateway.clock.advance(3_600)  # its time is over
    again = await gateway.http.post("/v1/message/scheduled", json=body, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (await gateway.http.get("/v1/message/scheduled")).json()["count"] == 1


async def test_requests_for_later_with_one_key_that_arrive_together_make_one(gateway: Gateway) -> None:
    body = {"chat_id": "919537851844", "message": "Hi", "scheduled_at": at(gateway, 3_600)}
    headers = {"Idempotency-Key": "later-2"}
    answers = await asyncio.gather(
        *(gateway.http.post("/v1/message/scheduled", json=body, headers=headers) for _ in range(10))
    )
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert (await gateway.http.get("/v1/message/scheduled")).json()["count"] == 1


async def test_a_new_text_still_answers_the_same_message_and_hides_its_links(gateway: Gateway) -> None:
    quoted = (await gateway.send()).json()
    made = (await post(gateway, reply_to=quoted["unique_id"], options={"hide_url_preview": True})).json()
    path = f"/v1/message/scheduled/{made['scheduled_id']}"
    assert (await gateway.http.patch(path, json={"message": "Ho"})).status_code == 200
    gateway.clock.advance(3_601)
    await gateway.stores.schedules.run_schedules()
    job = next(job for job in await gateway.jobs() if job.content.body == "Ho")
    assert job.content.hide_url_preview
    assert job.content.reply_to is not None and quoted["unique_id"] in job.content.reply_to


async def test_it_becomes_a_message_and_an_occurrence(gateway: Gateway) -> None:
    made = (await post(gateway)).json()
    gateway.clock.advance(3_601)
    await gateway.stores.schedules.run_schedules()
    (job,) = await gateway.jobs()
    runs = (await gateway.http.get(f"/v1/message/scheduled/{made['scheduled_id']}/occurrences")).json()
    assert runs["count"] == 1
    (run,) = runs["occurrences"]
    assert (run["chat_id"], run["is_success"], run["outcome"]) == (job.chat_id, None, "queued")
    shown = (await gateway.http.get(f"/v1/message/{run['sent_message_id']}")).json()
    assert shown["message_id"] == run["message_id"]
    refused = await gateway.http.patch(f"/v1/message/scheduled/{made['scheduled_id']}", json={"message": "Ho"})
    assert refused.status_code == 409 and refused.json()["fields"]["state"]["value"] == "completed"


async def test_a_repetition_keeps_its_configuration(gateway: Gateway) -> None:
    made = (await post(gateway, is_repeat=True, repeat_config=WEEKLY | {"repeat_value": 2})).json()
    assert made["repeat_config"] == {
        "timezone": "Asia/Kolkata", "repeat_interval": "week", "repeat_value": 2, "repeat_days": ["monday"],
        "repeat_ends": None,
    }  # fmt: skip
    assert made["recurrence"].startswith("every 2 weeks on monday at")


async def test_it_is_changed_paused_skipped_and_deleted(gateway: Gateway) -> None:
    made = (await post(gateway, is_repeat=True, repeat_config={"repeat_interval": "day"})).json()
    path = f"/v1/message/scheduled/{made['scheduled_id']}"
    later = at(gateway, 7_200)
    changed = (await gateway.http.patch(path, json={"message": "Ho", "scheduled_at": later, "skip_next": True})).json()
    assert (changed["message_payload"]["message"], changed["scheduled_at"], changed["skip_next"]) == ("Ho", later, True)
    paused = (await gateway.http.patch(path, json={"paused": True})).json()
    assert paused["status"] == "paused" and paused["paused_at"] and paused["next_at"] is None
    resumed = (await gateway.http.patch(path, json={"paused": False})).json()
    assert resumed["status"] == "scheduled" and resumed["next_at"] == later
    once = (await gateway.http.patch(path, json={"is_repeat": False})).json()
    assert once["is_repeat"] is False and once["repeat_config"] is None
    deleted = await gateway.http.delete(path)
    assert deleted.json() == {
        "success": True, "message": "Scheduled message deleted", "scheduled_id": made["scheduled_id"],
    }  # fmt: skip
    assert (await gateway.http.get(path)).status_code == 404
    assert (await gateway.http.delete(path)).status_code == 404


async def test_runs_that_became_due_while_it_was_paused_are_skipped(gateway: Gateway) -> None:
    made = (await post(gateway, is_repeat=True, repeat_config={"repeat_interval": "day"})).json()
    path = f"/v1/message/scheduled/{made['scheduled_id']}"
    await gateway.http.patch(path, json={"paused": True})
    gateway.clock.advance(5 * 86_400)
    await gateway.http.patch(path, json={"paused": False})
    await gateway.stores.schedules.run_schedules()
    assert await gateway.jobs() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"chat_id": "nonsense"}, "chat_id"),
        ({"message": None}, "message"),
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, "scheduled_at"),
        ({"scheduled_at": "tomorrow"}, "scheduled_at"),
        ({"is_repeat": True}, "repeat_config"),
        ({"repeat_config": WEEKLY}, "is_repeat"),
        ({"is_repeat": True, "repeat_config": WEEKLY | {"timezone": "Mars/Olympus"}}, "timezone"),
        ({"is_repeat": True, "repeat_config": WEEKLY | {"repeat_interval": "year"}}, "repeat_interval"),
        ({"is_repeat": True, "repeat_config": WEEKLY | {"repeat_value": 0}}, "repeat_value"),
        ({"is_repeat": True, "repeat_config": WEEKLY | {"repeat_days": ["someday"]}}, "repeat_days"),
        ({"is_repeat": True, "repeat_config": WEEKLY | {"repeat_ends": "2020-01-01T00:00:00Z"}}, "repeat_ends"),
        ({"missed_policy": "maybe"}, "missed_policy"),
        ({"ttl_seconds": -1}, "ttl_seconds"),
        ({"priority": "now"}, "priority"),
    ],
)
async def test_wrong_input_is_named_and_nothing_is_made(gateway: Gateway, body: dict[str, Any], field: str) -> None:
    answer = await post(gateway, **body)
    assert answer.status_code == 422 and field in answer.json()["fields"]
    assert (await gateway.http.get("/v1/message/scheduled")).json()["count"] == 0


async def test_another_organisation_sees_nothing_of_it(gateway: Gateway) -> None:
    made = (await post(gateway)).json()
    other = await gateway.stores.accounts.create_org("two")
    secret = "hg_live_ffffffffffffffffffffffffffffffff"
    await gateway.add_key(other.org_no, secret)
    path = f"/v1/message/scheduled/{made['scheduled_id']}"
    async with gateway.client(secret) as theirs:
        assert (await theirs.get(path)).status_code == 404
        assert (await theirs.patch(path, json={"message": "x"})).status_code == 404
        assert (await theirs.delete(path)).status_code == 404
        assert (await theirs.get(f"{path}/occurrences")).status_code == 404
        assert (await theirs.get("/v1/message/scheduled")).json()["count"] == 0
