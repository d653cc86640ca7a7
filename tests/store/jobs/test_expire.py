"""What waits beyond its time ends with an event instead of going out late; what may have been sent does not."""

from heliograph.domain.jobs.states import State
from heliograph.store.jobs.expire import expire_step, phones_expiring
from tests.kit.store import SENT, Desk, retry


async def _sweep(desk: Desk) -> int:
    now_us, ended = desk.clock.now_us(), 0
    for org_no, phone_no in await desk.store.shell.read(lambda: phones_expiring(now_us)):
        while step := await desk.store.shell.write(lambda: expire_step(org_no, phone_no, now_us)):  # noqa: B023
            ended += step
    return ended


async def test_a_message_past_its_time_is_not_started(desk: Desk) -> None:
    late = await desk.put("a", expires_at_us=desk.clock.now_us() + 1_000_000)
    behind = await desk.put("a")
    desk.clock.turn(1)
    assert await desk.start() == []  # the round that meets it ends it
    assert [one.job.job_id for one in await desk.start()] == [behind]
    assert ((await desk.get(late)).state, (await desk.get(late)).attempts) == (State.EXPIRED, 0)
    assert [event.kind for event in await desk.history(late)] == ["queued", "expired"]


async def test_a_message_in_time_is_sent(desk: Desk) -> None:
    job_id = await desk.put("a", expires_at_us=desk.clock.now_us() + 1_000_000)
    assert await desk.send(SENT) == job_id


async def test_a_sweep_ends_what_waits_anywhere_in_the_queue(desk: Desk) -> None:
    first = await desk.put("a")
    late = [await desk.put(chat, expires_at_us=desk.clock.now_us() + 1_000_000) for chat in "ab"]
    last = await desk.put("a")
    assert await _sweep(desk) == 0
    desk.clock.turn(1)
    assert await _sweep(desk) == 2
    assert {(await desk.get(job_id)).state for job_id in late} == {State.EXPIRED}
    assert [await desk.send(), await desk.send()] == [first, last]
    assert (await desk.store.health(desk.org_no, None)).failed == 2


async def test_a_message_that_may_have_been_sent_does_not_expire(desk: Desk) -> None:
    job_id = await desk.put("a", expires_at_us=desk.clock.now_us() + 1_000_000)
    await desk.send(retry(2.0, maybe_sent=True))
    desk.clock.turn(5)
    assert await _sweep(desk) == 0
    (again,) = await desk.start()
    assert again.job.job_id == job_id


async def test_a_retry_past_its_time_expires(desk: Desk) -> None:
    job_id = await desk.put("a", expires_at_us=desk.clock.now_us() + 1_000_000)
    await desk.send(retry(2.0))
    desk.clock.turn(5)
    assert await _sweep(desk) == 1
    assert (await desk.get(job_id)).state is State.EXPIRED


async def test_a_long_queue_expires_in_steps(desk: Desk) -> None:
    for n in range(450):
        await desk.put(f"chat{n % 30}", expires_at_us=desk.clock.now_us() + 1_000_000)
    desk.clock.turn(2)
    assert await _sweep(desk) == 450
    assert await desk.look("SELECT 1 FROM lanes") == []


async def test_what_may_have_been_sent_is_not_looked_at_again_and_again(desk: Desk) -> None:
    await desk.put("a", expires_at_us=desk.clock.now_us() + 5_000_000)
    (one,) = await desk.start()
    await desk.settle(one, retry(2.0, maybe_sent=True))
    desk.clock.turn(10)
    now_us = desk.clock.now_us()
    assert await desk.store.shell.read(lambda: phones_expiring(now_us)) == []
