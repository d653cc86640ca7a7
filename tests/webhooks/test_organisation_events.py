"""Tests of organisation events: pauses, ends of broadcasts, missed runs and restrictions are delivered like others."""

from heliograph.clock import SystemClock
from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.job import NewJob
from heliograph.domain.messages.content import Content, Kind
from heliograph.domain.schedules.recurrence import Every, Repeat
from heliograph.domain.schedules.schedule import Missed, Schedule
from tests.kit.until import until
from tests.webhooks.gateway import Gateway, delivering, receiving

TEXT = Content(Kind.TEXT, "Hi")
NAMES = (
    "queue.paused",
    "queue.resumed",
    "broadcast.completed",
    "message.expired",
    "phone.restricted",
    "schedule.missed",
)


async def test_every_extension_event_is_delivered_in_the_same_envelope(gateway: Gateway) -> None:
    clock, ids = SystemClock(), gateway.ids
    phone = gateway.lease.phone
    org_no, phone_no = phone.org_no, phone.phone_no
    async with receiving() as receiver, delivering(gateway) as worker:
        await gateway.hook(receiver.url, *NAMES)
        await gateway.stores.control.pause_phone(org_no, phone_no, "Asha", "new SIM")
        await gateway.stores.control.resume_phone(org_no, phone_no, "Bo")
        chat = "919537851844@c.us"
        await gateway.stores.control.suppress(org_no, chat, "STOP", "them")
        new = NewBroadcast(ids.make(), org_no, phone_no, TEXT, delay_s=0)
        await gateway.stores.broadcasts.create_broadcast(new, [Recipient(chat)])
        for _ in range(2):
            await gateway.stores.broadcasts.enqueue_recipients()  # its only recipient is left out
        first_us = clock.now_us() - 3_600_000_000
        schedule = Schedule(org_no, ids.make(), phone_no, chat, TEXT, first_us, Repeat(Every.DAY), missed=Missed.SKIP)
        await gateway.stores.schedules.create_schedule(schedule)
        await gateway.stores.schedules.run_schedules()
        late = NewJob(ids.make(), org_no, phone_no, chat, TEXT, expires_at_us=clock.now_us() - 1)
        await gateway.stores.jobs.enqueue(late)
        await gateway.stores.maintenance.expire_jobs()
        until_us = clock.now_us() + 60_000_000
        for _ in range(2):
            await gateway.stores.sender.throttle_phone(
                org_no,
                phone_no,
                gateway.lease.token,
                until_us=until_us,
                new_chats_only=True,
                reason="463: no new chats",
            )
        worker.wake()
        await until(lambda: len(receiver.got) >= 6)
    by_name = {got.body["event"]: got.body for got in receiver.got}
    assert set(by_name) == set(NAMES) and len(receiver.got) == 6  # told once, however often it was held
    paused = by_name["queue.paused"]["data"]
    assert (paused["by"], paused["detail"]) == ("Asha", "new SIM")
    assert paused["phone"]["phone_id"] == phone.phone_id
    done = by_name["broadcast.completed"]["data"]
    assert (done["broadcast_id"], done["total"], done["skipped"]) == (queue_id(new.broadcast_no), 1, 1)
    missed = by_name["schedule.missed"]["data"]
    assert (missed["scheduled_id"], missed["outcome"]) == (schedule.scheduled_id, "missed")
    assert by_name["phone.restricted"]["data"]["new_chats_only"] is True
    expired = by_name["message.expired"]
    assert expired["reason"] == "expired" and expired["queue_id"] == expired["data"]["queue_id"]
    for body in by_name.values():
        assert body["current_attributes"] == body["data"] and body["event_type"] == body["event"]
