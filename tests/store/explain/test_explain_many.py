"""Tests of explanations in lists and pages: they equal those of `explain`."""

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from tests.kit.clocks import SECOND_US
from tests.kit.factories import recipients
from tests.kit.phone_queue import FAILED, PhoneQueue

RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=600.0)
THROTTLED = Verdict(State.QUEUED, "throttled", "busy", "WhatsApp asks to wait.", lane_wait_s=300.0, uncounted=True)
UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=600.0, maybe_sent=True)


async def same(queue: PhoneQueue, broadcast_id: str | None = None) -> dict[JobId, str]:
    """Returns the sentences by job, after a check that they equal those of `explain`."""
    jobs: list[Job] = await queue.stores.jobs.jobs(queue.org_no, None, limit=1_000)
    if broadcast_id is not None:
        jobs += [
            job async for chunk in queue.stores.broadcasts.broadcast_jobs(queue.org_no, broadcast_id) for job in chunk
        ]
    said = await queue.stores.jobs.explain_many(jobs)
    assert said == [(await queue.stores.jobs.explain(job)).sentence for job in jobs]
    return dict(zip([job.job_id for job in jobs], said, strict=True))


async def connected(queue: PhoneQueue) -> None:
    await queue.stores.sender.set_phone_state(
        queue.org_no, queue.phone_no, queue.lease.token, state="connected", detail=""
    )


async def test_a_retried_message_to_a_new_chat_names_the_restriction(queue: PhoneQueue) -> None:
    await connected(queue)
    job = await queue.put_text()
    await queue.run(1, RETRY)
    until_us = queue.clock.us + 3_600 * SECOND_US
    await queue.stores.sender.throttle_phone(
        queue.org_no, queue.phone_no, queue.lease.token, until_us=until_us, new_chats_only=True, reason="too many"
    )
    said = (await same(queue))[job.job_id]
    assert said.startswith("Waits: WhatsApp lets this phone open no new chats until")


async def test_lists_know_what_explain_knows(queue: PhoneQueue) -> None:
    await connected(queue)
    for chat, verdict in (("1", RETRY), ("2", THROTTLED), ("3", UNCERTAIN), ("4", FAILED)):
        await queue.put_text(f"9195000000{chat}0@c.us")
        await queue.run(1, verdict)
        await queue.put_text(f"9195000000{chat}0@c.us")
    await queue.put_text("919500000050@c.us")
    await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, "919500000050@c.us", "Asha", "asked to wait")
    for _ in range(3):
        await queue.put_text("919500000060@c.us")
    said = (await same(queue)).values()
    assert "Waits: the chat was paused by Asha" in " ".join(said)
    assert "Waits behind 2 earlier messages to the same chat." in said
    await queue.stores.control.pause_phone(queue.org_no, queue.phone_no, "Bo", "lunch")
    assert "Waits: the phone was paused by Bo" in " ".join((await same(queue)).values())


async def test_lists_tell_the_pace_of_a_phone_and_its_nights(queue: PhoneQueue) -> None:
    await connected(queue)
    policy = '{"gap_min_s": 30, "gap_max_s": 30, "new_chats_per_day": 1}'
    await queue.stores.phones.update_phone(queue.org_no, queue.phone_no, PhonePatch(pacing=policy))
    await queue.put_text("919500000010@c.us")
    (began,) = await queue.start(paced=True)
    await queue.settle(began)
    await queue.put_text("919500000010@c.us")
    fresh = await queue.put_text("919500000020@c.us")
    said = await same(queue)
    assert "the phone opens at most 1 new chats a day" in said[fresh.job_id]
    night = '{"quiet_hours": {"start": "00:00", "end": "23:59"}}'
    await queue.stores.phones.update_phone(queue.org_no, queue.phone_no, PhonePatch(pacing=night))
    assert "it is night where the recipient lives" in (await same(queue))[fresh.job_id]


async def test_recipients_that_are_not_enqueued_have_the_description_of_explain(queue: PhoneQueue) -> None:
    await connected(queue)
    new = NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, Content(Kind.TEXT, "Hello"), delay_s=1.0)
    await queue.stores.broadcasts.create_broadcast(new, recipients(700))
    await queue.stores.broadcasts.enqueue_recipients()
    row = await queue.stores.broadcasts.broadcast(queue.org_no, new.broadcast_no)
    assert row is not None and 0 < row.enqueued < 700
    await same(queue, row.broadcast_id)
    await queue.stores.broadcasts.pause_broadcast(queue.org_no, new.broadcast_no, "Asha")
    assert "its broadcast was paused by Asha" in " ".join((await same(queue, row.broadcast_id)).values())


async def test_nothing_is_asked_for_nothing(queue: PhoneQueue) -> None:
    assert await queue.stores.jobs.explain_many([]) == []
