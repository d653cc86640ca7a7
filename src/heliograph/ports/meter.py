"""Counters and timings that the rooms report for an operator. Counting must never fail nor wait.

Each verb is called from one thread only (the event loop; `commit` from the store's writer), so none takes a lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Backlog:
    """Gauges of the store over all organisations, read from counters and one index probe.

    `oldest_waiting_s`: age of the oldest job that waits (0.0 = nothing waits).
    """

    waiting: int = 0
    sending: int = 0
    uncertain: int = 0
    scheduled: int = 0
    oldest_waiting_s: float = 0.0
    phones_connected: int = 0
    phones_down: int = 0
    webhooks_pending: int = 0


class Meter(Protocol):
    def accepted(self, jobs: int, seconds: float) -> None:
        """Jobs committed for one request, and how long the request took from its first byte to its answer."""
        ...

    def answered(self, status: int) -> None:
        """One HTTP request was answered with this status."""
        ...

    def started(self, waits_s: Sequence[float]) -> None:
        """Attempts begun, each with the time since its job was accepted or became due."""
        ...

    def settled(self, kind: str, reason: str | None, seconds: float) -> None:
        """One attempt ended: the verdict's kind (sent, retry, failed …), its reason code, and the attempt's length."""
        ...

    def receipts(self, count: int) -> None: ...

    def commit(self, seconds: float, units: int) -> None:
        """One transaction was written and synced, holding this many requests."""
        ...

    def delivery(self, outcome: str, seconds: float) -> None:
        """One webhook attempt ended: delivered, retry, dead …"""
        ...

    def lease(self, change: str, phones: int = 1) -> None:
        """Phones taken, released or lost by this process."""
        ...


class NoMetrics:
    """Counts nothing: for tests and one-off commands."""

    def accepted(self, jobs: int, seconds: float) -> None: ...

    def answered(self, status: int) -> None: ...

    def started(self, waits_s: Sequence[float]) -> None: ...

    def settled(self, kind: str, reason: str | None, seconds: float) -> None: ...

    def receipts(self, count: int) -> None: ...

    def commit(self, seconds: float, units: int) -> None: ...

    def delivery(self, outcome: str, seconds: float) -> None: ...

    def lease(self, change: str, phones: int = 1) -> None: ...
