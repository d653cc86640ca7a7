"""Tests of reading a message: each of its ids finds it, from the first moment."""

from urllib.parse import quote

import pytest

from tests.api.gateway import Gateway


async def test_a_message_is_found_by_each_of_its_ids(gateway: Gateway) -> None:
    sent = (await gateway.send(message="Hello")).json()
    full = f"true_919537851844@c.us_{sent['unique_id']}"
    shown = [
        (await gateway.http.get(f"/v1/message/{quote(name, safe='')}")).json()
        for name in (sent["queue_id"], sent["unique_id"], full)
    ]
    assert shown[0] == shown[1] == shown[2]
    message = shown[0]
    assert (message["ack"], message["body"], message["message_id"]) == ("0", "Hello", full)
    assert (message["sent_message_id"], message["unique_id"]) == (sent["queue_id"], sent["unique_id"])
    assert message["org_id"] == gateway.org.org_id
    for required in ("message_id", "org_id", "org_phone", "chat_id", "message_type", "media"):
        assert required in message


async def test_a_message_to_a_group_has_one_id_wherever_it_is_shown(gateway: Gateway) -> None:
    group, http = "120363000000000100@g.us", gateway.http
    sent = (await gateway.send(chat_id=group)).json()
    short = f"true_{group}_{sent['unique_id']}"
    full = f"{short}_{gateway.phone.number}@c.us"
    for name in (sent["queue_id"], sent["unique_id"], short, full):
        message = (await http.get(f"/v1/message/{quote(name, safe='')}")).json()
        assert (message["message_id"], message["id"]["_serialized"]) == (full, full)
        assert message["author"] == f"{gateway.phone.number}@c.us"
        assert (await http.get(f"/v1/message/{quote(name, safe='')}/status")).json()["message_id"] == full
        assert [job["message_id"] for job in (await http.get("/v1/message/queues", params={"queue_id": name})).json()]
    assert [job["message_id"] for job in (await http.get("/v1/message/queues")).json()] == [full]
    assert [job["message_id"] for job in (await http.get("/v1/queue/jobs")).json()] == [sent["unique_id"]]
    sync = {"chat_id": group, "message": "Hi", "sync_timeout": 0}
    unique = (await http.post("/v1/message/send-sync", json=sync)).json()["unique_id"]
    message = (await http.get(f"/v1/message/{unique}")).json()
    assert message["message_id"] == f"true_{group}_{unique}_{gateway.phone.number}@c.us"


@pytest.mark.parametrize("path", ["/v1/message/{}/status", "/v1/messages/{}/status"])
async def test_the_status_path_shows_every_time_with_an_integer_ack(gateway: Gateway, path: str) -> None:
    sent = (await gateway.send()).json()
    status = (await gateway.http.get(path.format(sent["unique_id"]))).json()
    assert status["queue_id"] == sent["queue_id"]
    assert (status["status"], status["ack"], status["attempts"]) == ("queued", 0, 0)
    assert (status["delivered_count"], status["read_count"]) == (0, 0)
    assert status["status_description"] == "Waits: the phone is connecting."


async def test_a_reply_shows_what_it_quotes(gateway: Gateway) -> None:
    first = (await gateway.send()).json()
    full = (await gateway.http.get(f"/v1/message/{first['unique_id']}")).json()["message_id"]
    for name in (first["unique_id"], first["unique_id"].lower(), first["queue_id"], full):
        second = (await gateway.send(reply_to=name)).json()
        status = (await gateway.http.get(f"/v1/message/{second['unique_id']}/status")).json()
        assert status["message"]["quoted_message_id"] == full
        message = (await gateway.http.get(f"/v1/message/{second['unique_id']}")).json()
        assert (message["quoted_message_id"], message["has_quoted_msg"]) == (full, True)


async def test_a_message_id_with_another_chat_or_author_names_nothing(gateway: Gateway) -> None:
    person, group, own = "919537851844@c.us", "120363000000000100@g.us", f"{gateway.phone.number}@c.us"
    to_person = (await gateway.send()).json()["unique_id"]
    to_group = (await gateway.send(chat_id=group)).json()["unique_id"]
    wrong = [
        f"true_99999999999@c.us_{to_person}",
        f"true_{group}_{to_person}",
        f"true_{person}_{to_person}_{own}",
        f"false_{person}_{to_person}",
        f"true_{person}_{to_group}_{own}",
        f"true_{group}_{to_group}_{person}",
        f"false_{group}_{to_group}_{own}",
    ]
    for name in wrong:
        for path in ("", "/status", "/history", "/explain"):
            assert (await gateway.http.get(f"/v1/message/{quote(name, safe='')}{path}")).status_code == 404, name
        assert (await gateway.http.get("/v1/message/queues", params={"queue_id": name})).json() == []
        assert (await gateway.http.get("/v1/queue/jobs", params={"queue_id": name})).json() == []
        refused = await gateway.send(reply_to=name)
        assert (refused.status_code, list(refused.json()["fields"])) == (422, ["reply_to"]), name
    assert len(await gateway.jobs()) == 2


async def test_the_history_begins_with_the_first_event_and_has_no_holes(gateway: Gateway) -> None:
    sent = (await gateway.send()).json()
    await gateway.http.post("/v1/message/queues/purge", json={"queue_ids": [sent["queue_id"]]})
    history = (await gateway.http.get(f"/v1/message/{sent['queue_id']}/history")).json()
    assert [(event["n"], event["kind"]) for event in history] == [(1, "queued"), (2, "cancelled")]
    assert history[1]["before"] == "queued"
    assert history[0]["at"].endswith("Z")


async def test_a_message_outlives_its_phone(gateway: Gateway) -> None:
    sent = (await gateway.send()).json()
    await gateway.http.delete("/v1/phones/delete")
    message = (await gateway.http.get(f"/v1/message/{sent['queue_id']}")).json()
    assert message["org_phone"] == f"{gateway.phone.number}@c.us"
    assert message["ack"] == "-1"


@pytest.mark.parametrize(
    "name",
    ["x", "5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400", "3EB05FC204C28E456D8596", "true_1@c.us_3EB05FC204C28E456D8596", "%00",
     "%F0%9F%98%80", "%ff", "x" * 2000, "'%20OR%201=1", "true_%2F_x"],
)  # fmt: skip
async def test_an_id_that_names_nothing_is_a_404(gateway: Gateway, name: str) -> None:
    for path in ("", "/status", "/history"):
        answer = await gateway.http.get(f"/v1/message/{name}{path}")
        assert answer.status_code == 404
        assert answer.json()["code"] == "NOT_FOUND_ERROR"


async def test_send_sync_gives_the_queued_answer_when_the_time_is_over(gateway: Gateway) -> None:
    began = gateway.clock.monotonic()
    body = {"chat_id": "919537851844", "message": "Hi", "sync_timeout": 5}
    answer = await gateway.http.post("/v1/message/send-sync", json=body)
    assert answer.status_code == 200
    assert answer.json()["status"] == "queued"
    assert set(answer.json()) == {"status", "queue_id", "queue_position", "unique_id", "hint"}
    assert 5 <= gateway.clock.monotonic() - began < 5.5
    assert len(await gateway.jobs()) == 1


async def test_send_sync_takes_its_time_from_the_query_too_and_20_seconds_otherwise(gateway: Gateway) -> None:
    body = {"chat_id": "919537851844", "message": "Hi"}
    for params, seconds in (({"sync_timeout": "0.5"}, 0.5), ({}, 20.0), ({"sync_timeout": "0"}, 0.0)):
        began = gateway.clock.monotonic()
        await gateway.http.post("/v1/message/send-sync", json=body, params=params)
        assert seconds <= gateway.clock.monotonic() - began < seconds + 0.5


@pytest.mark.parametrize("given", ["-1", "121", "nan", "soon", "inf", "1_0", " 5", "５"])
async def test_a_sync_timeout_out_of_bounds_is_refused(gateway: Gateway, given: str) -> None:
    body = {"chat_id": "919537851844", "message": "Hi"}
    answer = await gateway.http.post("/v1/message/send-sync", json=body, params={"sync_timeout": given})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["sync_timeout"])
    assert await gateway.jobs() == []


async def test_send_sync_learns_at_once_of_a_message_that_ended(gateway: Gateway) -> None:
    body = {"chat_id": "919537851844", "message": "Hi"}
    headers = {"Idempotency-Key": "once"}
    first = (
        await gateway.http.post("/v1/message/send-sync", json=body, params={"sync_timeout": "0"}, headers=headers)
    ).json()
    await gateway.http.post("/v1/message/queues/purge", json={"queue_id": first["queue_id"]})
    began = gateway.clock.monotonic()
    again = await gateway.http.post("/v1/message/send-sync", json=body, params={"sync_timeout": "0"}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.json()["status"], again.json()["queue_id"]) == ("failed", first["queue_id"])
    assert "status_description" not in first and "urged" in again.json()["status_description"]
    assert gateway.clock.monotonic() == began
