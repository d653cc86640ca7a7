"""Jobs whose state a transaction changed: their history rows, written from the rows as they now stand."""

from heliograph.domain.ids import JobId
from heliograph.store.unit import Unit, batch

_Row = tuple[int, JobId, str, str, int]


class Moved:
    """Gathered for few statements. A job may stand in it once: its row tells the number of its last event only.

    `plain`: started, or simply sent. On PostgreSQL the statements that do that write these events themselves.
    """

    __slots__ = ("_others", "plain")

    def __init__(self) -> None:
        self.plain: list[_Row] = []
        self._others: list[_Row] = []

    def add(self, org_no: int, job_id: JobId, kind: str, before: str, token: int) -> None:
        """An event with a reason. To be written before anything else happens to the job."""
        self._others.append((org_no, job_id, kind, before, token))

    def settled(self, now_us: int) -> Unit[None]:
        rows, self._others = self._others, []
        yield from batch("events_moved", rows, now=now_us)

    def write(self, now_us: int) -> Unit[None]:
        rows, self.plain = self.plain, []
        yield from batch("events_plain", rows, now=now_us)
