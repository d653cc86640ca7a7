"""A lane goes on with its next message in the transaction that settles the one before, unless others come first."""

from heliograph.domain.jobs.job import PhonePatch
from heliograph.domain.jobs.states import Priority, State
from heliograph.ports.sender_store import SettleAndStartResult, Settlement, Started, StartRequest
from heliograph.store.control import holds
from tests.kit.store import REFUSED, SENT, Desk, another_phone, retry


async def go_on(desk: Desk, *ended: Settlement, limit: int = 5, version: int | None = None) -> SettleAndStartResult:
    wish = StartRequest(desk.phone_no, desk.org_no, desk.token, limit=limit, version=version)
    return await desk.store.settle_and_start(list(ended), [wish])


async def begun(desk: Desk) -> Started:
    (one,) = await desk.start()
    return one


def bodies(done: SettleAndStartResult) -> list[str]:
    return [one.job.content.body for one in done.started]


async def test_a_chat_goes_on_message_by_message_to_its_end(desk: Desk) -> None:
    for n in range(4):
        await desk.put("a", body=f"m{n}")
    one = await begun(desk)
    seen = [one.job.content.body]
    while True:
        done = await go_on(desk, desk.settlement(one, SENT))
        await desk.audit()
        if not done.started:
            break
        (one,) = done.started
        assert not one.new_chat
        seen.append(one.job.content.body)
    assert seen == ["m0", "m1", "m2", "m3"]
    assert done.idle == {desk.phone_no: None}
    assert await desk.look("SELECT 1 FROM lanes") == []


async def test_an_urgent_message_of_the_same_chat_goes_before_the_next_normal_one(desk: Desk) -> None:
    await desk.put("a", body="first")
    await desk.put("a", body="second")
    one = await begun(desk)
    await desk.put("a", body="urgent", lane=Priority.URGENT)
    done = await go_on(desk, desk.settlement(one, SENT))
    assert bodies(done) == ["urgent"]
    await desk.audit()
    done = await go_on(desk, desk.settlement(done.started[0], SENT))
    assert bodies(done) == ["second"]
    await desk.audit()


async def test_an_older_message_of_another_chat_goes_before_the_next_of_this_one(desk: Desk) -> None:
    await desk.put("a", body="a1")
    await desk.put("b", body="b1")
    await desk.put("a", body="a2")
    one = await begun(desk)
    done = await go_on(desk, desk.settlement(one, SENT), limit=1)
    assert bodies(done) == ["b1"]
    done = await go_on(desk, desk.settlement(done.started[0], SENT), limit=1)
    assert bodies(done) == ["a2"]
    await desk.audit()


async def test_many_phones_go_on_in_one_transaction(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    for each in (desk, other):
        await each.put("a", body="one")
        await each.put("a", body="two")
    first, second = await begun(desk), await begun(other)
    wishes = [StartRequest(each.phone_no, each.org_no, each.token, limit=3) for each in (desk, other)]
    done = await desk.store.settle_and_start([desk.settlement(first, SENT), other.settlement(second, REFUSED)], wishes)
    assert bodies(done) == ["two", "two"]
    await desk.audit()


async def test_a_chat_that_was_paused_meanwhile_does_not_go_on(desk: Desk) -> None:
    await desk.put("a")
    second = await desk.put("a")
    one = await begun(desk)
    now_us = desk.clock.now_us()
    await desk.store.shell.write(lambda: holds.hold(desk.org_no, desk.phone_no, "chat:a@c.us", "ada", "", now_us))
    done = await go_on(desk, desk.settlement(one, SENT))
    assert done.started == []
    assert (await desk.get(second)).state is State.QUEUED
    await desk.audit()
    await desk.store.shell.write(lambda: holds.release_chat(desk.org_no, desk.phone_no, "a@c.us"))
    assert [started.job.job_id for started in await desk.start()] == [second]
    await desk.audit()


async def test_what_expired_meanwhile_is_passed_over(desk: Desk) -> None:
    await desk.put("a")
    late = await desk.put("a", expires_at_us=desk.clock.now_us() + 1_000_000)
    third = await desk.put("a")
    one = await begun(desk)
    desk.clock.turn(2)
    done = await go_on(desk, desk.settlement(one, SENT))
    await desk.audit()
    assert (await desk.get(late)).state is State.EXPIRED
    started = done.started or await desk.start()
    assert [one.job.job_id for one in started] == [third]
    await desk.audit()


async def test_a_message_that_waits_for_its_retry_holds_up_its_chat_and_says_until_when(desk: Desk) -> None:
    await desk.put("a")
    await desk.put("a")
    one = await begun(desk)
    done = await go_on(desk, desk.settlement(one, retry(3.0)))
    assert done.started == []
    assert done.idle == {desk.phone_no: desk.clock.now_us() + 3_000_000}
    await desk.audit()


async def test_nothing_starts_under_a_pace_that_was_changed_meanwhile(desk: Desk) -> None:
    await desk.put("a")
    known = await desk.store.phone_row(desk.org_no, desk.phone_no)
    assert known is not None
    changed = await desk.store.update_phone(desk.org_no, desk.phone_no, PhonePatch(pacing="linked-new"))
    assert changed is not None
    done = await go_on(desk, version=known.updated_at_us)
    assert (done.started, done.changed) == ([], frozenset({desk.phone_no}))
    done = await go_on(desk, version=changed.updated_at_us)
    assert len(done.started) == 1
    assert done.changed == frozenset()


async def test_what_ended_is_settled_though_its_phone_was_changed_meanwhile(desk: Desk) -> None:
    job_id = await desk.put("a")
    one = await begun(desk)
    known = await desk.store.phone_row(desk.org_no, desk.phone_no)
    assert known is not None
    await desk.store.update_phone(desk.org_no, desk.phone_no, PhonePatch(pacing="linked-new"))
    done = await go_on(desk, desk.settlement(one, SENT), version=known.updated_at_us)
    assert done.settled == [True]
    assert (await desk.get(job_id)).state is State.SENT
    await desk.audit()


async def _run_on(desk: Desk, messages: int) -> Started:
    """Sends so many messages of one chat, each going on from the one before; gives the next, on its way."""
    for n in range(messages + 2):
        await desk.put("a", body=f"m{n}")
    one = await begun(desk)
    for _ in range(messages):
        (one,) = (await go_on(desk, desk.settlement(one, SENT))).started
    return one


async def test_the_next_owner_finds_what_a_chat_that_went_on_for_long_has_on_its_way(desk: Desk) -> None:
    one = await _run_on(desk, 40)
    await desk.audit()
    await desk.take_over()
    ((job, token),) = await desk.store.interrupted_jobs(desk.org_no, desk.phone_no, desk.token)
    assert (job.job_id, token) == (one.job.job_id, one.token)


async def test_a_chat_that_went_on_for_long_tries_again_what_failed_at_last(desk: Desk) -> None:
    one = await _run_on(desk, 40)
    await desk.settle(one, retry(2.0))
    await desk.audit()
    desk.clock.turn(3)
    assert [started.job.job_id for started in await desk.start(5)] == [one.job.job_id]


async def test_a_message_that_comes_as_its_chat_ends_is_not_left_behind(desk: Desk) -> None:
    one = await _run_on(desk, 1)
    done = await go_on(desk, desk.settlement(one, SENT))
    last = done.started[0] if done.started else one
    late = await desk.put("a", body="late")
    done = await go_on(desk, desk.settlement(last, SENT))
    while done.started and done.started[0].job.job_id != late:
        done = await go_on(desk, desk.settlement(done.started[0], SENT))
    assert bodies(done) == ["late"]
    await desk.audit()
