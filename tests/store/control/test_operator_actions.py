"""What a person does to queues and messages, and what becomes of it."""

import pytest

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job, PhonePatch
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.sender_store import Settlement, StartRequest
from heliograph.store.database.unit import Rows, Unit
from heliograph.store.jobs import retry_and_resolve
from tests.store.control_setup import FAILED, SENT, S, World, recipients

RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=600.0)
UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=600.0, maybe_sent=True)
A, B = "911111111111@c.us", "922222222222@c.us"


async def kinds(world: World, job_id: JobId) -> list[str]:
    history = await world.store.history(world.org_no, job_id)
    assert [event.n for event in history] == list(range(1, len(history) + 1))
    return [event.kind for event in history]


async def counts(world: World) -> tuple[int, int, int, int]:
    health = await world.store.health(world.org_no, world.phone_no)
    return health.waiting, health.active, health.completed, health.failed


async def test_nothing_of_a_paused_chat_starts_and_others_go_on(world: World) -> None:
    held = await world.send(A)
    urgent = await world.send(A, lane=Priority.URGENT)
    free = await world.send(B)
    assert await world.steering.pause_chat(world.org_no, world.phone_no, A, "Asha", "a complaint")
    assert not await world.steering.pause_chat(world.org_no, world.phone_no, A, "Bo")
    sent = await world.step(10) + await world.step(10)
    assert [job.job_id for job in sent] == [free.job_id]
    later = await world.send(A)
    assert await world.step(10) == []
    assert await world.steering.resume_chat(world.org_no, world.phone_no, A, "Bo")
    assert not await world.steering.resume_chat(world.org_no, world.phone_no, A, "Bo")
    sent = await world.step(10) + await world.step(10) + await world.step(10)
    assert [job.job_id for job in sent] == [urgent.job_id, held.job_id, later.job_id]
    assert [(a.act, a.what, a.actor) for a in await world.steering.audit_log(world.org_no)] == [
        ("resume", f"chat:{A}", "Bo"),
        ("pause", f"chat:{A}", "Asha"),
    ]


async def test_a_paused_phone_says_so_once(world: World) -> None:
    assert await world.steering.pause_phone(world.org_no, world.phone_no, "Asha")
    assert not await world.steering.pause_phone(world.org_no, world.phone_no, "Asha")
    row = await world.store.phone_row(world.org_no, world.phone_no)
    assert row is not None and row.paused_by == "Asha"
    assert row.updated_at_us != world.phone.updated_at_us  # its owner sees the change
    assert await world.steering.resume_phone(world.org_no, world.phone_no, "Asha")
    assert not await world.steering.resume_phone(world.org_no, world.phone_no, "Asha")


async def test_what_waits_on_a_paused_phone_is_counted_alike_for_the_phone_and_for_all(world: World) -> None:
    for n in range(3):
        await world.send(A, f"no {n}")
    await world.steering.pause_phone(world.org_no, world.phone_no, "Asha")
    for scope in (world.phone_no, None):
        health = await world.store.health(world.org_no, scope)
        assert (health.waiting, health.paused) == (3, 3)
    await world.steering.resume_phone(world.org_no, world.phone_no, "Asha")
    for scope in (world.phone_no, None):
        health = await world.store.health(world.org_no, scope)
        assert (health.waiting, health.paused) == (3, 0)


async def test_a_message_that_waits_for_its_retry_goes_at_once_when_asked(world: World) -> None:
    job = await world.send(A)
    await world.step(1, RETRY)
    assert await world.step(1) == []
    assert await world.steering.retry_now(world.org_no, [job.job_id], "Asha") == {}
    assert [j.job_id for j in await world.step(1)] == [job.job_id]
    assert await kinds(world, job.job_id) == ["queued", "started", "retry", "moved", "started", "sent"]


async def test_only_the_next_message_of_a_chat_that_is_not_paused_goes_at_once(world: World) -> None:
    first, second = await world.send(A), await world.send(A)
    assert await world.steering.retry_now(world.org_no, [first.job_id], "Asha") == {}  # it goes anyway
    await world.step(1, RETRY)
    both = [second.job_id, first.job_id]
    assert await world.steering.retry_now(world.org_no, both, "Asha") == {second.job_id: "queued"}
    assert await kinds(world, second.job_id) == ["queued"]
    await world.steering.pause_chat(world.org_no, world.phone_no, A, "Asha")
    assert await world.step(1) == []
    assert await world.steering.retry_now(world.org_no, [first.job_id], "Asha") == {first.job_id: "queued"}


async def test_a_failed_message_is_put_back_behind_the_others_with_its_ids(world: World) -> None:
    first = await world.send(A)
    await world.step(1, FAILED)
    second = await world.send(A)
    assert await counts(world) == (1, 0, 0, 1)
    assert await world.steering.retry_now(world.org_no, [first.job_id], "Asha") == {}
    assert await counts(world) == (2, 0, 0, 0)
    sent = await world.step(1) + await world.step(1)
    assert [j.job_id for j in sent] == [second.job_id, first.job_id]
    assert sent[1].attempts == 1
    assert await counts(world) == (0, 0, 2, 0)


async def test_a_finished_message_is_refused_with_its_state(world: World) -> None:
    job = await world.send(A)
    await world.step(1)
    refused = await world.steering.retry_now(world.org_no, [job.job_id, JobId(7)], "Asha")
    assert refused == {job.job_id: "sent", JobId(7): "unknown"}
    assert await world.steering.resolve(world.org_no, job.job_id, "arrived", "Asha") == "sent"
    assert await world.steering.resolve(world.org_no, JobId(7), "again", "Asha") == "unknown"
    other = await world.store.create_org("two")
    assert await world.steering.retry_now(other.org_no, [job.job_id], "x") == {job.job_id: "unknown"}


@pytest.mark.parametrize(
    ("how", "state", "expected", "order"),
    [
        ("arrived", State.SENT, (1, 0, 1, 0), "second"),
        ("give_up", State.FAILED, (1, 0, 0, 1), "second"),
        ("again", State.QUEUED, (2, 0, 0, 0), "first"),
    ],
)
async def test_an_uncertain_message_is_settled_by_hand(
    world: World, how: str, state: State, expected: tuple[int, int, int, int], order: str
) -> None:
    first, second = await world.send(A), await world.send(A)
    await world.step(1, UNCERTAIN)
    assert await counts(world) == (1, 1, 0, 0)
    assert await world.step(1) == []  # the chat waits for it
    assert await world.steering.resolve(world.org_no, first.job_id, how, "Asha") is None
    assert (await world.job(first.job_id)).state is state
    assert await counts(world) == expected
    (job,) = await world.step(1)
    assert job.job_id == (first if order == "first" else second).job_id
    history = await world.store.history(world.org_no, first.job_id)
    assert (history[3].kind, history[3].actor, history[3].after) == ("resolved", "Asha", state)


async def test_an_uncertain_message_is_sent_again_before_what_came_later(
    world: World,
) -> None:
    first = await doubtful(world)
    await world.step(1)  # the lane is let go
    second = await world.send(A)
    assert await world.steering.resolve(world.org_no, first.job_id, "again", "Asha") is None
    sent = await world.step(1) + await world.step(1)
    assert [j.job_id for j in sent] == [first.job_id, second.job_id]


async def doubtful(world: World) -> Job:
    """A message of which nobody knows whether it was sent, and for which its chat waits no longer."""
    job = await world.send(A)
    await world.step(1, UNCERTAIN)
    world.clock.advance(700)
    return job


async def test_an_uncertain_message_is_sent_again_right_after_the_one_on_its_way(world: World) -> None:
    first = await doubtful(world)
    second, third = await world.send(A), await world.send(A)
    (on_its_way,) = await world.start(1)
    assert on_its_way.job.job_id == second.job_id
    assert await world.steering.resolve(world.org_no, first.job_id, "again", "Asha") is None
    wish = StartRequest(world.phone_no, world.org_no, world.lease.token, limit=1)
    settlement = Settlement(on_its_way.job, world.lease.token, on_its_way.token, SENT)
    (next_one,) = (await world.store.settle_and_start([settlement], [wish])).started
    assert next_one.job.job_id == first.job_id
    await world.settle(next_one)
    assert [j.job_id for j in await world.step(1)] == [third.job_id]


async def test_two_uncertain_messages_are_sent_again_right_after_the_one_on_its_way(world: World) -> None:
    first = await doubtful(world)
    second = await doubtful(world)
    third, fourth = await world.send(A), await world.send(A)
    (on_its_way,) = await world.start(1)
    assert on_its_way.job.job_id == third.job_id
    for job in (first, second):
        assert await world.steering.resolve(world.org_no, job.job_id, "again", "Asha") is None
    await world.settle(on_its_way)
    sent = [job.job_id for _ in range(4) for job in await world.step(1)]
    assert sorted(sent[:2]) == sorted([first.job_id, second.job_id]) and sent[2:] == [fourth.job_id]


async def test_an_attempt_that_goes_back_is_made_again_before_one_that_is_sent_again(world: World) -> None:
    first = await doubtful(world)
    second = await world.send(A)
    (on_its_way,) = await world.start(1)
    assert await world.steering.resolve(world.org_no, first.job_id, "again", "Asha") is None
    await world.settle(on_its_way, RETRY)
    world.clock.advance(700)
    sent = await world.step(1) + await world.step(1)
    assert [j.job_id for j in sent] == [second.job_id, first.job_id]


async def test_a_message_that_was_sent_while_somebody_put_it_back_leaves_its_chat_free(world: World) -> None:
    """On PostgreSQL two people may act at once: the second finds, under the lock, that it is not failed any more."""
    job = await world.send(A)
    await world.step(1)

    def late() -> Unit[dict[JobId, str]]:
        unit = retry_and_resolve.retry_now(world.org_no, [job.job_id], "Asha", world.clock.now_us())
        rows = yield next(unit)
        answer: Rows = [{**dict(zip(row.keys(), row, strict=True)), "state": "failed"} for row in rows]
        while True:
            try:
                statement = unit.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = yield statement

    assert await world.store.shell.write(late) == {job.job_id: "sent"}
    later = await world.send(A)
    assert [j.job_id for j in await world.step(1)] == [later.job_id]


async def test_what_failed_of_a_phone_is_put_back_in_its_order(world: World) -> None:
    jobs = [await world.send(f"9111111{n:05d}@c.us") for n in range(450)]
    for _ in range(9):
        await world.step(50, FAILED)
    assert await world.steering.retry_failed(world.org_no, world.phone_no, world.clock.us - 3_600 * S, "Asha") == 450
    assert await counts(world) == (450, 0, 0, 0)
    sent = [job for _ in range(9) for job in await world.step(50)]
    assert [j.job_id for j in sent] == [j.job_id for j in jobs]


async def test_what_waits_beyond_its_time_expires_also_behind_others(world: World) -> None:
    await world.send(A)
    await world.step(1, UNCERTAIN)
    soon = await world.send(A, expires_at_us=world.clock.us + 5 * S)
    later = await world.send(A, expires_at_us=world.clock.us + 5_000 * S)
    other = await world.send(B, expires_at_us=world.clock.us + 5 * S)
    assert await world.steering.expire() == 0
    world.clock.advance(6)
    assert await world.steering.expire() == 2
    assert (await world.job(soon.job_id)).state is State.EXPIRED
    assert (await world.job(other.job_id)).state is State.EXPIRED
    assert await kinds(world, soon.job_id) == ["queued", "expired"]
    assert await counts(world) == (1, 1, 0, 2)
    assert await world.step(5) == []  # the chat still waits for the uncertain one
    world.clock.advance(700)
    assert [j.job_id for j in await world.step(5)] == [later.job_id]


async def test_an_expired_message_is_never_started(world: World) -> None:
    job = await world.send(A, expires_at_us=world.clock.us + S)
    world.clock.advance(2)
    assert await world.step(5) == []
    assert (await world.job(job.job_id)).state is State.EXPIRED


async def test_a_chat_enters_the_suppression_list_once_and_leaves_it(world: World) -> None:
    assert await world.steering.suppress(world.org_no, A, "STOP", "them")
    assert not await world.steering.suppress(world.org_no, A, "STOP", "them")
    assert [s.chat_id for s in await world.steering.suppressions(world.org_no)] == [A]
    other = await world.store.create_org("two")
    assert await world.steering.suppressions(other.org_no) == []
    assert await world.steering.unsuppress(world.org_no, A, "Asha")
    assert not await world.steering.unsuppress(world.org_no, A, "Asha")


async def test_a_waiting_message_explains_itself(world: World) -> None:
    first, second = await world.send(A), await world.send(A)
    third = await world.send(B)
    found = await world.steering.explain(await world.job(second.job_id))
    assert "behind_in_chat" in [b.code for b in found.blockers]
    await world.steering.pause_chat(world.org_no, world.phone_no, A, "Asha")
    found = await world.steering.explain(await world.job(first.job_id))
    assert [b.code for b in found.blockers][:2] == ["phone_connecting", "chat_paused"]
    found = await world.steering.explain(await world.job(third.job_id))
    assert [(b.code, b.text) for b in found.blockers if b.code == "behind"] == [("behind", "Waits behind 2 others.")]


async def test_nothing_starts_after_a_phone_was_paused(world: World) -> None:
    for _ in range(3):
        await world.send(A)
    await world.step(1)
    await world.steering.pause_phone(world.org_no, world.phone_no, "Asha", "new SIM")
    assert await world.step(5) == []  # the owner was not told; the store itself refuses
    assert [(hold.what, hold.reason) for hold in await world.steering.holds(world.org_no, world.phone_no)] == [
        ("phone", "new SIM")
    ]
    await world.steering.resume_phone(world.org_no, world.phone_no, "Asha")
    assert len(await world.step(5)) == 1


async def test_starts_are_kept_as_long_as_a_window_holds_them(world: World) -> None:
    await world.store.update_phone(world.org_no, world.phone_no, PhonePatch(pacing='{"per_hour": 60}'))
    wish = StartRequest(world.phone_no, world.org_no, world.lease.token, paced=True)
    for _ in range(3):
        await world.send(B)
        (started,) = (await world.store.settle_and_start([], [wish])).started
        await world.settle(started)
        world.clock.advance(1_500)
    assert len(await world.store.recent_starts(world.org_no, world.phone_no, 0)) == 3
    await world.steering.sweep_broadcasts(world.clock.us)
    kept = await world.store.recent_starts(world.org_no, world.phone_no, 0)
    assert [row.at_us > world.clock.us - 3_600 * S for row in kept] == [True, True]


async def test_failed_and_uncertain_messages_of_a_deleted_phone_are_not_sent_again(world: World) -> None:
    made, _ = await world.steering.broadcast(
        NewBroadcast(world.ids.make(), world.org_no, world.phone_no, Content(Kind.TEXT, "Hi"), delay_s=0.0),
        recipients(2),
    )
    failed, lost = await world.send(), await world.send("911111111111@c.us")
    await world.step(1, FAILED)
    await world.step(1, UNCERTAIN)
    await world.steering.feed()
    await world.step(5, FAILED)
    await world.store.delete_phone(world.org_no, world.phone_no, "ada")
    assert await world.steering.retry_now(world.org_no, [failed.job_id], "ada") == {failed.job_id: "failed"}
    assert await world.steering.retry_broadcast(world.org_no, made, "ada") == 0
    assert await world.steering.resolve(world.org_no, lost.job_id, "again", "ada") == "uncertain"
    assert await world.steering.resolve(world.org_no, lost.job_id, "arrived", "ada") is None
