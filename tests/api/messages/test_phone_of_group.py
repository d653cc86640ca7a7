"""Tests of sends to a group without x-phone: they go through the one phone that knows the group."""

from collections.abc import Sequence
from typing import Any

import pytest

from heliograph.domain.timestamps import iso
from heliograph.ports.provider import Inbound
from tests.api.gateway import NUMBER, Gateway

GROUP = "120363000000000100@g.us"
PATHS = ("/v1/message/send", "/v1/message/send-sync", "/v1/message/scheduled")


async def hear(gateway: Gateway, phone_no: int, chat_id: str = GROUP) -> None:
    """Stores a message from a person to the phone in that chat."""
    said = Inbound(f"3A{chat_id}", chat_id, "919537851844@c.us", gateway.clock.now_us(), "chat", "hello")
    await gateway.stores.sender.keep_inbound(phone_no, gateway.org.org_no, [said])


async def write(gateway: Gateway, path: str, chat_id: str = GROUP) -> Any:
    body: dict[str, Any] = {"chat_id": chat_id, "message": "Hi"}
    if path.endswith("sync"):
        body["sync_timeout"] = 0
    if path.endswith("scheduled"):
        body["scheduled_at"] = iso(gateway.clock.now_us() + 3_600_000_000)
    return await gateway.http.post(path, json=body)


@pytest.mark.parametrize("path", PATHS)
async def test_a_group_that_one_phone_knows_is_written_to_by_that_phone(gateway: Gateway, path: str) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    await hear(gateway, second.phone_no)
    answer = await write(gateway, path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-periskope-phone-id"] == second.phone_id
    if path.endswith("scheduled"):
        assert answer.json()["org_phone"] == "447700900002@c.us"
    else:
        assert [job.phone_no for job in await gateway.jobs()] == [second.phone_no]


@pytest.mark.parametrize("path", PATHS)
async def test_a_group_that_no_phone_or_several_know_needs_the_header_and_says_why(gateway: Gateway, path: str) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    await hear(gateway, second.phone_no, "120363000000000101@g.us")
    for why in ("no phone of this organisation", "2 phones of this organisation"):
        answer = await write(gateway, path)
        assert (answer.status_code, list(answer.json()["fields"])) == (422, ["x-phone"])
        assert answer.json()["message"].startswith("Missing Header: {x-phone}. ") and why in answer.json()["message"]
        for phone in (gateway.phone, second):
            await hear(gateway, phone.phone_no)
    assert await gateway.jobs() == []


async def test_a_phone_that_was_deleted_is_not_chosen(gateway: Gateway) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    await gateway.add_phone(gateway.org.org_no, "447700900003")
    await hear(gateway, second.phone_no)
    await gateway.http.delete("/v1/phones/delete", headers={"x-phone": second.number})
    assert (await write(gateway, PATHS[0])).status_code == 422


async def test_the_phone_chosen_for_one_group_is_not_used_for_other_chats(gateway: Gateway) -> None:
    second = await gateway.add_phone(gateway.org.org_no, "447700900002")
    await hear(gateway, second.phone_no)
    await hear(gateway, second.phone_no, "919537851844@c.us")
    assert (await write(gateway, PATHS[0])).status_code == 200
    refused = await write(gateway, PATHS[0], "919537851844")
    assert (refused.status_code, refused.json()["message"]) == (422, "Missing Header: {x-phone}")
    assert (await write(gateway, PATHS[0], "120363000000000101@g.us")).status_code == 422


async def test_nothing_is_asked_of_the_store_where_the_header_or_the_only_phone_says_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    truth = gateway.stores.phones.phones_of_chat

    async def seen(org_no: int, phone_nos: Sequence[int], chat_id: str) -> set[int]:
        asked.append(chat_id)
        return await truth(org_no, phone_nos, chat_id)

    monkeypatch.setattr(gateway.stores.phones, "phones_of_chat", seen)
    for path in PATHS:
        assert (await write(gateway, path)).status_code == 200
    await gateway.add_phone(gateway.org.org_no, "447700900002")
    gateway.http.headers["x-phone"] = NUMBER
    for path in PATHS:
        assert (await write(gateway, path)).status_code == 200
    assert asked == []
