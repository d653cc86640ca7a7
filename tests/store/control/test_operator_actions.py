"""Tests of operator actions on queues and messages: pause, retry, resolve, expire and suppress."""

import pytest

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.stores.sender_store import Settlement
from heliograph.store.database.unit import Rows, Unit
from heliograph.store.jobs import retry_and_resolve
from tests.kit.clocks import SECOND_US
from tests.kit.factories import recipients
from tests.kit.phone_queue import FAILED, SENT, PhoneQueue

RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=600.0)
UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=600.0, maybe_sent=True)
A, B = "911111111111@c.us", "922222222222@c.us"


async def kinds(queue: PhoneQueue, job_id: JobId) -> list[str]:
    history = await queue.stores.jobs.history(queue.org_no, job_id)
    assert [event.n for event in history] == list(range(1, len(history) + 1))
    return [event.kind for event in history]


async def counts(queue: PhoneQueue) -> tuple[int, int, int, int]:
    health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
    return health.waiting, health.active, health.completed, health.failed


async def test_nothing_of_a_paused_chat_starts_and_others_continue(queue: PhoneQueue) -> None:
    held = await queue.put_text(A)
    urgent = await queue.put_text(A, priority=Priority.URGENT)
    free = await queue.put_text(B)
    assert await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, A, "Asha", "a complaint")
    assert not await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, A, "Bo")
    sent = await queue.run(10) + await queue.run(10)
    assert [job.job_id for job in sent] == [free.job_id]
    later = await queue.put_text(A)
    assert await queue.run(10) == []
    assert await queue.stores.control.resume_chat(queue.org_no, queue.phone_no, A, "Bo")
    assert not await queue.stores.control.resume_chat(queue.org_no, queue.phone_no, A, "Bo")
    sent = await queue.run(10) + await queue.run(10) + await queue.run(10)
    assert [job.job_id for job in sent] == [urgent.job_id, held.job_id, later.job_id]
    assert [(a.act, a.target, a.actor) for a in await queue.stores.control.audit_log(queue.org_no)] == [
        ("resume", f"chat:{A}", "Bo"),
        ("pause", f"chat:{A}", "Asha"),
    ]


async def test_a_paused_phone_says_so_once(queue: PhoneQueue) -> None:
    assert await queue.stores.control.pause_phone(queue.org_no, queue.phone_no, "Asha")
    assert not await queue.stores.control.pause_phone(queue.org_no, queue.phone_no, "Asha")
    row = await queue.stores.phones.phone_row(queue.org_no, queue.phone_no)
    assert row is not None and row.paused_by == "Asha"
    assert row.updated_at_us != queue.phone.updated_at_us  # its owner sees the change
    assert await queue.stores.control.resume_phone(queue.org_no, queue.phone_no, "Asha")
    assert not await queue.stores.control.resume_phone(queue.org_no, queue.phone_no, "Asha")


async def test_what_waits_on_a_paused_phone_is_counted_alike_for_the_phone_and_for_all(queue: PhoneQueue) -> None:
    for n in range(3):
        await queue.put_text(A, f"no {n}")
    await queue.stores.control.pause_phone(queue.org_no, queue.phone_no, "Asha")
    for scope in (queue.phone_no, None):
        health = await queue.stores.jobs.health(queue.org_no, scope)
        assert (health.waiting, health.paused) == (3, 3)
    await queue.stores.control.resume_phone(queue.org_no, queue.phone_no, "Asha")
    for scope in (queue.phone_no, None):
        health = await queue.stores.jobs.health(queue.org_no, scope)
        assert (health.waiting, health.paused) == (3, 0)


async def test_a_message_that_waits_for_its_retry_can_be_hurried(queue: PhoneQueue) -> None:
    job = await queue.put_text(A)
    await queue.run(1, RETRY)
    assert await queue.run(1) == []
    assert await queue.stores.control.retry_now(queue.org_no, [job.job_id], "Asha") == {}
    assert [j.job_id for j in await queue.run(1)] == [job.job_id]
    assert await kinds(queue, job.job_id) == ["queued", "started", "retry", "moved", "started", "sent"]


async def test_only_the_next_message_of_a_chat_that_is_not_paused_can_be_hurried(queue: PhoneQueue) -> None:
    first, second = await queue.put_text(A), await queue.put_text(A)
    assert await queue.stores.control.retry_now(queue.org_no, [first.job_id], "Asha") == {}  # it goes anyway
    await queue.run(1, RETRY)
    both = [second.job_id, first.job_id]
    assert await queue.stores.control.retry_now(queue.org_no, both, "Asha") == {second.job_id: "queued"}
    assert await kinds(queue, second.job_id) == ["queued"]
    await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, A, "Asha")
    assert await queue.run(1) == []
    assert await queue.stores.control.retry_now(queue.org_no, [first.job_id], "Asha") == {first.job_id: "queued"}


async def test_a_failed_message_is_retried_behind_the_others_with_its_ids(queue: PhoneQueue) -> None:
    first = await queue.put_text(A)
    await queue.run(1, FAILED)
    second = await queue.put_text(A)
    assert await counts(queue) == (1, 0, 0, 1)
    assert await queue.stores.control.retry_now(queue.org_no, [first.job_id], "Asha") == {}
    assert await counts(queue) == (2, 0, 0, 0)
    sent = await queue.run(1) + await queue.run(1)
    assert [j.job_id for j in sent] == [second.job_id, first.job_id]
    assert sent[1].attempts == 1
    assert await counts(queue) == (0, 0, 2, 0)


async def test_a_finished_message_is_refused_with_its_state(queue: PhoneQueue) -> None:
    job = await queue.put_text(A)
    await queue.run(1)
    refused = await queue.stores.control.retry_now(queue.org_no, [job.job_id, JobId(7)], "Asha")
    assert refused == {job.job_id: "sent", JobId(7): "unknown"}
    assert await queue.stores.control.resolve(queue.org_no, job.job_id, "arrived", "Asha") == "sent"
    assert await queue.stores.control.resolve(queue.org_no, JobId(7), "again", "Asha") == "unknown"
    other = await queue.stores.accounts.create_org("two")
    assert await queue.stores.control.retry_now(other.org_no, [job.job_id], "x") == {job.job_id: "unknown"}


@pytest.mark.parametrize(
    ("how", "state", "expected", "order"),
    [
        ("arrived", State.SENT, (1, 0, 1, 0), "second"),
        ("give_up", State.FAILED, (1, 0, 0, 1), "second"),
        ("again", State.QUEUED, (2, 0, 0, 0), "first"),
    ],
)
async def test_an_uncertain_message_is_settled_by_hand(
    queue: PhoneQueue, how: str, state: State, expected: tuple[int, int, int, int], order: str
) -> None:
    first, second = await queue.put_text(A), await queue.put_text(A)
    await queue.run(1, UNCERTAIN)
    assert await counts(queue) == (1, 1, 0, 0)
    assert await queue.run(1) == []  # the chat waits for it
    assert await queue.stores.control.resolve(queue.org_no, first.job_id, how, "Asha") is None
    assert (await queue.get(first.job_id)).state is state
    assert await counts(queue) == expected
    (job,) = await queue.run(1)
    assert job.job_id == (first if order == "first" else second).job_id
    history = await queue.stores.jobs.history(queue.org_no, first.job_id)
    assert (history[3].kind, history[3].actor, history[3].after) == ("resolved", "Asha", state)


async def test_an_uncertain_message_is_sent_again_before_what_came_later(
    queue: PhoneQueue,
) -> None:
    first = await doubtful(queue)
    await queue.run(1)  # the lane is let go
    second = await queue.put_text(A)
    assert await queue.stores.control.resolve(queue.org_no, first.job_id, "again", "Asha") is None
    sent = await queue.run(1) + await queue.run(1)
    assert [j.job_id for j in sent] == [first.job_id, second.job_id]


async def doubtful(queue: PhoneQueue) -> Job:
    """Makes a message uncertain whose chat waits no longer."""
    job = await queue.put_text(A)
    await queue.run(1, UNCERTAIN)
    queue.clock.advance(700)
    return job


async def test_an_uncertain_message_is_sent_again_right_after_the_one_in_flight(queue: PhoneQueue) -> None:
    first = await doubtful(queue)
    second, third = await queue.put_text(A), await queue.put_text(A)
    (on_its_way,) = await queue.start(1)
    assert on_its_way.job.job_id == second.job_id
    assert await queue.stores.control.resolve(queue.org_no, first.job_id, "again", "Asha") is None
    request = queue.start_request()
    settlement = Settlement(on_its_way.job, queue.lease.token, on_its_way.token, SENT)
    (next_one,) = (await queue.stores.sender.settle_and_start([settlement], [request])).started
    assert next_one.job.job_id == first.job_id
    await queue.settle(next_one)
    assert [j.job_id for j in await queue.run(1)] == [third.job_id]


async def test_two_uncertain_messages_are_sent_again_right_after_the_one_in_flight(queue: PhoneQueue) -> None:
    first = await doubtful(queue)
    second = await doubtful(queue)
    third, fourth = await queue.put_text(A), await queue.put_text(A)
    (on_its_way,) = await queue.start(1)
    assert on_its_way.job.job_id == third.job_id
    for job in (first, second):
        assert await queue.stores.control.resolve(queue.org_no, job.job_id, "again", "Asha") is None
    await queue.settle(on_its_way)
    sent = [job.job_id for _ in range(4) for job in await queue.run(1)]
    assert sorted(sent[:2]) == sorted([first.job_id, second.job_id]) and sent[2:] == [fourth.job_id]


async def test_an_attempt_that_goes_back_is_made_again_before_one_that_is_sent_again(queue: PhoneQueue) -> None:
    first = await doubtful(queue)
    second = await queue.put_text(A)
    (on_its_way,) = await queue.start(1)
    assert await queue.stores.control.resolve(queue.org_no, first.job_id, "again", "Asha") is None
    await queue.settle(on_its_way, RETRY)
    queue.clock.advance(700)
    sent = await queue.run(1) + await queue.run(1)
    assert [j.job_id for j in sent] == [second.job_id, first.job_id]


async def test_a_message_that_was_sent_while_it_was_retried_leaves_its_chat_free(queue: PhoneQueue) -> None:
    """On PostgreSQL two operators may act at once: under the lock the second finds that it is no longer failed."""
    job = await queue.put_text(A)
    await queue.run(1)

    def late() -> Unit[dict[JobId, str]]:
        unit = retry_and_resolve.retry_now(queue.org_no, [job.job_id], "Asha", queue.clock.now_us())
        rows = yield next(unit)
        answer: Rows = [{**dict(zip(row.keys(), row, strict=True)), "state": "failed"} for row in rows]
        while True:
            try:
                statement = unit.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = yield statement

    assert await queue.stores.database.write(late) == {job.job_id: "sent"}
    later = await queue.put_text(A)
    assert [j.job_id for j in await queue.run(1)] == [later.job_id]


async def test_failed_messages_of_a_phone_are_retried_in_order(queue: PhoneQueue) -> None:
    jobs = [await queue.put_text(f"9111111{n:05d}@c.us") for n in range(450)]
    for _ in range(9):
        await queue.run(50, FAILED)
    assert (
        await queue.stores.control.retry_failed(
            queue.org_no, queue.phone_no, queue.clock.us - 3_600 * SECOND_US, "Asha"
        )
        == 450
    )
    assert await counts(queue) == (450, 0, 0, 0)
    sent = [job for _ in range(9) for job in await queue.run(50)]
    assert [j.job_id for j in sent] == [j.job_id for j in jobs]


async def test_what_waits_beyond_its_time_expires_also_behind_others(queue: PhoneQueue) -> None:
    await queue.put_text(A)
    await queue.run(1, UNCERTAIN)
    soon = await queue.put_text(A, expires_at_us=queue.clock.us + 5 * SECOND_US)
    later = await queue.put_text(A, expires_at_us=queue.clock.us + 5_000 * SECOND_US)
    other = await queue.put_text(B, expires_at_us=queue.clock.us + 5 * SECOND_US)
    assert await queue.stores.maintenance.expire_jobs() == 0
    queue.clock.advance(6)
    assert await queue.stores.maintenance.expire_jobs() == 2
    assert (await queue.get(soon.job_id)).state is State.EXPIRED
    assert (await queue.get(other.job_id)).state is State.EXPIRED
    assert await kinds(queue, soon.job_id) == ["queued", "expired"]
    assert await counts(queue) == (1, 1, 0, 2)
    assert await queue.run(5) == []  # the chat still waits for the uncertain one
    queue.clock.advance(700)
    assert [j.job_id for j in await queue.run(5)] == [later.job_id]


async def test_an_expired_message_is_never_started(queue: PhoneQueue) -> None:
    job = await queue.put_text(A, expires_at_us=queue.clock.us + SECOND_US)
    queue.clock.advance(2)
    assert await queue.run(5) == []
    assert (await queue.get(job.job_id)).state is State.EXPIRED


async def test_a_chat_enters_the_suppression_list_once_and_leaves_it(queue: PhoneQueue) -> None:
    assert await queue.stores.control.suppress(queue.org_no, A, "STOP", "them")
    assert not await queue.stores.control.suppress(queue.org_no, A, "STOP", "them")
    assert [s.chat_id for s in await queue.stores.control.suppressions(queue.org_no)] == [A]
    other = await queue.stores.accounts.create_org("two")
    assert await queue.stores.control.suppressions(other.org_no) == []
    assert await queue.stores.control.unsuppress(queue.org_no, A, "Asha")
    assert not await queue.stores.control.unsuppress(queue.org_no, A, "Asha")


async def test_a_waiting_message_explains_itself(queue: PhoneQueue) -> None:
    first, second = await queue.put_text(A), await queue.put_text(A)
    third = await queue.put_text(B)
    found = await queue.stores.jobs.explain(await queue.get(second.job_id))
    assert "behind_in_chat" in [b.code for b in found.blockers]
    await queue.stores.control.pause_chat(queue.org_no, queue.phone_no, A, "Asha")
    found = await queue.stores.jobs.explain(await queue.get(first.job_id))
    assert [b.code for b in found.blockers][:2] == ["phone_connecting", "chat_paused"]
    found = await queue.stores.jobs.explain(await queue.get(third.job_id))
    assert [(b.code, b.text) for b in found.blockers if b.code == "behind"] == [("behind", "Waits behind 2 others.")]


async def test_nothing_starts_after_a_phone_was_paused(queue: PhoneQueue) -> None:
    for _ in range(3):
        await queue.put_text(A)
    await queue.run(1)
    await queue.stores.control.pause_phone(queue.org_no, queue.phone_no, "Asha", "new SIM")
    assert await queue.run(5) == []  # the owner was not told; the store itself refuses
    assert [(hold.target, hold.reason) for hold in await queue.stores.control.holds(queue.org_no, queue.phone_no)] == [
        ("phone", "new SIM")
    ]
    await queue.stores.control.resume_phone(queue.org_no, queue.phone_no, "Asha")
    assert len(await queue.run(5)) == 1


async def test_starts_are_kept_as_long_as_a_window_holds_them(queue: PhoneQueue) -> None:
    await queue.stores.phones.update_phone(queue.org_no, queue.phone_no, PhonePatch(pacing='{"per_hour": 60}'))
    request = queue.start_request(paced=True)
    for _ in range(3):
        await queue.put_text(B)
        (started,) = (await queue.stores.sender.settle_and_start([], [request])).started
        await queue.settle(started)
        queue.clock.advance(1_500)
    assert len(await queue.stores.sender.recent_starts(queue.org_no, queue.phone_no, 0)) == 3
    await queue.stores.broadcasts.clean_up_broadcasts(queue.clock.us)
    kept = await queue.stores.sender.recent_starts(queue.org_no, queue.phone_no, 0)
    assert [row.at_us > queue.clock.us - 3_600 * SECOND_US for row in kept] == [True, True]


async def test_failed_and_uncertain_messages_of_a_deleted_phone_are_not_sent_again(queue: PhoneQueue) -> None:
    made, _ = await queue.stores.broadcasts.create_broadcast(
        NewBroadcast(queue.ids.make(), queue.org_no, queue.phone_no, Content(Kind.TEXT, "Hi"), delay_s=0.0),
        recipients(2),
    )
    failed, lost = await queue.put_text(), await queue.put_text("911111111111@c.us")
    await queue.run(1, FAILED)
    await queue.run(1, UNCERTAIN)
    await queue.stores.broadcasts.enqueue_recipients()
    await queue.run(5, FAILED)
    await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "ada")
    assert await queue.stores.control.retry_now(queue.org_no, [failed.job_id], "ada") == {failed.job_id: "failed"}
    assert await queue.stores.broadcasts.retry_broadcast(queue.org_no, made, "ada") == 0
    assert await queue.stores.control.resolve(queue.org_no, lost.job_id, "again", "ada") == "uncertain"
    assert await queue.stores.control.resolve(queue.org_no, lost.job_id, "arrived", "ada") is None
