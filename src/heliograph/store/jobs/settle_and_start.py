"""TX3 + TX2: settles ended attempts and durably starts the next ones, in one transaction for many phones.

Promise: what this returns as started is in state `sending` on disk, its attempt counted, under the token of the
request. Nothing is written for a phone whose token is no longer ours, and nothing starts under a changed pace.
"""

from collections.abc import Sequence

from heliograph.domain.jobs.ids import JobId
from heliograph.ports.stores.sender_store import SettleAndStartResult, Settlement, StartRequest
from heliograph.store.database import named
from heliograph.store.database.rows import EventRow
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.events import JobEventBuffer
from heliograph.store.jobs.lanes import ENGINE, CounterChanges, write_counters
from heliograph.store.jobs.receipts import apply_orphans
from heliograph.store.jobs.settle import settle
from heliograph.store.jobs.start import StartBatch, start

_STOPPED = 2  # `held` of `fence_with_state`: a person paused the phone; 1: something of it may be held


def settle_and_start(
    settlements: Sequence[Settlement], wishes: Sequence[StartRequest], now_us: int
) -> Unit[SettleAndStartResult]:
    fenced = {(s.job.org_no, s.job.phone_no, s.token) for s in settlements}
    fenced.update((w.org_no, w.phone_no, w.token) for w in wishes)
    found = {(row[0], row[1]): row for row in (yield from query_values(named.fence_with_state(sorted(fenced))))}
    counts, moved = CounterChanges(), JobEventBuffer()
    ours = [s for s in settlements if (s.job.phone_no, s.token) in found]
    settled, freed = yield from settle(ours, now_us, counts, moved)
    early: list[EventRow] = []
    if learned := _learned(ours, settled):
        yield from moved.write(now_us)  # before the receipts that came too early for them
        tokens = {s.job.phone_no: s.token for s in ours}
        yield from apply_orphans(learned, tokens, now_us=now_us, counts=counts, events=early)
    open_wishes, changed, held = [], set(), False
    standing: dict[int, tuple[int, int | None]] = {}
    for wish in wishes:
        row = found.get((wish.phone_no, wish.token))
        if row is None or row[2] == _STOPPED:
            continue
        if wish.version is not None and row[3] != wish.version:
            changed.add(wish.phone_no)
            continue
        open_wishes.append(wish)
        held |= row[2] != 0
        standing[wish.phone_no] = (row[4], row[5])
    this = StartBatch(open_wishes, standing, now_us=now_us, held=held, counts=counts, moved=moved)
    idle = yield from start(this, freed)
    yield from moved.write(now_us)
    yield from query(named.events_insert(early + this.events))
    yield from write_counters(ENGINE, counts)
    return SettleAndStartResult(
        started=this.started,
        settled=[s.job.job_id in settled for s in settlements],
        lost=frozenset((phone_no, token) for _, phone_no, token in fenced if (phone_no, token) not in found),
        idle=idle,
        changed=frozenset(changed),
    )


def _learned(settlements: Sequence[Settlement], settled: set[int]) -> dict[tuple[int, int, str], JobId]:
    """Gives (org_no, phone_no, provider's id) → the job that just learned it."""
    learned: dict[tuple[int, int, str], JobId] = {}
    for s in settlements:
        if s.verdict.provider_message_id and s.job.job_id in settled:
            learned[s.job.org_no, s.job.phone_no, s.verdict.provider_message_id] = s.job.job_id
    return learned
