"""TX2 + TX3: what is started is on disk before it is tried; what ended is settled once, by who started it."""

from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import NEVER_TRIED, Verdict
from heliograph.ports.sender_store import Settlement, StartRequest
from tests.kit.store import REFUSED, SENT, Desk, another_phone, retry, uncertain


async def test_a_started_message_is_on_its_way_and_its_attempt_counted(desk: Desk) -> None:
    job_id = await desk.put()
    (started,) = await desk.start()
    job = await desk.get(job_id)
    assert (started.job.job_id, started.job.attempts, started.token) == (job_id, 1, desk.token)
    assert (job.state, job.attempts, job.starts, job.started_at_us) == (State.SENDING, 1, 1, desk.clock.now_us())
    assert [event.kind for event in await desk.history(job_id)] == ["queued", "started"]


async def test_a_sent_message_is_settled_with_its_rung(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send()
    job = await desk.get(job_id)
    assert (job.state, job.ack, job.attempts, job.sent_at_us) == (State.SENT, 1, 1, desk.clock.now_us())
    assert await desk.look("SELECT 1 FROM lanes") == []


async def test_settling_and_starting_the_next_is_one_transaction(desk: Desk) -> None:
    first, second = await desk.put("a"), await desk.put("a")
    (one,) = await desk.start()
    wish = StartRequest(desk.phone_no, desk.org_no, desk.token)
    done = await desk.store.settle_and_start([desk.settlement(one, SENT)], [wish])
    assert one.job.job_id == first
    assert done.settled == [True]
    assert [started.job.job_id for started in done.started] == [second]


async def test_an_attempt_is_settled_once(desk: Desk) -> None:
    await desk.put()
    (one,) = await desk.start()
    assert (await desk.settle(one, SENT)).settled == [True]
    assert (await desk.settle(one, REFUSED)).settled == [False]
    assert (await desk.get(one.job.job_id)).state is State.SENT


async def test_the_same_end_told_twice_in_one_batch_counts_once(desk: Desk) -> None:
    await desk.put()
    (one,) = await desk.start()
    ended = desk.settlement(one, NEVER_TRIED)
    await desk.store.settle_and_start([ended, ended], [])
    job = await desk.get(one.job.job_id)
    assert (job.state, job.attempts, job.events) == (State.QUEUED, 0, 3)


async def test_an_end_under_another_start_is_refused(desk: Desk) -> None:
    await desk.put()
    (one,) = await desk.start()
    stale = Settlement(one.job, desk.token, desk.token - 1, SENT)
    done = await desk.store.settle_and_start([stale], [])
    assert (done.settled, done.lost) == ([False], frozenset())
    assert (await desk.get(one.job.job_id)).state is State.SENDING


async def test_a_retry_counts_and_waits_its_time(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(retry(2.0))
    job = await desk.get(job_id)
    assert (job.state, job.attempts, job.reason, job.not_before_us) == (
        State.QUEUED, 1, "network_error", desk.clock.now_us() + 2_000_000
    )  # fmt: skip
    waiting = await desk.wish()
    assert (waiting.started, waiting.idle) == ([], {desk.phone_no: desk.clock.now_us() + 2_000_000})
    desk.clock.turn(2)
    (again,) = await desk.start()
    assert (again.job.job_id, again.job.attempts) == (job_id, 2)


async def test_a_throttle_takes_the_attempt_back(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(Verdict(State.QUEUED, "throttled", "throttled", "Wait.", lane_wait_s=1.0, uncounted=True))
    assert (await desk.get(job_id)).attempts == 0
    desk.clock.turn(1)
    (again,) = await desk.start()
    assert (again.job.attempts, again.job.starts) == (1, 1)


async def test_starts_are_counted_until_an_answer_comes(desk: Desk) -> None:
    await desk.put()
    for n in range(1, 4):
        (one,) = await desk.start()
        assert one.job.starts == n
        await desk.settle(one, Verdict(State.QUEUED, "recovered", "interrupted", "Died.", maybe_sent=True))
    (one,) = await desk.start()
    await desk.settle(one, retry(0.0))
    (one,) = await desk.start()
    assert (one.job.starts, one.job.attempts) == (1, 5)


async def test_a_start_that_was_never_tried_is_no_sign_of_poison(desk: Desk) -> None:
    await desk.put()
    for _ in range(6):
        (one,) = await desk.start()
        assert (one.job.starts, one.job.attempts) == (1, 1)
        await desk.settle(one, NEVER_TRIED)


async def test_the_id_that_the_provider_gave_finds_the_message_for_good(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(Verdict(State.SENT, "sent", ack=1, provider_message_id="wamid.X1"))
    found = await desk.store.job(desk.org_no, "true_a@c.us_wamid.X1")
    assert found is not None
    assert (found.job_id, found.provider_message_id) == (job_id, "wamid.X1")


async def test_nothing_is_started_for_a_phone_without_a_wish(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    await desk.put("a")
    theirs = await other.put("a")
    (started,) = await other.start(5)
    assert started.job.job_id == theirs


async def test_several_phones_advance_in_one_transaction(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    await desk.put("a")
    await other.put("a")
    wishes = [StartRequest(one.phone_no, one.org_no, one.token) for one in (desk, other)]
    started = (await desk.store.settle_and_start([], wishes)).started
    assert {one.job.phone_no for one in started} == {desk.phone_no, other.phone_no}
    done = await desk.store.settle_and_start(
        [desk.settlement(started[0], SENT), other.settlement(started[1], SENT)], wishes
    )
    assert done.settled == [True, True]
    assert done.idle == {desk.phone_no: None, other.phone_no: None}


async def test_only_wished_lanes_and_numbers_are_started(desk: Desk) -> None:
    for chat in "abcd":
        await desk.put(chat)
    await desk.put("e", lane=Priority.URGENT)
    (only,) = await desk.start(1)
    assert only.job.priority is Priority.URGENT
    started = await desk.start(2)
    assert [one.job.chat_id for one in started] == ["a@c.us", "b@c.us"]
    assert await desk.start(5, priorities=(Priority.BULK,)) == []


async def test_new_chats_may_wait_while_known_ones_go_on(desk: Desk) -> None:
    await desk.put("known")
    await desk.send()
    await desk.put("new1")
    await desk.put("new2")
    await desk.put("known")
    started = await desk.start(5, new_limit=0)
    assert [one.job.chat_id for one in started] == ["known@c.us"]
    started = await desk.start(5, new_limit=1)
    assert [one.job.chat_id for one in started] == ["new1@c.us"]


async def test_an_uncertain_message_is_not_started_again_by_itself(desk: Desk) -> None:
    job_id = await desk.put()
    await desk.send(uncertain(20.0))
    desk.clock.turn(86_400)
    assert await desk.start(5) == []
    assert (await desk.get(job_id)).state is State.UNCERTAIN
