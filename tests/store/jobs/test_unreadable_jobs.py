"""Tests of jobs that cannot be read: they end, are shown as they are, and hold up no other."""

import pytest

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.states import State
from tests.kit.phone_queue import SENT, PhoneQueue, retry


async def spoil(queue: PhoneQueue, job_id: JobId, content: str = "{") -> None:
    await queue.execute(f"UPDATE jobs SET content = '{content}' WHERE job_id = {job_id}")


@pytest.mark.parametrize("content", ["{", '{"type": "smoke_signal"}', "[]"])
async def test_a_message_that_cannot_be_read_fails_and_the_others_go(queue: PhoneQueue, content: str) -> None:
    bad = await queue.put("a")
    behind = await queue.put("a")
    other = await queue.put("b")
    await spoil(queue, bad, content)
    begun = await queue.try_start(5)
    assert [one.job.job_id for one in begun.started] == [other]
    assert begun.idle == {queue.phone_no: 0}  # its chat goes on at once
    await queue.audit()
    assert [one.job.job_id for one in await queue.start(5)] == [behind]
    found = await queue.get(bad)
    assert (found.state, found.reason, found.content.body) == (State.FAILED, "unreadable", "")
    assert [event.kind for event in await queue.history(bad)] == ["queued", "started", "failed"]
    assert len(await queue.stores.jobs.jobs(queue.org_no, queue.phone_no)) == 3
    health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
    assert (health.waiting, health.active, health.failed) == (0, 2, 1)


async def test_a_chat_continues_after_a_message_that_cannot_be_read(queue: PhoneQueue) -> None:
    first, bad, last = [await queue.put("a") for _ in range(3)]
    await spoil(queue, bad)
    (one,) = await queue.start()
    request = queue.start_request(5)
    done = await queue.stores.sender.settle_and_start([queue.settlement(one, SENT)], [request])
    assert (done.settled, done.started, done.idle) == ([True], [], {queue.phone_no: 0})
    await queue.audit()
    assert await queue.send_next() == last
    assert [(await queue.get(job)).state for job in (first, bad)] == [State.SENT, State.FAILED]


async def test_an_unreadable_message_that_may_have_been_sent_is_uncertain(queue: PhoneQueue) -> None:
    bad = await queue.put("a")
    await queue.send_next(retry(2.0, maybe_sent=True))
    await spoil(queue, bad)
    queue.clock.advance(3)
    assert await queue.start() == []
    found = await queue.get(bad)
    assert (found.state, found.reason) == (State.UNCERTAIN, "unreadable")
    await queue.receipt(bad, 3)
    assert (await queue.get(bad)).state is State.SENT
