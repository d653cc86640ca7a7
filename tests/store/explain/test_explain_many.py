"""What lists and pages say of a message is what `explain` says of it, word for word."""

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job, PhonePatch
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from tests.store.control_setup import FAILED, S, World, recipients

RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=600.0)
THROTTLED = Verdict(State.QUEUED, "throttled", "busy", "WhatsApp asks to wait.", lane_wait_s=300.0, uncounted=True)
UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=600.0, maybe_sent=True)


async def same(world: World, broadcast_id: str | None = None) -> dict[JobId, str]:
    """The sentences by job, after it was checked that they are those of `explain`."""
    jobs: list[Job] = await world.store.jobs(world.org_no, None, limit=1_000)
    if broadcast_id is not None:
        jobs += [job async for chunk in world.steering.broadcast_jobs(world.org_no, broadcast_id) for job in chunk]
    said = await world.steering.described(jobs)
    assert said == [(await world.steering.explain(job)).sentence for job in jobs]
    return dict(zip([job.job_id for job in jobs], said, strict=True))


async def connected(world: World) -> None:
    await world.store.phone_state(world.org_no, world.phone_no, world.lease.token, state="connected", detail="")


async def test_a_retried_message_to_a_new_chat_names_the_restriction(world: World) -> None:
    await connected(world)
    job = await world.send()
    await world.step(1, RETRY)
    until_us = world.clock.us + 3_600 * S
    await world.store.hold_phone(
        world.org_no, world.phone_no, world.lease.token, until_us=until_us, new_chats_only=True, reason="too many"
    )
    said = (await same(world))[job.job_id]
    assert said.startswith("Waits: WhatsApp lets this phone open no new chats until")


async def test_lists_know_what_explain_knows(world: World) -> None:
    await connected(world)
    for chat, verdict in (("1", RETRY), ("2", THROTTLED), ("3", UNCERTAIN), ("4", FAILED)):
        await world.send(f"9195000000{chat}0@c.us")
        await world.step(1, verdict)
        await world.send(f"9195000000{chat}0@c.us")
    await world.send("919500000050@c.us")
    await world.steering.pause_chat(world.org_no, world.phone_no, "919500000050@c.us", "Asha", "asked to wait")
    for _ in range(3):
        await world.send("919500000060@c.us")
    said = (await same(world)).values()
    assert "Waits: the chat was paused by Asha" in " ".join(said)
    assert "Waits behind 2 earlier messages to the same chat." in said
    await world.steering.pause_phone(world.org_no, world.phone_no, "Bo", "lunch")
    assert "Waits: the phone was paused by Bo" in " ".join((await same(world)).values())


async def test_lists_tell_the_pace_of_a_phone_and_its_nights(world: World) -> None:
    await connected(world)
    policy = '{"gap_min_s": 30, "gap_max_s": 30, "new_chats_per_day": 1}'
    await world.store.update_phone(world.org_no, world.phone_no, PhonePatch(pacing=policy))
    await world.send("919500000010@c.us")
    (began,) = await world.start(paced=True)
    await world.settle(began)
    await world.send("919500000010@c.us")
    fresh = await world.send("919500000020@c.us")
    said = await same(world)
    assert "the phone opens at most 1 new chats a day" in said[fresh.job_id]
    night = '{"quiet_hours": {"start": "00:00", "end": "23:59"}}'
    await world.store.update_phone(world.org_no, world.phone_no, PhonePatch(pacing=night))
    assert "it is night where the recipient lives" in (await same(world))[fresh.job_id]


async def test_recipients_that_are_not_fed_are_described_as_they_explain_themselves(world: World) -> None:
    await connected(world)
    new = NewBroadcast(world.ids.make(), world.org_no, world.phone_no, Content(Kind.TEXT, "Hello"), delay_s=1.0)
    await world.steering.broadcast(new, recipients(700))
    await world.steering.feed()
    row = await world.steering.broadcast_row(world.org_no, new.broadcast_no)
    assert row is not None and 0 < row.enqueued < 700
    await same(world, row.broadcast_id)
    await world.steering.pause_broadcast(world.org_no, new.broadcast_no, "Asha")
    assert "its broadcast was paused by Asha" in " ".join((await same(world, row.broadcast_id)).values())


async def test_nothing_is_asked_for_nothing(world: World) -> None:
    assert await world.steering.described([]) == []
