"""Retention: what is settled and told goes after its time, and the counters go with it."""

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.sender_store import PrunePlace
from heliograph.sender.services.retention import prune_once
from heliograph.store.database import named
from heliograph.store.database.unit import query
from tests.store.world import REFUSED, SENT, Desk, retry, uncertain

DAYS = 30.0


async def _of_each_kind(desk: Desk) -> dict[str, JobId]:
    given = Verdict(State.SENT, "sent", ack=1, provider_message_id="wamid.X1")
    made = {}
    for name, verdict in {"sent": SENT, "given": given, "failed": REFUSED, "uncertain": uncertain(None)}.items():
        await desk.put(name)
        made[name] = await desk.send(verdict)
    made["cancelled"] = await desk.put("cancelled")
    await desk.store.purge(desk.org_no, None)
    made["retry"] = await desk.put("retry")
    await desk.send(retry(3_000_000.0))
    made["waiting"] = await desk.put("waiting")
    return made


async def test_settled_messages_go_after_their_time_with_all_that_hangs_on_them(desk: Desk) -> None:
    made = await _of_each_kind(desk)
    desk.clock.turn(31 * 86_400)
    fresh = await desk.put("fresh")
    gone = await prune_once(desk.store, desk.clock, days=DAYS)
    left = {row["job_id"] for row in await desk.look("SELECT job_id FROM jobs")}
    assert left == {made["uncertain"], made["retry"], made["waiting"], fresh}
    assert gone == len(made) + 1 - len(left)
    assert {row["job_id"] for row in await desk.look("SELECT DISTINCT job_id FROM events")} == left
    assert await desk.look("SELECT 1 FROM provider_message_ids") == []
    health = await desk.store.health(desk.org_no, desk.phone_no)
    assert (health.completed, health.failed, health.waiting, health.active) == (0, 0, 3, 1)
    assert len(await desk.store.jobs(desk.org_no, desk.phone_no)) == 4


async def test_what_was_settled_lately_stays_however_old_it_is(desk: Desk) -> None:
    job_id = await desk.put("a")
    desk.clock.turn(31 * 86_400)
    await desk.send()
    assert await prune_once(desk.store, desk.clock, days=DAYS) == 0
    assert (await desk.get(job_id)).state is State.SENT


async def test_nothing_goes_before_it_was_told(desk: Desk) -> None:
    await desk.change("UPDATE orgs SET hooks = 1")  # somebody listens
    await desk.put("a")
    await desk.send()
    await desk.change("UPDATE events SET fanned_out = 1 WHERE n < 3")
    desk.clock.turn(31 * 86_400)
    assert await prune_once(desk.store, desk.clock, days=DAYS) == 0
    await desk.change("UPDATE events SET fanned_out = 1")
    assert await prune_once(desk.store, desk.clock, days=DAYS) == 1


async def _walk(desk: Desk, before_us: int) -> list[tuple[int, PrunePlace | None]]:
    """What each step of a prune gives."""
    steps = [await desk.store.prune(before_us, 5)]
    while (place := steps[-1][1]) is not None:
        steps.append(await desk.store.prune(before_us, 5, place))
    return steps


async def test_prunes_go_in_steps(desk: Desk) -> None:
    for n in range(12):
        await desk.put(f"chat{n}")
        await desk.send()
    desk.clock.turn(31 * 86_400)
    before = desk.clock.now_us() - 30 * 86_400_000_000
    assert [gone for gone, _ in await _walk(desk, before)] == [5, 5, 2, 0]


async def test_receipts_that_nobody_claimed_and_old_inbound_messages_go(desk: Desk) -> None:
    await desk.receipts([Receipt(3, desk.clock.now_us(), provider_message_id="nobody's")])
    heard = [Inbound("M1", "a@c.us", "a@c.us", desk.clock.now_us(), "chat", "hello")]
    await desk.store.inbound(desk.phone_no, desk.org_no, heard)
    desk.clock.turn(25 * 3600)
    await prune_once(desk.store, desk.clock, days=DAYS)
    assert await desk.look("SELECT 1 FROM unmatched_receipts") == []
    assert len(await desk.look("SELECT 1 FROM inbound")) == 1
    desk.clock.turn(30 * 86_400)
    await prune_once(desk.store, desk.clock, days=DAYS)
    assert await desk.look("SELECT 1 FROM inbound") == []


async def test_a_message_put_back_while_it_was_being_pruned_stays(desk: Desk) -> None:
    job_id = await desk.put("a")
    await desk.send(REFUSED)
    waiting = await desk.put("b")
    found = await desk.store.shell.write(lambda: query(named.jobs_prune([(desk.org_no, waiting)], before=2**62)))
    assert list(found) == []
    assert (await desk.get(job_id)).state is State.FAILED
    assert (await desk.get(waiting)).state is State.QUEUED


async def test_a_prune_reads_a_bounded_piece_and_never_twice_of_what_waits(desk: Desk) -> None:
    waiting = [await desk.put(f"chat{n}") for n in range(12)]
    desk.clock.turn(31 * 86_400)
    before = desk.clock.now_us() - 30 * 86_400_000_000
    places = [place for _, place in await _walk(desk, before)]
    assert places == [(desk.org_no, waiting[4]), (desk.org_no, waiting[9]), None]


async def test_a_key_that_is_used_anew_while_it_is_being_pruned_is_kept(desk: Desk) -> None:
    await desk.put(key="k", body="x")
    desk.clock.turn(86_401)
    before = desk.clock.now_us() - 86_400_000_000
    (old,) = await desk.store.shell.read(lambda: query(named.idempotency_old(before=before, limit=9)))
    await desk.store.prune_rest(0, before)
    await desk.put(key="k", body="x")
    await desk.store.shell.write(lambda: query(named.idempotency_prune([(old["org_no"], old["key"])], before=before)))
    assert len(await desk.look("SELECT 1 FROM idempotency")) == 1
