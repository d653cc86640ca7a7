"""Tests of uncertain messages: they hold up no other chat, and are counted for the operator."""

from heliograph.domain.jobs.job import Job, QueueCounts
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from tests.kit.clocks import SECOND_US
from tests.kit.phone_queue import PhoneQueue

UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=20.0, maybe_sent=True)


async def connected(queue: PhoneQueue) -> None:
    await queue.stores.sender.set_phone_state(
        queue.org_no, queue.phone_no, queue.lease.token, state="connected", detail=""
    )


async def left_uncertain(queue: PhoneQueue, chats: int) -> list[Job]:
    jobs = [await queue.put_text(f"9195000000{n:02}@c.us") for n in range(chats)]
    assert len(await queue.run(chats, UNCERTAIN)) == chats
    return jobs


async def test_uncertain_messages_of_other_chats_do_not_count_as_ahead(queue: PhoneQueue) -> None:
    await connected(queue)
    await left_uncertain(queue, 7)
    job = await queue.put_text("919599999999@c.us")
    found = await queue.stores.jobs.explain(job)
    assert (found.sentence, found.blockers) == ("Waits to be sent.", ())
    assert await queue.stores.jobs.explain_many([job]) == [found.sentence]
    (under_way,) = await queue.start()
    later = await queue.put_text("919588888888@c.us")
    assert (await queue.stores.jobs.explain(later)).sentence == "Waits behind 1 other."
    await queue.settle(under_way)


async def test_a_chat_that_waits_for_an_answer_continues_at_the_time_it_gives(queue: PhoneQueue) -> None:
    """The pace of earlier messages does not count for one that has nothing before it."""
    await connected(queue)
    chat = "919537851844@c.us"
    for _ in range(6):
        await queue.put_text(chat)
        await queue.run(1)
        queue.clock.advance(40)
    first, second, third = [await queue.put_text(chat) for _ in range(3)]
    await queue.run(1, UNCERTAIN)
    queue.clock.advance(5)
    assert await queue.stores.control.resolve(queue.org_no, first.job_id, "arrived", "Asha") is None
    assert [job.job_id for job in await queue.run(1, UNCERTAIN)] == [second.job_id]
    found = await queue.stores.jobs.explain(await queue.get(third.job_id))
    assert [blocker.code for blocker in found.blockers] == ["chat_uncertain"]
    assert found.eta_us == found.blockers[0].until_us == queue.clock.us + 20 * SECOND_US


async def test_idle_time_between_messages_does_not_count_as_speed(queue: PhoneQueue) -> None:
    await connected(queue)
    for n in range(6):
        await queue.put_text(f"9195000000{n:02}@c.us")
        await queue.run(1)
        queue.clock.advance(600)
    jobs = [await queue.put_text(f"9195111111{n:02}@c.us") for n in range(3)]
    found = await queue.stores.jobs.explain(jobs[-1])
    assert found.eta_us is not None and found.eta_us - queue.clock.us < 5 * SECOND_US


async def test_an_uncertain_message_says_since_when_it_is_uncertain(queue: PhoneQueue) -> None:
    await connected(queue)
    job = await queue.put_text()
    (started,) = await queue.start()
    queue.clock.advance(20)
    became_us = queue.clock.us
    await queue.settle(started, UNCERTAIN)
    queue.clock.advance(100)
    found = await queue.stores.jobs.explain(await queue.get(job.job_id))
    at_s = became_us // SECOND_US
    since = f"Since {at_s // 3600 % 24:02}:{at_s // 60 % 60:02}:{at_s % 60:02} UTC."
    assert found.blockers[0].text.endswith(since)


async def test_the_counts_of_each_phone_separate_uncertain_messages_from_those_in_flight(queue: PhoneQueue) -> None:
    assert (await queue.stores.jobs.health_of_phones(queue.org_no)).get(queue.phone_no, QueueCounts()) == QueueCounts()
    uncertain = await left_uncertain(queue, 3)
    for n in range(4):
        await queue.put_text(f"9195111111{n:02}@c.us")
    under_way = await queue.start(2)
    counts = await queue.stores.jobs.health_of_phones(queue.org_no)
    assert counts == {queue.phone_no: QueueCounts(waiting=2, active=5, uncertain=3)}
    for one in under_way:
        await queue.settle(one)
    await queue.stores.control.resolve(queue.org_no, uncertain[0].job_id, "give_up", "Asha")
    counts = await queue.stores.jobs.health_of_phones(queue.org_no)
    assert counts == {queue.phone_no: QueueCounts(waiting=2, active=2, completed=2, failed=1, uncertain=2)}
