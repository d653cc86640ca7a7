"""Tests of settling and starting (TX2, TX3): a start is on disk before its attempt, and only its owner settles it."""

from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import NEVER_TRIED, Verdict
from heliograph.ports.stores.sender_store import Settlement
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry, uncertain


async def test_a_started_message_is_in_flight_and_its_attempt_counted(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    (started,) = await queue.start()
    job = await queue.get(job_id)
    assert (started.job.job_id, started.job.attempts, started.token) == (job_id, 1, queue.token)
    assert (job.state, job.attempts, job.starts, job.started_at_us) == (State.SENDING, 1, 1, queue.clock.now_us())
    assert [event.kind for event in await queue.history(job_id)] == ["queued", "started"]


async def test_a_sent_message_is_settled_with_its_ack_level(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next()
    job = await queue.get(job_id)
    assert (job.state, job.ack, job.attempts, job.sent_at_us) == (State.SENT, 1, 1, queue.clock.now_us())
    assert await queue.rows("SELECT 1 FROM lanes") == []


async def test_settling_and_starting_the_next_is_one_transaction(queue: PhoneQueue) -> None:
    first, second = await queue.put("a"), await queue.put("a")
    (one,) = await queue.start()
    request = queue.start_request()
    done = await queue.stores.sender.settle_and_start([queue.settlement(one, SENT)], [request])
    assert one.job.job_id == first
    assert done.settled == [True]
    assert [started.job.job_id for started in done.started] == [second]


async def test_an_attempt_is_settled_once(queue: PhoneQueue) -> None:
    await queue.put()
    (one,) = await queue.start()
    await queue.settle(one, SENT)
    assert (await queue.try_settle(one, REFUSED)).settled == [False]
    assert (await queue.get(one.job.job_id)).state is State.SENT


async def test_the_same_settlement_twice_in_one_batch_counts_once(queue: PhoneQueue) -> None:
    await queue.put()
    (one,) = await queue.start()
    ended = queue.settlement(one, NEVER_TRIED)
    await queue.stores.sender.settle_and_start([ended, ended], [])
    job = await queue.get(one.job.job_id)
    assert (job.state, job.attempts, job.events) == (State.QUEUED, 0, 3)


async def test_an_end_under_another_start_is_refused(queue: PhoneQueue) -> None:
    await queue.put()
    (one,) = await queue.start()
    stale = Settlement(one.job, queue.token, queue.token - 1, SENT)
    done = await queue.stores.sender.settle_and_start([stale], [])
    assert (done.settled, done.lost) == ([False], frozenset())
    assert (await queue.get(one.job.job_id)).state is State.SENDING


async def test_a_retry_counts_and_waits_its_time(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(retry(2.0))
    job = await queue.get(job_id)
    assert (job.state, job.attempts, job.reason, job.not_before_us) == (
        State.QUEUED, 1, "network_error", queue.clock.now_us() + 2_000_000
    )  # fmt: skip
    waiting = await queue.try_start()
    assert (waiting.started, waiting.idle) == ([], {queue.phone_no: queue.clock.now_us() + 2_000_000})
    queue.clock.advance(2)
    (again,) = await queue.start()
    assert (again.job.job_id, again.job.attempts) == (job_id, 2)


async def test_a_throttle_takes_the_attempt_back(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(Verdict(State.QUEUED, "throttled", "throttled", "Wait.", lane_wait_s=1.0, uncounted=True))
    assert (await queue.get(job_id)).attempts == 0
    queue.clock.advance(1)
    (again,) = await queue.start()
    assert (again.job.attempts, again.job.starts) == (1, 1)


async def test_starts_are_counted_until_an_answer_comes(queue: PhoneQueue) -> None:
    await queue.put()
    for n in range(1, 4):
        (one,) = await queue.start()
        assert one.job.starts == n
        await queue.settle(one, Verdict(State.QUEUED, "recovered", "interrupted", "Died.", maybe_sent=True))
    (one,) = await queue.start()
    await queue.settle(one, retry(0.0))
    (one,) = await queue.start()
    assert (one.job.starts, one.job.attempts) == (1, 5)


async def test_a_start_that_was_never_tried_is_no_sign_of_poison(queue: PhoneQueue) -> None:
    await queue.put()
    for _ in range(6):
        (one,) = await queue.start()
        assert (one.job.starts, one.job.attempts) == (1, 1)
        await queue.settle(one, NEVER_TRIED)


async def test_the_id_that_the_provider_gave_finds_the_message_for_good(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(Verdict(State.SENT, "sent", ack=1, provider_message_id="wamid.X1"))
    found = await queue.stores.jobs.job(queue.org_no, "true_a@c.us_wamid.X1")
    assert found is not None
    assert (found.job_id, found.provider_message_id) == (job_id, "wamid.X1")


async def test_nothing_is_started_for_a_phone_without_a_request(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    await queue.put("a")
    theirs = await other.put("a")
    (started,) = await other.start(5)
    assert started.job.job_id == theirs


async def test_several_phones_advance_in_one_transaction(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    await queue.put("a")
    await other.put("a")
    requests = [one.start_request() for one in (queue, other)]
    started = (await queue.stores.sender.settle_and_start([], requests)).started
    assert {one.job.phone_no for one in started} == {queue.phone_no, other.phone_no}
    done = await queue.stores.sender.settle_and_start(
        [queue.settlement(started[0], SENT), other.settlement(started[1], SENT)], requests
    )
    assert done.settled == [True, True]
    assert done.idle == {queue.phone_no: None, other.phone_no: None}


async def test_only_requested_priorities_and_numbers_are_started(queue: PhoneQueue) -> None:
    for chat in "abcd":
        await queue.put(chat)
    await queue.put("e", priority=Priority.URGENT)
    (only,) = await queue.start(1)
    assert only.job.priority is Priority.URGENT
    started = await queue.start(2)
    assert [one.job.chat_id for one in started] == ["a@c.us", "b@c.us"]
    assert await queue.start(5, priorities=(Priority.BULK,)) == []


async def test_new_chats_may_wait_while_known_ones_continue(queue: PhoneQueue) -> None:
    await queue.put("known")
    await queue.send_next()
    await queue.put("new1")
    await queue.put("new2")
    await queue.put("known")
    started = await queue.start(5, new_limit=0)
    assert [one.job.chat_id for one in started] == ["known@c.us"]
    started = await queue.start(5, new_limit=1)
    assert [one.job.chat_id for one in started] == ["new1@c.us"]


async def test_an_uncertain_message_is_not_started_again_by_itself(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    await queue.send_next(uncertain(20.0))
    queue.clock.advance(86_400)
    assert await queue.start(5) == []
    assert (await queue.get(job_id)).state is State.UNCERTAIN
