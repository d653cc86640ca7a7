"""Jobs as the API and the dashboard need them: enqueue, find, list, explain, cancel."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from heliograph.domain.explain.explanation import Explanation
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import (
    Enqueued,
    EnqueueResult,
    Event,
    Idempotency,
    Job,
    KeyReused,
    NewJob,
    QueueCounts,
)


class JobStore(Protocol):
    """Messages on their way."""

    def enqueue(self, job: NewJob) -> Awaitable[EnqueueResult]:
        """Stores one message (TX1): idempotency key, sequence number, counters, row and event.

        Concurrent calls share a commit. Raises Invalid for a bulk message to a chat on the suppression list.
        """
        ...

    async def replay(self, org_no: int, key: Idempotency) -> Enqueued | KeyReused | None:
        """Returns the first answer to a request with this idempotency key; None: the key is free."""
        ...

    async def job(self, org_no: int, handle: str) -> Job | None:
        """Finds a job by queue_id, unique_id, message_id or the provider's id. O(1).

        A message_id with another chat or author finds nothing; to a group it may leave out the author.
        """
        ...

    async def quotable(self, org_no: int, phone_no: int, handle: str) -> str | None:
        """Returns the present message_id of a message that this phone sent or received, or None. O(1).

        `handle`: any id that `job` takes, or the message_id or bare id of an inbound message.
        """
        ...

    async def jobs(self, org_no: int, phone_no: int | None, *, limit: int = 2000, offset: int = 0) -> list[Job]:
        """Lists the jobs of a phone or of the whole organisation, newest first."""
        ...

    async def history(self, org_no: int, job_id: JobId) -> list[Event]:
        """Lists the events of a job, oldest first."""
        ...

    async def health(self, org_no: int, phone_no: int | None) -> QueueCounts:
        """Reads the queue counters of a phone or of the whole organisation, without a scan."""
        ...

    async def health_of_phones(self, org_no: int) -> dict[int, QueueCounts]:
        """Reads the queue counters by phone_no, with uncertain jobs. A phone that never sent may be absent."""
        ...

    async def explain(self, job: Job, *, in_flight: int = 1) -> Explanation:
        """Says why a job waits and when it may go. `in_flight`: sends of the phone at once."""
        ...

    async def explain_many(self, jobs: Sequence[Job]) -> list[str]:
        """Returns a sentence for each job of one organisation, in a bounded number of queries."""
        ...

    async def purge(
        self,
        org_no: int,
        phone_no: int | None,
        *,
        job_ids: Sequence[JobId] | None = None,
        broadcast_id: str | None = None,
        actor: str = "api",
    ) -> list[JobId]:
        """Cancels what has not started, and returns the ids that it cancelled. Works in steps.

        Without `job_ids` and `broadcast_id`: everything that waits. Nothing that may have been sent is cancelled.
        """
        ...
