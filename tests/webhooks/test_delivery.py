"""Events become webhooks: signed, in order, retried, parked, replayed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from standardwebhooks import Webhook

from heliograph.domain.jobs.ids import new_phone_id, queue_id, unique_id
from heliograph.domain.jobs.job import NewJob, NewPhone, PhonePatch
from heliograph.domain.jobs.outcome import Rejected
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound
from heliograph.ports.webhook_store import BatchResult, ClaimRequest, ClaimResult, DeliveryResult
from heliograph.store.delivery_store import OutboxStore
from tests.webhooks.setup import Got, World, receiving, until, working


async def test_an_ordinary_send_fires_its_events_in_order(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
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


async def test_every_event_of_a_message_to_a_group_has_the_id_that_names_its_author(gateway: World) -> None:
    group, own = "120363000000000100@g.us", f"{gateway.lease.phone.number}@c.us"
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.created", "message.read", "reaction.created")
        job_id = await gateway.enqueue(group)
        await gateway.whole_way(job_id)
        thumb = Inbound(
            "3A01", group, "919537851844@c.us", 5_000_000, "reaction", "👍", {"reacted_to": unique_id(job_id)}
        )
        await gateway.store.inbound(gateway.lease.phone.phone_no, gateway.org.org_no, [thumb])
        worker.wake()
        await until(lambda: len(receiver.got) == 4)
    shown = [got.body["data"] for got in receiver.got if got.body["data"].get("from_me", True)]
    assert {data["message_id"] for data in shown} == {f"true_{group}_{unique_id(job_id)}_{own}"}
    assert len(shown) == 3 and {data["author"] for data in shown if "author" in data} == {own}


async def test_a_delivery_verifies_with_the_organisations_key(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
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


async def test_only_the_names_a_hook_subscribed_to_are_delivered(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.read", "message.sent")
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()
        await until(lambda: len(receiver.got) >= 2)
    assert receiver.names() == ["message.sent", "message.read"]


async def test_a_failed_message_says_why(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url)
        await gateway.enqueue()
        await gateway.settle_all(Rejected("not_on_whatsapp", "This number is not on WhatsApp."))
        worker.wake()
        await until(lambda: len(receiver.got) >= 3)
    assert receiver.names() == ["message.created", "message.failed", "message.ack.updated"]
    failed = receiver.got[1].body
    assert failed["reason"] == failed["data"]["reason"] == "not_on_whatsapp"
    assert failed["data"]["ack"] == "-1"


async def test_a_purged_message_fires_failed_with_its_reason(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.failed")
        await gateway.enqueue()
        await gateway.store.purge(gateway.org.org_no, None)
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    assert receiver.got[0].body["reason"] == "purged"


async def test_a_refusal_after_acceptance_fires_failed(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.sent", "message.failed", "message.ack.updated")
        job_id = await gateway.enqueue()
        await gateway.settle_all()
        await gateway.receipts(-1, job_id, code="131026", detail="Undeliverable.")
        worker.wake()
        await until(lambda: len(receiver.got) >= 4)
    assert receiver.names() == ["message.sent", "message.ack.updated", "message.failed", "message.ack.updated"]
    assert receiver.got[3].body["previous_attributes"]["ack"] in ("0", "1")


async def test_what_a_person_writes_fires_created(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        await gateway.inbound("Where is my parcel?")
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    data = receiver.got[0].body["data"]
    assert (data["from_me"], data["body"], data["from"]) == (False, "Where is my parcel?", "919537851844@c.us")
    assert data["message_id"].startswith("false_919537851844@c.us_")


async def test_a_reaction_is_told_as_what_it_is(gateway: World) -> None:
    phone = gateway.lease.phone
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.created", "reaction.created")
        job_id = await gateway.enqueue()
        target = unique_id(job_id)
        chat = "919537851844@c.us"
        given = [
            Inbound("3A01", chat, chat, 5_000_000, "reaction", "👍", {"reacted_to": target}),
            Inbound("3A02", chat, chat, 6_000_000, "reaction", "", {"reaction": {"message_id": "wamid.X"}}),
            Inbound("3A03", chat, chat, 7_000_000, "reaction", "👍"),
        ]
        await gateway.store.inbound(phone.phone_no, phone.org_no, given)
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


async def test_a_phone_that_is_added_and_changed_is_told(gateway: World) -> None:
    org_no = gateway.org.org_no
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "org.phone.created", "org.phone.updated")
        made = await gateway.store.create_phone(NewPhone(org_no, new_phone_id(), "919876500001", "simulator"))
        assert isinstance(made, tuple)
        await gateway.store.update_phone(org_no, made[0].phone_no, PhonePatch(name="Front desk"))
        worker.wake()
        await until(lambda: len(receiver.got) == 2)
    assert receiver.names() == ["org.phone.created", "org.phone.updated"]
    assert {got.body["data"]["org_phone"] for got in receiver.got} == {"919876500001@c.us"}


async def test_a_phone_that_comes_and_goes_is_told(gateway: World) -> None:
    phone = gateway.lease.phone
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "org.phone.connected", "org.phone.disconnected")
        for state in ("connected", "connected", "offline", "connecting", "connected"):
            await gateway.store.phone_state(
                phone.org_no, phone.phone_no, gateway.lease.token, state=state, detail="as told"
            )
        worker.wake()
        await until(lambda: len(receiver.got) >= 3)
    assert receiver.names() == ["org.phone.connected", "org.phone.disconnected", "org.phone.connected"]
    assert [got.body["data"]["wa_state"] for got in receiver.got] == ["CONNECTED", "DISCONNECTED", "CONNECTED"]


async def test_a_failed_try_comes_again_with_the_same_id_and_bytes(gateway: World) -> None:
    tries = iter([500, 503, 200])
    async with receiving(lambda got: next(tries)) as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()
        await until(lambda: len(receiver.got) == 3)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.raw for got in receiver.got}) == 1


async def test_order_holds_while_the_first_of_a_chat_is_retried(gateway: World) -> None:
    failures = iter([500, 500])
    async with receiving(lambda got: next(failures, 200)) as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.created", "message.sent")
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()
        await until(lambda: len(receiver.got) == 4)
    assert receiver.names() == ["message.created"] * 3 + ["message.sent"]


async def test_a_delivery_is_parked_after_its_third_failed_try_and_its_stream_goes_on(gateway: World) -> None:
    def answer(got: Got) -> int:
        return 500 if got.name == "message.created" else 200

    schedule = (0.05, 0.05, 0.3, 0.05)
    async with receiving(answer) as receiver, working(gateway, schedule=schedule) as worker:
        hook, _ = await gateway.hook(receiver.url, "message.created", "message.sent")
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        worker.wake()

        async def dead() -> bool:
            return [d.state for d in await gateway.hooks.deliveries(hook)] == ["dead"]

        await until(dead)
        names = receiver.names()
        assert names == ["message.created"] * 3 + ["message.sent"] + ["message.created"] * 2
        delivery = (await gateway.hooks.deliveries(hook))[0]
        found = await gateway.hooks.delivery(gateway.org.org_no, delivery.no)
        assert found is not None
        _, body, attempts = found
        assert body is not None and body.encode() == receiver.got[0].raw
        assert [(a.attempt, a.status, a.outcome, a.answer) for a in attempts] == [
            (n, 500, "server_error", "ok") for n in range(1, 6)
        ]

        receiver.answer = None
        assert await gateway.hooks.replay(gateway.org.org_no, delivery.no)
        worker.wake()
        await until(lambda: len(receiver.got) == 7)
        assert receiver.got[6].headers["webhook-id"] == receiver.got[0].headers["webhook-id"]
        assert receiver.got[6].raw == receiver.got[0].raw


async def test_all_failed_since_and_a_range_are_replayed(gateway: World) -> None:
    async with receiving(lambda got: 400) as receiver, working(gateway, schedule=(0.05,)) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        for n in range(4):
            await gateway.enqueue(chat=f"91953785184{n}")
        worker.wake()

        async def dead() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="dead")) == 4

        await until(dead)
        receiver.answer = None
        assert await gateway.hooks.replay_many(hook, dead_only=True, since_us=0, until_us=2**62) == 4
        worker.wake()
        await until(lambda: len(receiver.got) == 12)

        async def told() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="delivered")) == 4

        await until(told)
        assert await gateway.hooks.replay_many(hook, dead_only=True, since_us=0, until_us=2**62) == 0
        assert await gateway.hooks.replay_many(hook, dead_only=False, since_us=0, until_us=2**62) == 4
        worker.wake()
        await until(lambda: len(receiver.got) == 16)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 4


async def test_410_disables_the_endpoint_and_other_hooks_hear_of_it(gateway: World) -> None:
    async with receiving(lambda got: 410) as gone, receiving() as other, working(gateway) as worker:
        (hook,) = await gateway.hook(gone.url, "message.created")
        await gateway.hook(other.url, "webhook.disabled")
        await gateway.enqueue()
        await gateway.enqueue(chat="919537851845")
        worker.wake()
        await until(lambda: other.names() == ["webhook.disabled"])
        assert other.got[0].body["data"]["hook_url"] == gone.url
        row = await gateway.hooks.hook(gateway.org.org_no, hook.hook_id)
        assert row is not None and not row.is_subscribed and row.disabled_reason == "The receiver answered 410."
        seen = len(gone.got)
        await gateway.enqueue(chat="919537851846")
        await asyncio.sleep(0.2)
        assert len(gone.got) == seen <= 2


async def test_a_dead_endpoint_gets_one_probe_and_all_of_it_when_it_is_back(gateway: World) -> None:
    async with receiving(lambda got: 500) as receiver, working(gateway, schedule=(0.3, 0.3, 0.3, 5, 5, 5)) as worker:
        await gateway.hook(receiver.url, "message.created")
        for n in range(60):
            await gateway.enqueue(chat=f"9195378518{n:02d}")
        worker.wake()
        await until(lambda: len(receiver.got) >= 8)
        await asyncio.sleep(0.25)
        assert len(receiver.got) <= 16  # not 60: the circuit is open
        before = len(receiver.got)
        receiver.answer = None
        await until(lambda: len({g.headers["webhook-id"] for g in receiver.got[before:]}) == 60)


async def test_a_test_delivery_reaches_the_hook(gateway: World) -> None:
    from heliograph.webhooks.envelope import sample_body

    async with receiving() as receiver, working(gateway) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.sent")
        made = await gateway.hooks.add_test(hook, sample_body(hook, 1))
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    body = receiver.got[0].body
    assert body["test"] is True and body["id"] == made.delivery_id == receiver.got[0].headers["webhook-id"]


async def test_a_deleted_hook_is_told_nothing_more(gateway: World) -> None:
    async with receiving() as receiver:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        (other,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        await gateway.outbox.fan_out(100)
        assert await gateway.hooks.delete_hook(gateway.org.org_no, hook.hook_id)
        async with working(gateway) as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 1)
            await asyncio.sleep(0.1)
        assert [got.body["hook_id"] for got in receiver.got] == [other.hook_id]


async def test_without_hooks_nothing_is_kept_to_be_told(gateway: World) -> None:
    await gateway.enqueue()
    assert await gateway.outbox.fan_out(100) == []
    async with receiving() as receiver:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        assert await gateway.outbox.fan_out(100) == []
        await gateway.enqueue()
        assert len(await gateway.outbox.fan_out(100)) == 1
        await gateway.hooks.delete_hook(gateway.org.org_no, hook.hook_id)
        await gateway.enqueue()
        assert await gateway.outbox.fan_out(100) == []


async def test_a_worker_that_ends_gives_its_claims_to_the_next(gateway: World) -> None:
    hanging = asyncio.Event()

    async def hang(got: Got) -> int:
        await hanging.wait()
        return 200

    async with receiving(hang) as receiver:
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        async with working(gateway, name="first") as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 1)
        hanging.set()
        async with working(gateway, name="second"):
            await until(lambda: len(receiver.got) == 2)
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]


async def test_an_endpoint_that_hangs_holds_only_its_own_slots(gateway: World) -> None:
    released = asyncio.Event()

    async def hang(_: Got) -> int:
        await released.wait()
        return 200

    async with receiving(hang) as hanging, receiving() as other, working(gateway) as worker:
        await gateway.hook(hanging.url, "message.created")
        await gateway.hook(other.url, "message.created")
        for n in range(100):
            await gateway.enqueue(chat=f"91953785{n:04d}")
        worker.wake()
        await until(lambda: len(other.got) == 100)
        assert len(hanging.got) == 8
        released.set()
        await until(lambda: len(hanging.got) == 100)


async def test_a_message_is_told_as_it_was_however_late(gateway: World) -> None:
    async with receiving() as receiver:
        await gateway.hook(receiver.url)
        job_id = await gateway.enqueue()
        await gateway.whole_way(job_id)
        async with working(gateway) as worker:
            worker.wake()
            await until(lambda: len(receiver.got) == 8)
    shown = {got.body["event"]: got.body["data"] for got in receiver.got}
    created, sent, delivered = shown["message.created"], shown["message.sent"], shown["message.delivered"]
    assert created["delivery_info"]["delivered"] == sent["delivery_info"]["delivered"] == {}
    assert delivered["delivery_info"]["read"] == {} and delivered["delivery_info"]["delivered_count"] == 1
    assert created["updated_at"] <= sent["updated_at"] <= delivered["updated_at"]
    assert created["message_id"].startswith("true_") and created["sent_message_id"] == created["queue_id"]


async def test_old_deliveries_go_with_their_attempts(gateway: World) -> None:
    async with receiving(lambda got: 500) as receiver, working(gateway, schedule=(0.05,)) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()

        async def dead() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="dead")) == 1

        await until(dead)
        (delivery,) = await gateway.hooks.deliveries(hook)
        assert await gateway.outbox.prune_deliveries(1, 100) == (0, None)
        assert (await gateway.outbox.prune_deliveries(2**62, 100))[0] == 1
        assert await gateway.hooks.delivery(gateway.org.org_no, delivery.no) is None
        assert await gateway.outbox.prune_deliveries(2**62, 100) == (0, None)


async def test_what_waits_for_a_deleted_hook_does_not_hold_up_the_others_of_a_dead_endpoint(gateway: World) -> None:
    first_id = ""

    def dead_for_the_first(got: Got) -> int:
        return 500 if got.body["hook_id"] == first_id else 200

    async with receiving(dead_for_the_first) as receiver, working(gateway, schedule=(0.2, 0.2, 0.2, 5, 5)) as worker:
        (first,) = await gateway.hook(receiver.url, "message.created")
        first_id = first.hook_id
        for n in range(40):
            await gateway.enqueue(chat=f"91953785{n:04d}")
        worker.wake()
        await until(lambda: len(receiver.got) >= 8)
        (second,) = await gateway.hook(receiver.url, "message.created")
        await gateway.hooks.delete_hook(gateway.org.org_no, first_id)
        await gateway.enqueue(chat="919537859999")
        worker.wake()
        await until(lambda: second.hook_id in {got.body["hook_id"] for got in receiver.got}, within_s=15)
        states = {each.state for each in await gateway.hooks.deliveries(first, limit=100)}
        assert states <= {"cancelled", "pending"}


async def test_a_right_to_probe_that_found_nothing_to_send_is_given_back(gateway: World) -> None:
    (hook,) = await gateway.hook("http://127.0.0.1:9/", "message.created")
    org_no = gateway.org.org_no
    for n in range(6):
        await gateway.enqueue(chat=f"91953785{n:04d}")
    await gateway.outbox.fan_out(100)
    wants = [ClaimRequest(org_no, hook.endpoint_no, 10)]
    first = await gateway.outbox.move("w", [], wants, at_once=1, probe_s=0.0)
    failed = [
        BatchResult(run, (DeliveryResult(run.items[0].delivery, "pending", None, wait_s=60),), 0, 1)
        for run in first.runs
    ]
    # all wait, the circuit is open, a probe would be due: it finds nothing
    assert (await gateway.outbox.move("w", failed, wants, at_once=1, probe_s=0.0)).runs == []
    assert (await gateway.outbox.move("w", [], wants, at_once=1, probe_s=0.0)).runs == []
    await gateway.enqueue(chat="919537859999")
    await gateway.outbox.fan_out(100)
    probe = await gateway.outbox.move("w", [], wants, at_once=1, probe_s=0.0)
    assert [run.probing for run in probe.runs] == [True]


async def test_a_message_of_a_broadcast_names_it(gateway: World) -> None:
    async with receiving() as receiver, working(gateway) as worker:
        await gateway.hook(receiver.url, "message.created")
        broadcast_no = gateway.ids.make()
        phone = gateway.lease.phone
        job = NewJob(
            gateway.ids.make(), phone.org_no, phone.phone_no, "919537851844@c.us", Content(Kind.TEXT, "Hi"),
            broadcast_no=broadcast_no,
        )  # fmt: skip
        await gateway.store.enqueue(job)
        worker.wake()
        await until(lambda: len(receiver.got) == 1)
    data = receiver.got[0].body["data"]
    assert data["broadcast"] is True and data["broadcast_id"] == queue_id(broadcast_no)


async def test_an_answer_of_strange_bytes_is_kept_as_text(gateway: World) -> None:
    async with receiving(lambda got: 302) as receiver, working(gateway, schedule=(0.05,)) as worker:
        receiver.headers = "Location: /\xff\u20ac\udc80x\r\n"
        (hook,) = await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        worker.wake()

        async def dead() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="dead")) == 1

        await until(dead)
        (delivery,) = await gateway.hooks.deliveries(hook)
        found = await gateway.hooks.delivery(gateway.org.org_no, delivery.no)
        assert found is not None and found[2][0].detail.isascii() and found[2][0].status == 302


async def test_a_settlement_that_cannot_be_written_holds_up_no_other(
    gateway: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = OutboxStore.move

    async def failing(
        self: OutboxStore, worker: str, finished: Sequence[BatchResult], *args: Any, **more: Any
    ) -> ClaimResult:
        if any("9999" in each.batch.stream for each in finished):
            raise ValueError("a defect of this test's own")
        return await settle(self, worker, finished, *args, **more)

    monkeypatch.setattr(OutboxStore, "move", failing)
    async with receiving() as receiver, working(gateway) as worker:
        (hook,) = await gateway.hook(receiver.url, "message.created")
        for n in range(9997, 10_006):
            await gateway.enqueue(chat=f"91953785{n}")
        worker.wake()

        async def told() -> bool:
            return len(await gateway.hooks.deliveries(hook, state="delivered")) == 8

        await until(told)
        assert len(await gateway.hooks.deliveries(hook, state="pending")) == 1


async def test_hooks_made_and_deleted_at_the_same_time_leave_a_true_count(gateway: World) -> None:
    (kept,) = await gateway.hook("http://127.0.0.1:9/", "message.created")
    for _ in range(10):
        made, _ = await asyncio.gather(
            gateway.hook("http://127.0.0.1:9/", "message.created"),
            gateway.hooks.delete_hook(gateway.org.org_no, kept.hook_id),
        )
        (kept,) = made
        await gateway.enqueue()
        assert await gateway.outbox.fan_out(100) != []
