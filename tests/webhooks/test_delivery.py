"""Tests of webhook deliveries: each event once, signed, in order, with its content."""

import asyncio

from standardwebhooks import Webhook

from heliograph.domain.accounts.phone import NewPhone, PhonePatch
from heliograph.domain.jobs.ids import new_phone_id, queue_id, unique_id
from heliograph.domain.jobs.job import NewJob
from heliograph.domain.jobs.outcome import Rejected
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, delivering, receiving


async def test_an_ordinary_send_fires_its_events_in_order(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url)
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()
        await until(lambda: len(receiver.got) >= 8)
    assert receiver.names() == [
        "message.created",
        "message.sent",
        "message.ack.updated",
        "message.ack.updated",
        "message.delivered",
        "message.ack.updated",
        "message.read",
        "message.ack.updated",
    ]
    bodies = [got.body for got in receiver.got]
    assert [body["data"]["ack"] for body in bodies] == ["0", "1", "1", "2", "3", "3", "4", "4"]
    assert len({body["id"] for body in bodies}) == 8
    sequence = [body["sequence"] for body in bodies]
    assert sequence == sorted(set(sequence))
    assert {body["queue_id"] for body in bodies} == {bodies[0]["data"]["queue_id"]}
    assert bodies[2]["previous_attributes"] == {"ack": "0"}
    assert bodies[0]["current_attributes"] == bodies[0]["data"]
    assert bodies[0]["event"] == bodies[0]["event_type"] == "message.created"


async def test_every_event_of_a_message_to_a_group_has_the_id_that_names_its_author(gateway: Gateway) -> None:
    group, own = "120363000000000100@g.us", f"{gateway.lease.phone.number}@c.us"
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created", "message.read", "reaction.created")
        job_id = await gateway.enqueue(group)
        await gateway.whole_way(job_id)
        thumb = Inbound(
            "3A01", group, "919537851844@c.us", 5_000_000, "reaction", "👍", {"reacted_to": unique_id(job_id)}
        )
        await gateway.stores.sender.keep_inbound(gateway.lease.phone.phone_no, gateway.org.org_no, [thumb])
        worker.wake()
        await until(lambda: len(receiver.got) == 4)
    shown = [got.body["data"] for got in receiver.got if got.body["data"].get("from_me", True)]
    assert {data["message_id"] for data in shown} == {f"true_{group}_{unique_id(job_id)}_{own}"}
    assert len(shown) == 3 and {data["author"] for data in shown if "author" in data} == {own}


async def test_a_delivery_verifies_with_the_organisations_key(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue(text="Grüße 😀")
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    keys = await gateway.hooks.signing_keys(gateway.org.org_no, "unused")
    got = receiver.got[0]
    assert Webhook(keys.current).verify(got.raw, got.headers)["data"]["body"] == "Grüße 😀"
    assert got.headers["webhook-id"] == got.body["id"]
    assert got.headers["content-type"] == "application/json"
    assert len(got.headers["x-periskope-signature"]) == 64


async def test_only_the_names_a_hook_subscribed_to_are_delivered(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.read", "message.sent")
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()
        await until(lambda: len(receiver.got) >= 2)
    assert receiver.names() == ["message.sent", "message.read"]


async def test_a_failed_message_says_why(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url)
        await gateway.enqueue()
        await gateway.settle_all(Rejected("not_on_whatsapp", "This number is not on WhatsApp."))
        worker.wake()
        await until(lambda: len(receiver.got) >= 3)
    assert receiver.names() == ["message.created", "message.failed", "message.ack.updated"]
    failed = receiver.got[1].body
    assert failed["reason"] == failed["data"]["reason"] == "not_on_whatsapp"
    assert failed["data"]["ack"] == "-1"


async def test_a_purged_message_fires_failed_with_its_reason(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.failed")
        await gateway.enqueue()
        await gateway.stores.jobs.purge(gateway.org.org_no, None)
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    assert receiver.got[0].body["reason"] == "purged"


async def test_a_refusal_after_acceptance_fires_failed(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.sent", "message.failed", "message.ack.updated")
        job_id = await gateway.enqueue()
        await gateway.settle_all()
        await gateway.receipts(-1, job_id, code="131026", detail="Undeliverable.")
        worker.wake()
        await until(lambda: len(receiver.got) >= 4)
    assert receiver.names() == ["message.sent", "message.ack.updated", "message.failed", "message.ack.updated"]
    assert receiver.got[3].body["previous_attributes"]["ack"] in ("0", "1")


async def test_an_inbound_message_fires_created(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        await gateway.inbound("Where is my parcel?")
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    data = receiver.got[0].body["data"]
    assert (data["from_me"], data["body"], data["from"]) == (False, "Where is my parcel?", "919537851844@c.us")
    assert data["message_id"].startswith("false_919537851844@c.us_")


async def test_a_reaction_is_delivered_as_a_reaction(gateway: Gateway) -> None:
    phone = gateway.lease.phone
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created", "reaction.created")
        job_id = await gateway.enqueue()
        target = unique_id(job_id)
        chat = "919537851844@c.us"
        given = [
            Inbound("3A01", chat, chat, 5_000_000, "reaction", "👍", {"reacted_to": target}),
            Inbound("3A02", chat, chat, 6_000_000, "reaction", "", {"reaction": {"message_id": "wamid.X"}}),
            Inbound("3A03", chat, chat, 7_000_000, "reaction", "👍"),
        ]
        await gateway.stores.sender.keep_inbound(phone.phone_no, phone.org_no, given)
        worker.wake()
        await until(lambda: len(receiver.got) == 7)
    told = [got.body for got in receiver.got if got.name == "reaction.created"]
    assert [(body["data"]["reaction"], body["data"]["message_id"], body["data"]["orphan"]) for body in told] == [
        ("👍", f"true_{chat}_{target}", 0),
        ("", f"true_{chat}_wamid.X", 0),
        ("👍", None, 1),
    ]
    first = told[0]["data"]
    assert (first["sender_id"], first["reaction_id"], first["chat_id"]) == (chat, "3A01", chat)
    assert first["org_phone"] == f"{phone.number}@c.us" and first["timestamp"] == "1970-01-01T00:00:05.000Z"
    assert len({got.body["id"] for got in receiver.got}) == 7


async def test_a_phone_that_is_added_and_changed_is_delivered(gateway: Gateway) -> None:
    org_no = gateway.org.org_no
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "org.phone.created", "org.phone.updated")
        made = await gateway.stores.phones.create_phone(NewPhone(org_no, new_phone_id(), "919876500001", "simulator"))
        assert isinstance(made, tuple)
        await gateway.stores.phones.update_phone(org_no, made[0].phone_no, PhonePatch(name="Front desk"))
        worker.wake()
        await until(lambda: len(receiver.got) == 2)
    assert receiver.names() == ["org.phone.created", "org.phone.updated"]
    assert {got.body["data"]["org_phone"] for got in receiver.got} == {"919876500001@c.us"}


async def test_a_phone_that_connects_and_disconnects_is_delivered(gateway: Gateway) -> None:
    phone = gateway.lease.phone
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "org.phone.connected", "org.phone.disconnected")
        for state in ("connected", "connected", "offline", "connecting", "connected"):
            await gateway.stores.sender.set_phone_state(
                phone.org_no, phone.phone_no, gateway.lease.token, state=state, detail="as told"
            )
        worker.wake()
        await until(lambda: len(receiver.got) >= 3)
    assert receiver.names() == ["org.phone.connected", "org.phone.disconnected", "org.phone.connected"]
    assert [got.body["data"]["wa_state"] for got in receiver.got] == ["CONNECTED", "DISCONNECTED", "CONNECTED"]


async def test_a_test_delivery_reaches_the_hook(gateway: Gateway) -> None:
    from heliograph.webhooks.envelope import sample_body

    async with receiving() as receiver, delivering(gateway) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.sent")
        made = await gateway.hooks.add_test(hook, sample_body(hook, 1))
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    body = receiver.got[0].body
    assert body["test"] is True and body["id"] == made.delivery_id == receiver.got[0].headers["webhook-id"]


async def test_a_deleted_webhook_gets_no_more_deliveries(gateway: Gateway) -> None:
    async with receiving() as receiver:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        (other,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        await gateway.deliveries.fan_out(100)
        assert await gateway.hooks.delete_hook(gateway.org.org_no, hook.hook_id)
        async with delivering(gateway) as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 1)
            await asyncio.sleep(0.1)
        assert [got.body["hook_id"] for got in receiver.got] == [other.hook_id]


async def test_without_webhooks_no_delivery_is_stored(gateway: Gateway) -> None:
    await gateway.enqueue()
    assert await gateway.deliveries.fan_out(100) == []
    async with receiving() as receiver:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        assert await gateway.deliveries.fan_out(100) == []
        await gateway.enqueue()
        assert len(await gateway.deliveries.fan_out(100)) == 1
        await gateway.hooks.delete_hook(gateway.org.org_no, hook.hook_id)
        await gateway.enqueue()
        assert await gateway.deliveries.fan_out(100) == []


async def test_a_late_delivery_shows_the_message_as_it_was(gateway: Gateway) -> None:
    async with receiving() as receiver:
        await gateway.hook(receiver.url)
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        async with delivering(gateway) as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 8)
    shown = {got.body["event"]: got.body["data"] for got in receiver.got}
    created, sent, delivered = shown["message.created"], shown["message.sent"], shown["message.delivered"]
    assert created["delivery_info"]["delivered"] == sent["delivery_info"]["delivered"] == {}
    assert delivered["delivery_info"]["read"] == {} and delivered["delivery_info"]["delivered_count"] == 1
    assert created["updated_at"] <= sent["updated_at"] <= delivered["updated_at"]
    assert created["message_id"].startswith("true_") and created["sent_message_id"] == created["queue_id"]


async def test_a_message_of_a_broadcast_names_it(gateway: Gateway) -> None:
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        broadcast_no = gateway.ids.make()
        phone = gateway.lease.phone
        job = NewJob(
            gateway.ids.make(), phone.org_no, phone.phone_no, "919537851844@c.us", Content(Kind.TEXT, "Hi"),
            broadcast_no=broadcast_no,
        )  # fmt: skip
        await gateway.stores.jobs.enqueue(job)
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    data = receiver.got[0].body["data"]
    assert data["broadcast"] is True and data["broadcast_id"] == queue_id(broadcast_no)
