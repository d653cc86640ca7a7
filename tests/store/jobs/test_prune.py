"""Tests of retention: settled and delivered jobs are removed after their time, with their counters."""

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.stores.maintenance_store import PrunePlace
from heliograph.sender.services.retention import prune_jobs
from heliograph.store.database import named
from heliograph.store.database.unit import query
from tests.kit.phone_queue import REFUSED, SENT, PhoneQueue, retry, uncertain

DAYS = 30.0


async def _of_each_kind(queue: PhoneQueue) -> dict[str, JobId]:
    given = Verdict(State.SENT, "sent", ack=1, provider_message_id="wamid.X1")
    made = {}
    for name, verdict in {"sent": SENT, "given": given, "failed": REFUSED, "uncertain": uncertain(None)}.items():
        await queue.put(name)
        made[name] = await queue.send_next(verdict)
    made["cancelled"] = await queue.put("cancelled")
    await queue.stores.jobs.purge(queue.org_no, None)
    made["retry"] = await queue.put("retry")
    await queue.send_next(retry(3_000_000.0))
    made["waiting"] = await queue.put("waiting")
    return made


async def test_settled_messages_go_after_their_time_with_all_that_hangs_on_them(queue: PhoneQueue) -> None:
    made = await _of_each_kind(queue)
    queue.clock.advance(31 * 86_400)
    fresh = await queue.put("fresh")
    gone = await prune_jobs(queue.stores.maintenance, queue.clock, days=DAYS)
    left = {row["job_id"] for row in await queue.rows("SELECT job_id FROM jobs")}
    assert left == {made["uncertain"], made["retry"], made["waiting"], fresh}
    assert gone == len(made) + 1 - len(left)
    assert {row["job_id"] for row in await queue.rows("SELECT DISTINCT job_id FROM events")} == left
    assert await queue.rows("SELECT 1 FROM provider_message_ids") == []
    health = await queue.stores.jobs.health(queue.org_no, queue.phone_no)
    assert (health.completed, health.failed, health.waiting, health.active) == (0, 0, 3, 1)
    assert len(await queue.stores.jobs.jobs(queue.org_no, queue.phone_no)) == 4


async def test_a_message_that_was_settled_recently_stays_at_any_age(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    queue.clock.advance(31 * 86_400)
    await queue.send_next()
    assert await prune_jobs(queue.stores.maintenance, queue.clock, days=DAYS) == 0
    assert (await queue.get(job_id)).state is State.SENT


async def test_nothing_is_removed_before_it_was_delivered(queue: PhoneQueue) -> None:
    await queue.execute("UPDATE orgs SET hooks = 1")  # somebody listens
    await queue.put("a")
    await queue.send_next()
    await queue.execute("UPDATE events SET fanned_out = 1 WHERE n < 3")
    queue.clock.advance(31 * 86_400)
    assert await prune_jobs(queue.stores.maintenance, queue.clock, days=DAYS) == 0
    await queue.execute("UPDATE events SET fanned_out = 1")
    assert await prune_jobs(queue.stores.maintenance, queue.clock, days=DAYS) == 1


async def _walk(queue: PhoneQueue, before_us: int) -> list[tuple[int, PrunePlace | None]]:
    """Returns the result of each prune step."""
    steps = [await queue.stores.maintenance.prune_jobs(before_us, 5)]
    while (place := steps[-1][1]) is not None:
        steps.append(await queue.stores.maintenance.prune_jobs(before_us, 5, place))
    return steps


async def test_prunes_go_in_steps(queue: PhoneQueue) -> None:
    for n in range(12):
        await queue.put(f"chat{n}")
        await queue.send_next()
    queue.clock.advance(31 * 86_400)
    before = queue.clock.now_us() - 30 * 86_400_000_000
    assert [gone for gone, _ in await _walk(queue, before)] == [5, 5, 2, 0]


async def test_unmatched_receipts_and_old_inbound_messages_are_removed(queue: PhoneQueue) -> None:
    await queue.receipts([Receipt(3, queue.clock.now_us(), provider_message_id="nobody's")])
    inbound = [Inbound("M1", "a@c.us", "a@c.us", queue.clock.now_us(), "chat", "hello")]
    await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, inbound)
    queue.clock.advance(25 * 3600)
    await prune_jobs(queue.stores.maintenance, queue.clock, days=DAYS)
    assert await queue.rows("SELECT 1 FROM unmatched_receipts") == []
    assert len(await queue.rows("SELECT 1 FROM inbound")) == 1
    queue.clock.advance(30 * 86_400)
    await prune_jobs(queue.stores.maintenance, queue.clock, days=DAYS)
    assert await queue.rows("SELECT 1 FROM inbound") == []


async def test_a_message_that_is_retried_while_it_is_pruned_stays(queue: PhoneQueue) -> None:
    job_id = await queue.put("a")
    await queue.send_next(REFUSED)
    waiting = await queue.put("b")
    found = await queue.stores.database.write(query, named.jobs_prune([(queue.org_no, waiting)], before=2**62))
    assert list(found) == []
    assert (await queue.get(job_id)).state is State.FAILED
    assert (await queue.get(waiting)).state is State.QUEUED


async def test_a_prune_reads_a_bounded_piece_and_never_twice_of_what_waits(queue: PhoneQueue) -> None:
    waiting = [await queue.put(f"chat{n}") for n in range(12)]
    queue.clock.advance(31 * 86_400)
    before = queue.clock.now_us() - 30 * 86_400_000_000
    places = [place for _, place in await _walk(queue, before)]
    assert places == [(queue.org_no, waiting[4]), (queue.org_no, waiting[9]), None]


async def test_a_key_that_is_used_anew_while_it_is_being_pruned_is_kept(queue: PhoneQueue) -> None:
    await queue.put(key="k", body="x")
    queue.clock.advance(86_401)
    before = queue.clock.now_us() - 86_400_000_000
    (old,) = await queue.stores.database.read(query, named.idempotency_old(before=before, limit=9))
    await queue.stores.maintenance.prune_rest(0, before)
    await queue.put(key="k", body="x")
    await queue.stores.database.write(query, named.idempotency_prune([(old["org_no"], old["key"])], before=before))
    assert len(await queue.rows("SELECT 1 FROM idempotency")) == 1
