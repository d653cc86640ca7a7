"""Tests of `performed_by`: the name in the body is stored with each message and action; otherwise it is `api`."""

from typing import Any

import pytest

from tests.api.gateway import Gateway
from tests.api.messages.test_fast_path import offer, remember

BROADCAST = {"chat_ids": ["919537851844"], "message": "Hi"}
SCHEDULED = {"chat_id": "919537851844", "message": "Hi", "scheduled_at": "2030-01-07T09:00:00Z"}
SEND = {"chat_id": "919537851844", "message": "Hi"}


async def test_a_message_is_sent_in_the_given_name(gateway: Gateway) -> None:
    names = []
    for more in ({"by": " Asha "}, {}, {"by": ""}):
        sent = (await gateway.send(**more)).json()
        status = (await gateway.http.get(f"/v1/message/{sent['queue_id']}/status")).json()
        history = (await gateway.http.get(f"/v1/message/{sent['queue_id']}/history")).json()
        assert status["performed_by"] == history[0]["actor"]
        names.append(status["performed_by"])
    assert names == ["Asha", "api", "api"]


async def test_the_fast_path_keeps_the_name_too(gateway: Gateway) -> None:
    await remember(gateway)
    assert await offer(gateway, SEND | {"by": "Asha"}) is not None
    assert [job.performed_by for job in await gateway.jobs()] == ["Asha", "api"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [("/v1/message/send", SEND, "by"), ("/v1/message/broadcast", BROADCAST, "by"),
     ("/v1/message/scheduled", SCHEDULED, "by"), ("/v1/message/queues/purge", {}, "by")],
)  # fmt: skip
async def test_a_name_that_cannot_be_shown_is_refused(
    gateway: Gateway, path: str, body: dict[str, Any], field: str
) -> None:
    for name in ("x" * 101, "A\nB"):
        answer = await gateway.http.post(path, json=body | {"by": name})
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])


async def test_broadcasts_and_schedules_are_made_in_the_given_name(gateway: Gateway) -> None:
    made = (await gateway.http.post("/v1/message/broadcast", json=BROADCAST | {"by": "Asha"})).json()
    row = (await gateway.http.get("/v1/queue/broadcast", params={"broadcast_id": made["broadcast_id"]})).json()
    assert row["performed_by"] == "Asha"
    await gateway.stores.broadcasts.enqueue_recipients()
    assert [job.performed_by for job in await gateway.jobs()] == ["Asha"]
    scheduled = (await gateway.http.post("/v1/message/scheduled", json=SCHEDULED | {"by": "Bo"})).json()
    assert scheduled["performed_by"] == "Bo"
    path = f"/v1/message/scheduled/{scheduled['scheduled_id']}"
    await gateway.http.patch(path, json={"paused": True, "by": "Cem"})
    (stored,) = await gateway.stores.schedules.schedules(gateway.org.org_no, None, limit=1, offset=0)
    assert (stored.performed_by, stored.paused_by) == ("Bo", "Cem")


async def test_a_purge_is_in_the_history_with_its_actor(gateway: Gateway) -> None:
    sent = (await gateway.send()).json()
    await gateway.http.post("/v1/message/queues/purge", json={"queue_ids": [sent["queue_id"]], "by": "Asha"})
    history = (await gateway.http.get(f"/v1/message/{sent['queue_id']}/history")).json()
    assert [(event["kind"], event["actor"]) for event in history] == [("queued", "api"), ("cancelled", "Asha")]


async def test_audit_entries_name_their_phone(gateway: Gateway) -> None:
    other = await gateway.add_phone(gateway.org.org_no, "447700900123")
    for phone in (gateway.phone, other):
        await gateway.http.post("/v1/phones/pause", headers={"x-phone": phone.phone_id}, json={"by": "Asha"})
    await gateway.http.delete("/v1/phones/delete", headers={"x-phone": other.phone_id})
    await gateway.http.post("/v1/suppressions", json={"chat_id": "919537851844"})
    await gateway.http.delete("/v1/suppressions/919537851844", headers={"x-phone": gateway.phone.phone_id})
    acts = (await gateway.http.get("/v1/audit")).json()
    assert [(act["act"], act["what"], act["number"], act["phone_id"]) for act in acts] == [
        ("unsuppress", "chat:919537851844@c.us", None, None),
        ("pause", "phone", "447700900123", other.phone_id),
        ("pause", "phone", gateway.phone.number, gateway.phone.phone_id),
    ]
