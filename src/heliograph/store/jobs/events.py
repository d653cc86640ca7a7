"""The buffer of job events of one transaction, written from the rows of the jobs as they are by then."""

from heliograph.domain.jobs.ids import JobId
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query


class JobEventBuffer:
    """Collects events for few queries. A job may be in it once: its row has the number of its last event only.

    `started` and plain `sent` events: on PostgreSQL the queries that change the jobs write these themselves.
    """

    __slots__ = ("_others", "sent", "started")

    def __init__(self) -> None:
        self.started: list[tuple[JobId]] = []
        self.sent: list[tuple[JobId]] = []
        self._others: list[tuple[int, JobId, str, str, int]] = []

    def add(self, org_no: int, job_id: JobId, kind: str, before: str, token: int) -> None:
        """Adds an event with a reason; it must be written before anything else happens to the job."""
        self._others.append((org_no, job_id, kind, before, token))

    def settled(self, now_us: int) -> Unit[None]:
        rows, self._others = self._others, []
        yield from query(named.events_settled(rows, now=now_us))

    def write(self, now_us: int) -> Unit[None]:
        sent, self.sent = self.sent, []
        yield from query(named.events_sent(sent, now=now_us))
        started, self.started = self.started, []
        yield from query(named.events_started(started, now=now_us))
