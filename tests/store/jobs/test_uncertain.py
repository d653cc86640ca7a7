"""What nobody knows of stands in nobody's way, and is counted for whoever must settle it."""

from heliograph.domain.jobs.job import Job, QueueCounts
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from tests.store.control_setup import S, World

UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=20.0, maybe_sent=True)


async def connected(world: World) -> None:
    await world.store.phone_state(world.org_no, world.phone_no, world.lease.token, state="connected", detail="")


async def left_uncertain(world: World, chats: int) -> list[Job]:
    jobs = [await world.send(f"9195000000{n:02}@c.us") for n in range(chats)]
    assert len(await world.step(chats, UNCERTAIN)) == chats
    return jobs


async def test_uncertain_messages_of_other_chats_are_not_what_a_message_waits_behind(world: World) -> None:
    await connected(world)
    await left_uncertain(world, 7)
    job = await world.send("919599999999@c.us")
    found = await world.steering.explain(job)
    assert (found.sentence, found.blockers) == ("Waits to be sent.", ())
    assert await world.steering.described([job]) == [found.sentence]
    (under_way,) = await world.start()
    later = await world.send("919588888888@c.us")
    assert (await world.steering.explain(later)).sentence == "Waits behind 1 other."
    await world.settle(under_way)


async def test_a_chat_that_waits_for_an_answer_goes_on_when_it_says_so(world: World) -> None:
    """Although messages went out slowly before: their time apart is no measure for one that nothing stands before."""
    await connected(world)
    chat = "919537851844@c.us"
    for _ in range(6):
        await world.send(chat)
        await world.step(1)
        world.clock.advance(40)
    first, second, third = [await world.send(chat) for _ in range(3)]
    await world.step(1, UNCERTAIN)
    world.clock.advance(5)
    assert await world.steering.resolve(world.org_no, first.job_id, "arrived", "Asha") is None
    assert [job.job_id for job in await world.step(1, UNCERTAIN)] == [second.job_id]
    found = await world.steering.explain(await world.job(third.job_id))
    assert [blocker.code for blocker in found.blockers] == ["chat_uncertain"]
    assert found.eta_us == found.blockers[0].until_us == world.clock.us + 20 * S


async def test_idle_time_between_messages_does_not_count_as_speed(world: World) -> None:
    await connected(world)
    for n in range(6):
        await world.send(f"9195000000{n:02}@c.us")
        await world.step(1)
        world.clock.advance(600)
    jobs = [await world.send(f"9195111111{n:02}@c.us") for n in range(3)]
    found = await world.steering.explain(jobs[-1])
    assert found.eta_us is not None and found.eta_us - world.clock.us < 5 * S


async def test_an_uncertain_message_says_since_when_nobody_knows(world: World) -> None:
    await connected(world)
    job = await world.send()
    (started,) = await world.start()
    world.clock.advance(20)
    became_us = world.clock.us
    await world.settle(started, UNCERTAIN)
    world.clock.advance(100)
    found = await world.steering.explain(await world.job(job.job_id))
    since = f"Since {became_us // S // 3600 % 24:02}:{became_us // S // 60 % 60:02}:{became_us // S % 60:02} UTC."
    assert found.blockers[0].text.endswith(since)


async def test_the_counts_of_each_phone_tell_what_is_uncertain_from_what_is_on_its_way(world: World) -> None:
    assert (await world.store.health_of_phones(world.org_no)).get(world.phone_no, QueueCounts()) == QueueCounts()
    uncertain = await left_uncertain(world, 3)
    for n in range(4):
        await world.send(f"9195111111{n:02}@c.us")
    under_way = await world.start(2)
    counts = await world.store.health_of_phones(world.org_no)
    assert counts == {world.phone_no: QueueCounts(waiting=2, active=5, uncertain=3)}
    for one in under_way:
        await world.settle(one)
    await world.steering.resolve(world.org_no, uncertain[0].job_id, "give_up", "Asha")
    counts = await world.store.health_of_phones(world.org_no)
    assert counts == {world.phone_no: QueueCounts(waiting=2, active=2, completed=2, failed=1, uncertain=2)}
