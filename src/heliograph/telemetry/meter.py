"""The metrics of `/metrics`.

Promise: counting costs well under 2 µs a message, and never raises. Figures count from the start of this process,
except the backlog, which is read from the store on demand. If the store does not answer or refuses writes,
`heliograph_store_up` is 0 and the other figures remain available.
Known weakness: a restart begins at 0, as Prometheus expects.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from heliograph.domain.errors import Unavailable
from heliograph.ports.meter import Backlog

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
MAX_LABELS = 200  # further values are counted as "other", as labels must not grow with foreign input
_LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600)
_SHORT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_BATCH = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Histogram:
    """A histogram without locks, for one writer thread."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def family(self, name: str, about: str) -> HistogramMetricFamily:
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        buckets = [(one, float(count)) for one, count in zip(names, accumulate(self.counts), strict=True)]
        return HistogramMetricFamily(name, about, buckets=buckets, sum_value=self.total)


class LabelledCounter(dict[tuple[str, ...], int]):
    """A counter for a bounded set of label values."""

    def add(self, labels: tuple[str, ...], count: int = 1) -> None:
        if labels not in self and len(self) >= MAX_LABELS:
            labels = (*labels[:-1], "other")
        self[labels] = self.get(labels, 0) + count

    def family(self, name: str, about: str, labels: Sequence[str]) -> CounterMetricFamily:
        family = CounterMetricFamily(name, about, labels=labels)
        for values, count in list(self.items()):
            family.add_metric(values, count)
        return family


class Meters:
    """A `ports.meter.Meter` whose `render` makes the page."""

    def __init__(self, backlog: Callable[[], Awaitable[Backlog]] | None = None) -> None:
        self._read_backlog = backlog
        self._writes: Callable[[], bool] = lambda: True
        self._accepted = 0
        self._receipts = 0
        self._accept_s = Histogram(_SHORT_S)
        self._wait_s = Histogram(_LATENCY_S)
        self._attempt_s = Histogram(_LATENCY_S)
        self._commit_s = Histogram(_SHORT_S)
        self._commit_units = Histogram(_BATCH)
        self._delivery_s = Histogram(_LATENCY_S)
        self._answers = LabelledCounter()
        self._outcomes = LabelledCounter()
        self._deliveries = LabelledCounter()
        self._leases = LabelledCounter()
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)
        self._backlog: Backlog | None = None

    def accepted(self, jobs: int, seconds: float) -> None:
        self._accepted += jobs
        self._accept_s.add(seconds)

    def answered(self, status: int) -> None:
        self._answers.add((str(status),))

    def started(self, waits_s: Sequence[float]) -> None:
        for wait_s in waits_s:
            self._wait_s.add(wait_s)

    def settled(self, kind: str, reason: str | None, seconds: float) -> None:
        self._outcomes.add((kind, reason or ""))
        self._attempt_s.add(seconds)

    def receipts(self, count: int) -> None:
        self._receipts += count

    def commit(self, seconds: float, units: int) -> None:
        self._commit_s.add(seconds)
        self._commit_units.add(units)

    def delivery(self, outcome: str, seconds: float) -> None:
        self._deliveries.add((outcome,))
        self._delivery_s.add(seconds)

    def lease(self, change: str, phones: int = 1) -> None:
        self._leases.add((change,), phones)

    def watch(self, backlog: Callable[[], Awaitable[Backlog]], writes: Callable[[], bool]) -> None:
        """Sets the source of the backlog, and the check of whether the store accepts writes."""
        self._read_backlog, self._writes = backlog, writes

    async def render(self) -> bytes:
        """Makes the page of `GET /metrics`, of type CONTENT_TYPE."""
        try:
            self._backlog = await self._read_backlog() if self._read_backlog else None
            self._store_up = int(self._writes())
        except Unavailable:
            self._backlog, self._store_up = None, 0
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Yields the metrics; the registry calls it."""
        accepted = CounterMetricFamily("heliograph_accepted", "Messages accepted: committed and synced.")
        accepted.add_metric((), self._accepted)
        yield accepted
        yield self._outcomes.family(
            "heliograph_attempts", "Attempts that ended, by verdict and reason.", ("verdict", "reason")
        )
        receipts = CounterMetricFamily("heliograph_receipts", "Receipts stored.")
        receipts.add_metric((), self._receipts)
        yield receipts
        yield self._answers.family("heliograph_http_answers", "HTTP requests answered, by status.", ("status",))
        yield self._deliveries.family("heliograph_webhook_attempts", "Webhook attempts, by outcome.", ("outcome",))
        yield self._leases.family("heliograph_leases", "Phones taken, released or lost.", ("change",))
        yield self._accept_s.family("heliograph_accept_seconds", "Duration of a send request until its answer.")
        yield self._wait_s.family("heliograph_wait_seconds", "From acceptance, or when it fell due, to the attempt.")
        yield self._attempt_s.family("heliograph_attempt_seconds", "From the start of an attempt to its outcome.")
        yield self._commit_s.family("heliograph_commit_seconds", "Duration of a transaction with its sync.")
        yield self._commit_units.family("heliograph_commit_units", "Requests that shared a transaction.")
        yield self._delivery_s.family("heliograph_webhook_seconds", "Duration of a webhook attempt.")
        yield from self._standing()

    def _standing(self) -> Iterable[Metric]:
        if self._read_backlog is None:
            return
        yield GaugeMetricFamily("heliograph_store_up", "1 = the store answers, and takes writes.", self._store_up)
        now = self._backlog
        if now is None:
            return
        jobs = GaugeMetricFamily("heliograph_jobs", "Jobs that are not settled, by state.", labels=("state",))
        for state in ("waiting", "sending", "uncertain", "scheduled"):
            jobs.add_metric((state,), getattr(now, state))
        yield jobs
        yield GaugeMetricFamily(
            "heliograph_oldest_waiting_seconds", "Age of the oldest waiting job.", now.oldest_waiting_s
        )
        phones = GaugeMetricFamily("heliograph_phones", "Phones, by whether they can send.", labels=("state",))
        phones.add_metric(("connected",), now.phones_connected)
        phones.add_metric(("down",), now.phones_down)
        yield phones
        yield GaugeMetricFamily("heliograph_webhooks_pending", "Deliveries not yet made.", now.webhooks_pending)
