"""Jobs whose state a transaction changed: their history rows, written from the rows as they now stand."""

from heliograph.domain.jobs.ids import JobId
from heliograph.store.database.unit import Unit, query_batch


class JobEventBuffer:
    """Gathered for few statements. A job may stand in it once: its row tells the number of its last event only.

    `started`, and `sent` with nothing to remark: on PostgreSQL the statements that do it write their events themselves.
    """

    __slots__ = ("_others", "sent", "started")

    def __init__(self) -> None:
        self.started: list[tuple[JobId]] = []
        self.sent: list[tuple[JobId]] = []
        self._others: list[tuple[int, JobId, str, str, int]] = []

    def add(self, org_no: int, job_id: JobId, kind: str, before: str, token: int) -> None:
        """An event with a reason. To be written before anything else happens to the job."""
        self._others.append((org_no, job_id, kind, before, token))

    def settled(self, now_us: int) -> Unit[None]:
        rows, self._others = self._others, []
        yield from query_batch("events_moved", rows, now=now_us)

    def write(self, now_us: int) -> Unit[None]:
        sent, self.sent = self.sent, []
        yield from query_batch("events_sent", sent, now=now_us)
        started, self.started = self.started, []
        yield from query_batch("events_started", started, now=now_us)
