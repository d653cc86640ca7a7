"""Group commit: messages that are being accepted at the same time are enqueued in one transaction.

There is no timer: what arrives while a batch is being committed is the next batch. Two batches may be in flight, so
that the writer never waits for the event loop; the second is filled only when the store begins with it, maybe in
another thread. A batch that fails is run again job by job, so that one bad job harms no other.
"""

import asyncio
import contextlib
from collections import deque

import msgspec

from heliograph.domain.errors import Refusal, Unavailable
from heliograph.domain.jobs.ids import JobId, JobIds
from heliograph.domain.jobs.job import Enqueued, EnqueueResult, Job, NewJob
from heliograph.ports.clock import Clock
from heliograph.ports.faultpoint import faultpoint
from heliograph.store.database.database import Database
from heliograph.store.database.unit import Unit
from heliograph.store.jobs import reads
from heliograph.store.jobs.enqueue import enqueue

BATCH = 200
MAX_BATCHES_IN_FLIGHT = 2
WITHIN_S = 3.5
POLL_INTERVAL_S = 1.0  # the callers have waited for long

Waiting = tuple[NewJob, "asyncio.Future[EnqueueResult]"]


class GroupCommit:
    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._waiting: deque[Waiting] = deque()
        self._under_way = 0
        self._last: _Batch | None = None
        self._flushes: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Counts callers whose message is in no transaction yet."""
        return len(self._waiting)

    def enqueue(self, job: NewJob) -> "asyncio.Future[EnqueueResult]":
        future: asyncio.Future[EnqueueResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        self._flush()
        return future

    def _flush(self) -> None:
        # a batch that is not filled yet will take what waits now
        if self._waiting and self._under_way < MAX_BATCHES_IN_FLIGHT and (self._last is None or self._last.filled):
            self._under_way += 1
            self._last = _Batch(self._waiting, self._clock)
            task = asyncio.get_running_loop().create_task(self._run(self._last))
            self._flushes.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._flushes.discard)

    async def _run(self, batch: "_Batch") -> None:
        try:
            try:
                faultpoint("enqueue.before")
                results = await self._database.write_within(WITHIN_S, batch.unit)
                faultpoint("enqueue.after")
                group = batch.taken()
            except Unavailable as error:
                group = batch.taken()
                self._refuse_waiting(error)
                self._end(batch)
                await self._look_for(group, error)
                return
            except Exception as error:  # noqa: BLE001 - supervised: told to each caller, one by one
                await self._one_by_one(batch.taken(), error)
                return
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)
        finally:
            self._end(batch)

    def _end(self, batch: "_Batch") -> None:
        """Ends a batch, so that another may begin."""
        if batch.ended:
            return
        batch.ended = True
        if self._last is batch:
            self._last = None
        self._under_way -= 1
        self._flush()

    def _refuse_waiting(self, error: Unavailable) -> None:
        """Refuses all waiting callers: they waited as long as the batch that could not be stored."""
        with contextlib.suppress(IndexError):
            while True:
                _, future = self._waiting.popleft()
                if not future.done():
                    future.set_exception(error)

    async def _one_by_one(self, group: list[Waiting], error: Exception) -> None:
        found = await self._found(group)  # the error may have come after the commit
        for job, future in group:
            if job.job_id in found:
                self._accept(job, future, found)
                continue
            try:
                result = await self._again(job, error)
            except Exception as raised:  # noqa: BLE001 - supervised: this caller's answer
                if not future.done():
                    future.set_exception(raised)
            else:
                if not future.done():
                    future.set_result(result)

    async def _look_for(self, group: list[Waiting], error: Unavailable) -> None:
        """Looks for jobs of a batch whose commit answer may be lost: stored ones are accepted, others refused."""
        found = await self._found(group)
        for job, future in group:
            if job.job_id in found:
                self._accept(job, future, found)
            elif not future.done():
                future.set_exception(error)

    def _accept(self, job: NewJob, future: "asyncio.Future[EnqueueResult]", found: dict[JobId, int]) -> None:
        if not future.done():
            future.set_result(Enqueued(job.job_id, max(found[job.job_id] - 1, 0)))

    async def _found(self, group: list[Waiting]) -> dict[JobId, int]:
        """Finds stored jobs, with how many unsettled jobs there are up to each; none if the store does not answer."""

        def there() -> Unit[dict[JobId, int]]:
            found: dict[JobId, int] = {}
            for job, _ in group:
                row = yield from reads.job(job.org_no, job.job_id, "")
                if row is not None and _same(row, job):
                    found[job.job_id] = yield from reads.ahead(row)
            return found

        try:
            return await asyncio.wait_for(self._database.read(there), POLL_INTERVAL_S)
        except Exception:  # noqa: BLE001 - supervised: callers ask again, and their idempotency keys tell
            return {}

    async def _again(self, job: NewJob, error: Exception) -> EnqueueResult:
        """Enqueues a job alone under a new key: two processes may have made the same one."""
        if isinstance(error, Refusal):
            raise error
        now_us = self._clock.now_us()
        fresh = msgspec.structs.replace(job, job_id=self._ids.make())
        results: list[EnqueueResult] = await self._database.write(enqueue, [fresh], now_us)
        return results[0]


def _same(row: Job, job: NewJob) -> bool:
    """Tells whether a stored job is ours, not one of another process that made the same key."""
    return (row.phone_no, row.chat_id, row.content.body) == (job.phone_no, job.chat_id, job.content.body)


class _Batch:
    """Takes what waits when its unit is first made, at most BATCH; later calls give the same jobs.

    The unit may be made in another thread: jobs are taken one by one, each by one thread only.
    """

    __slots__ = ("_group", "_now_us", "_waiting", "ended")

    def __init__(self, waiting: "deque[Waiting]", clock: Clock) -> None:
        self._waiting = waiting
        self._group: list[Waiting] | None = None
        self.ended = False
        # the time of creation: a batch that is handed in later must not look older than this
        self._now_us = clock.now_us()

    @property
    def filled(self) -> bool:
        """Tells whether filling has begun; later arrivals go into the next batch."""
        return self._group is not None

    def unit(self) -> Unit[list[EnqueueResult]]:
        return enqueue([job for job, _ in self.taken()], self._now_us)

    def taken(self) -> list[Waiting]:
        if self._group is None:
            self._group = []
            with contextlib.suppress(IndexError):
                while len(self._group) < BATCH:
                    self._group.append(self._waiting.popleft())
        return self._group
