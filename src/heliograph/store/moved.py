"""Jobs whose state a transaction changed: their history rows, written from the rows as they now stand."""

from heliograph.domain.ids import JobId
from heliograph.store.unit import Unit, batch


class Moved:
    """Gathered for one statement. A job may stand in it once: its row tells the number of its last event only."""

    __slots__ = ("_rows", "at_once")

    def __init__(self) -> None:
        self._rows: list[tuple[int, JobId, str, str, int]] = []
        self.at_once = False

    def add(self, org_no: int, job_id: JobId, kind: str, before: str, token: int, *, at_once: bool = False) -> None:
        """`at_once`: to be written before anything else happens to the job."""
        self._rows.append((org_no, job_id, kind, before, token))
        self.at_once |= at_once

    def write(self, now_us: int) -> Unit[None]:
        rows, self._rows, self.at_once = self._rows, [], False
        yield from batch("events_moved", rows, now=now_us)
