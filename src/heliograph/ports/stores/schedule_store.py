"""Schedules and their runs."""

from collections.abc import Callable
from typing import Protocol

from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Idempotency, KeyReused
from heliograph.domain.schedules.schedule import Occurrence, Schedule


class ScheduleStore(Protocol):
    """Messages that are sent at a time, once or repeatedly."""

    async def create_schedule(self, schedule: Schedule) -> Schedule:
        """Adds a schedule and returns it as stored."""
        ...

    async def create_schedule_once(self, schedule: Schedule, key: Idempotency) -> tuple[Schedule, bool] | KeyReused:
        """Adds a schedule under an idempotency key; returns it, and whether this is a replay."""
        ...

    async def schedule_of_key(self, org_no: int, key: Idempotency) -> Schedule | KeyReused | None:
        """Returns the schedule of an earlier request with this key, deleted or not; None: the key is free."""
        ...

    async def schedule(self, org_no: int, schedule_no: JobId) -> Schedule | None:
        """Reads one schedule; None if it is unknown or deleted."""
        ...

    async def schedules(self, org_no: int, phone_no: int | None, *, limit: int, offset: int) -> list[Schedule]:
        """Lists schedules of a phone or of the whole organisation, newest first."""
        ...

    async def change_schedule(
        self, org_no: int, schedule_no: JobId, how: Callable[[Schedule], Schedule]
    ) -> Schedule | WrongState | None:
        """Stores `how(schedule)`, which is pure and may run again; WrongState: it has ended; None: it is unknown."""
        ...

    async def delete_schedule(self, org_no: int, schedule_no: JobId) -> bool:
        """Deletes a schedule; its jobs stay. Returns False if there is none."""
        ...

    async def occurrences(self, org_no: int, schedule_no: JobId, *, limit: int, offset: int) -> list[Occurrence]:
        """Lists the runs of a schedule, newest first."""
        ...

    async def run_schedules(self) -> tuple[set[int], int | None]:
        """Runs all due schedules, each run exactly once and in its own transaction.

        Returns the phones that got work, and the time (µs) of the next due schedule, None if there is none.
        """
        ...
