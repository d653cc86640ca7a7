"""Tests of broadcasts over HTTP: a list is accepted whole, or refused whole with the field at fault."""

from typing import Any

import pytest

from heliograph.domain.jobs.ids import queue_id
from tests.api.gateway import Gateway

CHATS = [f"9195378518{n:02d}" for n in range(20)]


async def post(gateway: Gateway, **body: Any) -> Any:
    given = {"chat_ids": CHATS, "message": "Hi", "delay": 0} | body
    return await gateway.http.post("/v1/message/broadcast", json={k: v for k, v in given.items() if v is not None})


async def test_a_broadcast_is_accepted_and_its_counts_are_shown(gateway: Gateway) -> None:
    answer = await post(gateway)
    assert answer.status_code == 200
    made = answer.json()
    assert made["total_chats"] == 20 and "dry_run" not in made
    shown = (await gateway.http.get("/v1/queue/broadcast", params={"broadcast_id": made["broadcast_id"]})).json()
    assert (shown["total_chats"], shown["pending_chats"], shown["sent_chats"]) == (20, 20, 0)
    assert shown["broadcast_status"] == "inprogress"
    assert shown["message_payload"] == {"body": "Hi", "message_type": "chat", "performed_by": "api"}


async def test_its_messages_are_listed_before_and_after_they_are_enqueued(gateway: Gateway) -> None:
    made = (await post(gateway, message="Hi {{n}}", variables=_values("n"))).json()
    listed = await gateway.http.post("/v1/message/queues", json={"broadcast_id": made["broadcast_id"]})
    names = [job["queue_id"] for job in listed.json()]
    assert [job["message"]["body"] for job in listed.json()][:2] == ["Hi v0", "Hi v1"]
    await gateway.stores.broadcasts.enqueue_recipients()
    again = await gateway.http.get("/v1/queue/jobs", params={"broadcast_id": made["broadcast_id"]})
    assert [job["queue_id"] for job in again.json()] == names
    assert {job["status"] for job in again.json()} == {"waiting"}
    assert [queue_id(job.job_id) for job in sorted(await gateway.jobs(), key=lambda job: job.seq)] == names


def _values(*names: str) -> list[dict[str, Any]]:
    return [{"chat_id": chat, "values": dict.fromkeys(names, f"v{n}")} for n, chat in enumerate(CHATS)]


async def test_a_csv_is_taken_with_its_columns_as_variables(gateway: Gateway) -> None:
    answer = await post(
        gateway, chat_ids=None, csv="to,name\n919537851844,Asha\n+91 95378-51845,Bo\n", message="Hi {{name}}"
    )
    assert answer.status_code == 200 and answer.json()["total_chats"] == 2


async def test_a_dry_run_shows_and_sends_nothing(gateway: Gateway) -> None:
    shown = (await post(gateway, message="Hi {{n}}", variables=_values("n"), dry_run=True)).json()
    assert shown["broadcast_id"] is None and shown["dry_run"] is True and shown["new_chats"] == 20
    assert shown["preview"][0] == {"chat_id": "919537851800@c.us", "message": "Hi v0"}
    assert shown["finishes_at"].endswith("Z")
    assert (await gateway.http.get("/v1/message/broadcast")).json() == {"broadcasts": [], "count": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"chat_ids": []}, "chat_ids"),
        ({"chat_ids": None}, "chat_ids"),
        ({"chat_ids": [*CHATS, "nonsense"]}, "chat_ids"),
        ({"message": None}, "message"),
        ({"message": "Hi {{name}}"}, "name"),
        ({"message": "Hi {{}}"}, "message"),
        ({"message": "Hi {{n}}", "variables": _values("n")[:-1]}, "n"),
        ({"variables": [{"chat_id": "nonsense", "values": {}}]}, "variables"),
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, "scheduled_at"),
        ({"scheduled_at": "soon"}, "scheduled_at"),
        ({"delay": -1}, "delay"),
        ({"delay": 1e9}, "delay"),
        ({"priority": "highest"}, "priority"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"ttl_seconds": 5, "expires_at": "2030-01-01T00:00:00Z"}, "ttl_seconds"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"csv": "to\n919537851844\n"}, "csv"),
        ({"poll": {"pollName": "?", "pollOptions": ["one"]}}, "pollOptions"),
        ({"reply_to": "nonsense"}, "reply_to"),
    ],
)
async def test_wrong_input_is_named_and_nothing_is_queued(gateway: Gateway, body: dict[str, Any], field: str) -> None:
    answer = await post(gateway, **body)
    assert answer.status_code == 422
    assert field in answer.json()["fields"]
    assert (await gateway.http.get("/v1/message/broadcast")).json()["count"] == 0
    await gateway.stores.broadcasts.enqueue_recipients()
    assert await gateway.jobs() == []


async def test_a_wrong_csv_is_named_by_row_and_column(gateway: Gateway) -> None:
    answer = await post(gateway, chat_ids=None, csv="to,name\n919537851844,Asha\nBo,919537851845\n", message="Hi")
    culprit = answer.json()["fields"]["csv"]
    assert answer.status_code == 422 and (culprit["row"], culprit["column"]) == (3, "to")


async def test_the_same_key_gives_the_same_broadcast(gateway: Gateway) -> None:
    body = {"chat_ids": CHATS, "message": "Hi"}
    headers = {"Idempotency-Key": "once"}
    first = await gateway.http.post("/v1/message/broadcast", json=body, headers=headers)
    again = await gateway.http.post("/v1/message/broadcast", json=body, headers=headers)
    assert again.json() == first.json() and again.headers["idempotent-replayed"] == "true"
    other = await gateway.http.post("/v1/message/broadcast", json=body | {"message": "Ho"}, headers=headers)
    assert other.status_code == 422


async def test_a_broadcast_is_paused_resumed_and_cancelled_with_who_did_it(gateway: Gateway) -> None:
    name = (await post(gateway)).json()["broadcast_id"]
    base = f"/v1/message/broadcast/{name}"
    await gateway.stores.broadcasts.enqueue_recipients()
    paused = (await gateway.http.post(f"{base}/pause", json={"by": "Asha"})).json()
    assert (paused["state"], paused["paused_by"]) == ("paused", "Asha")
    conflict = await gateway.http.post(f"{base}/pause")
    assert conflict.status_code == 409 and conflict.json()["fields"]["state"]["value"] == "paused"
    assert (await gateway.http.post(f"{base}/resume", json={"by": "Bo"})).json()["state"] == "running"
    ended = (await gateway.http.post(f"{base}/cancel")).json()
    assert (ended["state"], ended["broadcast_status"], ended["failed_chats"], ended["pending_chats"]) == (
        "cancelled", "stopped", 20, 0,
    )  # fmt: skip
    for act in ("pause", "resume", "cancel", "retry"):
        assert (await gateway.http.post(f"{base}/{act}")).status_code == 409
    acts = (await gateway.http.get("/v1/audit")).json()
    assert [(act["act"], act["by"], act["what"]) for act in acts] == [
        ("cancel", "api", f"broadcast:{name}"),
        ("resume", "Bo", f"broadcast:{name}"),
        ("pause", "Asha", f"broadcast:{name}"),
    ]  # fmt: skip


async def test_a_purge_by_broadcast_names_every_message_it_took_out(gateway: Gateway) -> None:
    name = (await post(gateway)).json()["broadcast_id"]
    answer = (await gateway.http.post("/v1/message/queues/purge", json={"broadcast_id": name})).json()
    assert answer["mode"] == "broadcast_id" and len(set(answer["queue_ids"])) == 20
    assert (await gateway.http.post("/v1/message/queues/purge", json={"broadcast_id": name})).json()["queue_ids"] == []


@pytest.mark.parametrize("name", ["nonsense", "ba3273cb-12be-48d4-90e0-0cbc0b427ef1"])
async def test_an_unknown_broadcast_is_a_404(gateway: Gateway, name: str) -> None:
    assert (await gateway.http.get("/v1/queue/broadcast", params={"broadcast_id": name})).status_code == 404
    for act in ("pause", "resume", "cancel", "retry"):
        assert (await gateway.http.post(f"/v1/message/broadcast/{name}/{act}")).status_code == 404


async def test_another_organisation_sees_nothing_of_it(gateway: Gateway) -> None:
    name = (await post(gateway)).json()["broadcast_id"]
    other = await gateway.stores.accounts.create_org("two")
    secret = "hg_live_ffffffffffffffffffffffffffffffff"
    await gateway.add_key(other.org_no, secret)
    async with gateway.client(secret) as theirs:
        assert (await theirs.get("/v1/queue/broadcast", params={"broadcast_id": name})).status_code == 404
        assert (await theirs.post(f"/v1/message/broadcast/{name}/cancel")).status_code == 404
        assert (await theirs.get("/v1/message/broadcast")).json()["count"] == 0
        assert (await theirs.post("/v1/message/queues", json={"broadcast_id": name})).json() == []
