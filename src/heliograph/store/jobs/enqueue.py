"""TX1: enqueues checked messages as jobs, many in one transaction.

Promise: after the commit each job has its place in the order, its event and (if asked) its idempotency key.
"""

from collections.abc import Iterator, Sequence
from typing import overload

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued, EnqueueResult, KeyReused, NewJob, PhoneDeleted
from heliograph.domain.messages.chat import is_group
from heliograph.domain.messages.content import encode_content
from heliograph.store.accounts import idempotency
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.lanes import INTAKE

_Terms = tuple[int | None, int | None, int | None]  # expires at, broadcast, schedule
_NO_TERMS: _Terms = (None, None, None)
# org_no, job_id, phone_no, chat_id, priority, seq, content
_Row = tuple[int, int, int, str, int, int, str]
_WholeRow = tuple[int, int, int, str, int, int, str, int | None, int | None, int | None, str]
_ByActor = dict[str, list[_Row]]


def enqueue(jobs: Sequence[NewJob], now_us: int) -> Unit[list[EnqueueResult]]:
    """Gives results in the order of `jobs`, which is the order of sending within a phone and priority."""
    results: list[EnqueueResult | None] = [None] * len(jobs)
    fresh = yield from _take_keys(jobs, results, now_us)
    places = yield from _take_places([jobs[n] for n in fresh])
    rows: _ByActor = {}  # of one batch nearly always the same actor
    terms: dict[int, _Terms] = {}
    answers: list[tuple[int, str, int]] = []
    heads: dict[tuple[int, int, str, int], tuple[int, int]] = {}
    to_groups: list[tuple[int, JobId]] = []
    for n in fresh:
        job = jobs[n]
        org_no, job_id, phone_no, chat_id, priority = (
            job.org_no,
            job.job_id,
            job.phone_no,
            job.chat_id,
            int(job.priority),
        )
        place = places.get((phone_no, priority))
        if place is None:
            results[n] = PhoneDeleted()
            if job.idempotency:
                yield from idempotency.release(org_no, job.idempotency)
            continue
        seq, ahead = place
        place[0], place[1] = seq + 1, ahead + 1
        results[n] = Enqueued(job_id, ahead)
        row: _Row = (org_no, job_id, phone_no, chat_id, priority, seq, encode_content(job.content))
        if (theirs := rows.get(job.performed_by)) is None:
            rows[job.performed_by] = [row]
        else:
            theirs.append(row)
        if job.expires_at_us is not None or job.broadcast_no is not None or job.schedule_no is not None:
            terms[job_id] = (job.expires_at_us, job.broadcast_no, job.schedule_no)
        if (head := (org_no, phone_no, chat_id, priority)) not in heads:
            heads[head] = (seq, job_id)
        if is_group(chat_id):
            to_groups.append((org_no, job_id))
        if job.idempotency:
            answers.append((org_no, job.idempotency.key, ahead))
    # on PostgreSQL this does all but counters and keys
    yield from query(named.jobs_enqueue(_Whole(rows, terms), now=now_us))
    for actor, theirs in rows.items():
        if terms:
            wide = [(*row, *terms.get(row[1], _NO_TERMS)) for row in theirs]
            yield from query(named.jobs_insert(wide, actor=actor, now=now_us))
        else:
            yield from query(named.jobs_insert_plain(theirs, actor=actor, now=now_us))
    if to_groups:
        yield from query(named.jobs_set_author(to_groups))
    yield from query(named.lanes_upsert([(*priority, *head) for priority, head in heads.items()]))
    for actor, theirs in rows.items():
        yield from query(named.events_queued([row[:2] for row in theirs], actor=actor, now=now_us))
    if answers:
        yield from query(named.idempotency_save_positions(answers))
    return results  # type: ignore[return-value]  # each has one now


class _Whole(Sequence[_WholeRow]):
    """All rows with all their columns, built only for the database that reads them."""

    def __init__(self, rows: _ByActor, terms: dict[int, _Terms]) -> None:
        self._rows = rows
        self._terms = terms

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __iter__(self) -> Iterator[_WholeRow]:
        for actor, rows in self._rows.items():
            for row in rows:
                yield (*row, *self._terms.get(row[1], _NO_TERMS), actor)

    @overload
    def __getitem__(self, n: int) -> _WholeRow: ...
    @overload
    def __getitem__(self, n: slice) -> list[_WholeRow]: ...
    def __getitem__(self, n: int | slice) -> _WholeRow | list[_WholeRow]:
        return list(self)[n]


def _take_keys(jobs: Sequence[NewJob], results: list[EnqueueResult | None], now_us: int) -> Unit[list[int]]:
    """Writes replays and refusals to `results`; gives the indexes in `jobs` of those to be enqueued."""
    wanted: dict[tuple[int, str], int] = {}
    for n, job in enumerate(jobs):
        if job.idempotency is not None:
            wanted.setdefault((job.org_no, job.idempotency.key), n)
    if not wanted:
        return list(range(len(jobs)))
    rows = [
        (org_no, key, keyed.fingerprint.hex(), jobs[n].job_id)
        for (org_no, key), n in sorted(wanted.items())
        if (keyed := jobs[n].idempotency)
    ]
    taken = {(row["org_no"], row["key"]) for row in (yield from query(named.idempotency_claim(rows, now=now_us)))}
    fresh: list[int] = []
    repeats: list[int] = []
    for n, job in enumerate(jobs):
        if job.idempotency is None:
            fresh.append(n)
            continue
        name = (job.org_no, job.idempotency.key)
        (fresh if name in taken and wanted[name] == n else repeats).append(n)
    for n in repeats:
        results[n] = yield from _replay(jobs[n])
    return fresh


def _replay(job: NewJob) -> Unit[EnqueueResult]:
    assert job.idempotency is not None
    earlier = yield from idempotency.find(job.org_no, job.idempotency)
    if earlier is None or not earlier.same or earlier.job_id is None:
        return KeyReused()
    if earlier.position is None:
        # the first request with this key is in this very batch and not numbered yet: let it run alone afterwards
        raise SameBatch(job.idempotency.key)
    return Enqueued(earlier.job_id, earlier.position, replayed=True)


class SameBatch(Exception):
    """Two requests with one key are in one batch, which is then run again one by one."""


def _take_places(jobs: Sequence[NewJob]) -> Unit[dict[tuple[int, int], list[int]]]:
    """Gives the first free seq for each phone and priority, and how many jobs are before it."""
    counts: dict[tuple[int, int, int], int] = {}
    for job in jobs:
        place = (job.org_no, job.phone_no, int(job.priority))
        counts[place] = counts.get(place, 0) + 1
    lanes = sorted(counts)
    if len(lanes) > 1:  # a single row is locked by its update
        yield from query(named.queue_lock([(*priority, INTAKE) for priority in lanes]))
    moved = yield from query_values(
        named.queue_reserve_and_count([(*priority, INTAKE, counts[priority]) for priority in lanes])
    )
    taken = {place[1:]: count for place, count in counts.items()}  # a phone belongs to one organisation
    places = {}
    for phone_no, lane_no, next_seq, ahead in moved:
        count = taken[phone_no, lane_no]
        places[phone_no, lane_no] = [next_seq - count, ahead - count]
    return places
