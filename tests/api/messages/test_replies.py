"""Tests of replies and reactions: they name, by its message_id, a message that the same phone sent or received."""

import pytest

from heliograph.domain.jobs.ids import parse_job_id
from heliograph.ports.provider import Inbound
from tests.api.gateway import Gateway

PERSON, GROUP = "919537851844@c.us", "120363000000000100@g.us"
UNKNOWN = "names no message that this phone sent or received"


async def hear(gateway: Gateway, message_id: str, chat_id: str, author: str = PERSON) -> None:
    said = Inbound(message_id, chat_id, author, gateway.clock.now_us(), "chat", "hello")
    await gateway.stores.sender.keep_inbound(gateway.phone.phone_no, gateway.org.org_no, [said])


async def quoted(gateway: Gateway, name: str) -> str | None:
    """Sends a reply, and returns the quoted message, or None if its field was refused."""
    answer = await gateway.http.post(
        "/v1/message/send",
        json={"chat_id": PERSON, "message": "Hi", "reply_to": name},
        headers={"x-phone": gateway.phone.number},
    )
    if answer.status_code == 422:
        assert list(answer.json()["fields"]) == ["reply_to"] and UNKNOWN in answer.json()["message"]
        return None
    assert answer.status_code == 200
    return str((await gateway.http.get(f"/v1/message/{answer.json()['queue_id']}")).json()["quoted_message_id"])


async def test_an_inbound_message_is_quoted_by_its_message_id(gateway: Gateway) -> None:
    await hear(gateway, "3A01", PERSON)
    await hear(gateway, "3A02", GROUP)
    for name in ("3A01", f"false_{PERSON}_3A01"):
        assert await quoted(gateway, name) == f"false_{PERSON}_3A01"
    for name in ("3A02", f"false_{GROUP}_3A02", f"false_{GROUP}_3A02_{PERSON}"):
        assert await quoted(gateway, name) == f"false_{GROUP}_3A02_{PERSON}"


@pytest.mark.parametrize(
    "name",
    [f"true_{PERSON}_3A01", "false_99999999999@c.us_3A01", f"false_{GROUP}_3A01_{PERSON}",
     f"false_{PERSON}_3A01_{PERSON}", f"true_{GROUP}_3A02_{PERSON}", f"false_{GROUP}_3A02_99999999999@c.us", "3A03"],
)  # fmt: skip
async def test_an_id_that_does_not_fit_what_a_person_wrote_names_nothing(gateway: Gateway, name: str) -> None:
    await hear(gateway, "3A01", PERSON)
    await hear(gateway, "3A02", GROUP)
    assert await quoted(gateway, name) is None


async def test_a_message_of_another_phone_is_none_of_this_one_unless_it_came_to_it(gateway: Gateway) -> None:
    other = await gateway.add_phone(gateway.org.org_no, "447700900001")
    theirs = {"x-phone": other.number}
    body = {"chat_id": GROUP, "message": "from the other"}
    sent = (await gateway.http.post("/v1/message/send", json=body, headers=theirs)).json()
    full = f"true_{GROUP}_{sent['unique_id']}_{other.number}@c.us"
    names = (sent["queue_id"], sent["unique_id"], f"true_{GROUP}_{sent['unique_id']}", full)
    for name in names:
        assert await quoted(gateway, name) is None
    await hear(gateway, sent["unique_id"], GROUP, f"{other.number}@c.us")
    for name in names:
        assert await quoted(gateway, name) == f"false{full.removeprefix('true')}"


async def test_broadcasts_and_schedules_resolve_what_they_answer_too(gateway: Gateway) -> None:
    first = (await gateway.send()).json()
    full = f"true_{PERSON}_{first['unique_id']}"
    later = {"chat_id": PERSON, "message": "Hi", "scheduled_at": "2099-01-01T00:00:00Z", "reply_to": first["queue_id"]}
    made = (await gateway.http.post("/v1/message/scheduled", json=later)).json()
    assert made["message_payload"]["reply_to"] == full
    many = {"chat_ids": [PERSON], "message": "Hi", "reply_to": first["queue_id"]}
    made = (await gateway.http.post("/v1/message/broadcast", json=many)).json()
    [job] = (await gateway.http.get("/v1/message/queues", params={"broadcast_id": made["broadcast_id"]})).json()
    assert job["message"]["quoted_message_id"] == full


async def test_a_reaction_names_the_message_by_its_message_id_and_refuses_by_its_own_field(gateway: Gateway) -> None:
    first = (await gateway.send(chat_id=GROUP)).json()
    refused = await gateway.send(message=None, reaction={"message_id": "nosuch", "emoji": "x"})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["message_id"])
    given = await gateway.send(chat_id=GROUP, message=None, reaction={"message_id": first["queue_id"], "emoji": "x"})
    job = await gateway.stores.jobs.job(gateway.org.org_no, given.json()["queue_id"])
    assert job is not None
    assert job.content.reply_to == f"true_{GROUP}_{first['unique_id']}_{gateway.phone.number}@c.us"
    assert parse_job_id(job.content.reply_to) == parse_job_id(first["queue_id"]), "so the network gets the right one"
