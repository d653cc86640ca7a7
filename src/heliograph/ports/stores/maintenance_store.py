"""Upkeep of the queue: expiry and retention, in steps between which others may write."""

from typing import Protocol

PrunePlace = tuple[int, int]  # org_no, number of a row: rows before it were looked at
PRUNE_FROM: PrunePlace = (0, 0)


class MaintenanceStore(Protocol):
    """Chores that any number of processes may do at the same time."""

    async def expire_jobs(self) -> int:
        """Ends waiting jobs of all organisations that are past their `expires_at`, and returns their number."""
        ...

    async def prune_jobs(self, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
        """Looks at up to `limit` jobs older than `before_us`, and deletes the settled ones that are fully reported.

        Returns the number of deleted jobs and the next place; None: that was all.
        """
        ...

    async def prune_rest(self, before_us: int, day_ago_us: int) -> None:
        """Deletes idempotency keys and unmatched receipts older than `day_ago_us`, and older inbound messages.

        Finishes the removal of deleted phones that a crash interrupted.
        """
        ...
