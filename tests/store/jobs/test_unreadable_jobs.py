"""One row that cannot be read ends, is shown as it is, and stops nobody else."""

import pytest

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.states import State
from heliograph.ports.sender_store import StartRequest
from tests.kit.store import SENT, Desk, retry


async def spoil(desk: Desk, job_id: JobId, content: str = "{") -> None:
    await desk.change(f"UPDATE jobs SET content = '{content}' WHERE job_id = {job_id}")


@pytest.mark.parametrize("content", ["{", '{"type": "smoke_signal"}', "[]"])
async def test_a_message_that_cannot_be_read_fails_and_the_others_go(desk: Desk, content: str) -> None:
    bad = await desk.put("a")
    behind = await desk.put("a")
    other = await desk.put("b")
    await spoil(desk, bad, content)
    begun = await desk.wish(5)
    assert [one.job.job_id for one in begun.started] == [other]
    assert begun.idle == {desk.phone_no: 0}  # its chat goes on at once
    await desk.audit()
    assert [one.job.job_id for one in await desk.start(5)] == [behind]
    found = await desk.get(bad)
    assert (found.state, found.reason, found.content.body) == (State.FAILED, "unreadable", "")
    assert [event.kind for event in await desk.history(bad)] == ["queued", "started", "failed"]
    assert len(await desk.store.jobs(desk.org_no, desk.phone_no)) == 3
    health = await desk.store.health(desk.org_no, desk.phone_no)
    assert (health.waiting, health.active, health.failed) == (0, 2, 1)


async def test_a_chat_goes_on_past_a_message_that_cannot_be_read(desk: Desk) -> None:
    first, bad, last = [await desk.put("a") for _ in range(3)]
    await spoil(desk, bad)
    (one,) = await desk.start()
    wish = StartRequest(desk.phone_no, desk.org_no, desk.token, limit=5)
    done = await desk.store.settle_and_start([desk.settlement(one, SENT)], [wish])
    assert (done.settled, done.started, done.idle) == ([True], [], {desk.phone_no: 0})
    await desk.audit()
    assert await desk.send() == last
    assert [(await desk.get(job)).state for job in (first, bad)] == [State.SENT, State.FAILED]


async def test_what_may_have_been_sent_before_it_could_not_be_read_is_uncertain(desk: Desk) -> None:
    bad = await desk.put("a")
    await desk.send(retry(2.0, maybe_sent=True))
    await spoil(desk, bad)
    desk.clock.turn(3)
    assert await desk.start() == []
    found = await desk.get(bad)
    assert (found.state, found.reason) == (State.UNCERTAIN, "unreadable")
    await desk.receipt(bad, 3)
    assert (await desk.get(bad)).state is State.SENT
