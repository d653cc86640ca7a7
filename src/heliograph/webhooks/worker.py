"""Delivery worker: fans events out, posts due deliveries in order, and settles them.

Promise: each event reaches every subscribed webhook at least once, always under the same id, and in order within a chat
while the receiver accepts them. After a crash, deliveries in flight are claimed again and sent with the same id.
Known weakness: an endpoint that hangs holds its own few slots for up to 15 s each, until its circuit opens.

              wake ─► fan out ─► active endpoints ─┐
   sweep (due waits, probes) ──────────────────────┤
                                                    ▼
   finished batches ────────────────────► move: settle + claim (one transaction) ─► batches, a task each
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from heliograph.domain.errors import Unavailable
from heliograph.domain.webhooks.retry_policy import PROBE_FIRST_S, SCHEDULE_S
from heliograph.domain.webhooks.webhook import SigningKeyRow
from heliograph.ports.clock import Clock
from heliograph.ports.fetch import Fetch
from heliograph.ports.meter import Meter
from heliograph.ports.secrets import Secrets
from heliograph.ports.stores.delivery_store import BatchResult, ClaimRequest, DeliveryBatch, DeliveryStore
from heliograph.ports.stores.webhook_store import about_keys
from heliograph.webhooks.batch_runner import Runner
from heliograph.webhooks.envelope import Envelopes
from heliograph.webhooks.signing import SigningKeys

PER_ENDPOINT = 8  # streams of one endpoint in flight
IN_FLIGHT = 1024  # streams of all endpoints; more than many hanging endpoints can hold
MAX_CONCURRENT = 8  # deliveries of a stream claimed together
FAN_OUT = 500  # events of an organisation turned into deliveries in one transaction
SWEEP_S = 0.25
MIN_PAUSE_S = 0.005  # between two fan-outs, so that events collect
IDLE_PAUSE_S = 0.02  # after an empty fan-out, as most commits hold no events
ALIVE_S = 15.0
HEARTBEATS_PER_LEASE = 4  # per lease
GRACE_S = 2.0  # for batches in flight at shutdown
LEASE_MARGIN = 0.15  # of the lease; posting stops this much before others may take over
RETRY_S = 1.0  # after a failed call of the store

_log = structlog.get_logger("webhooks")
Endpoint = tuple[int, int]  # org_no, endpoint_no


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options of a worker. `alone`: no other worker shares the store (SQLite), so all claims are free at start."""

    worker: str
    alone: bool
    schedule: Sequence[float] = SCHEDULE_S
    per_endpoint: int = PER_ENDPOINT
    in_flight: int = IN_FLIGHT
    alive_s: float = ALIVE_S


class DeliveryWorker:
    """A service: `run` until cancelled. `wake` is a hint about committed events; it may be lost."""

    def __init__(
        self,
        store: DeliveryStore,
        fetch: Fetch,
        clock: Clock,
        jitter: Callable[[], float],
        secrets: Secrets,
        meter: Meter,
        options: WorkerOptions,
    ) -> None:
        self._store = store
        self._clock = clock
        self._secrets = secrets
        self._options = options
        self._events = asyncio.Event()
        self._work = asyncio.Event()
        self._active: dict[Endpoint, int] = {}  # endpoints that may have work, with the step of the last hint
        self._step = 0
        self._in_flight: dict[Endpoint, int] = {}
        self._finished: list[BatchResult] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive_until = 0.0
        self._opened: dict[tuple[int, str], str] = {}
        self._probe_s = min(PROBE_FIRST_S, options.schedule[0]) if options.schedule else PROBE_FIRST_S
        self._runner = Runner(fetch, clock, jitter, Envelopes(), meter, options.schedule, self._alive)

    def wake(self) -> None:
        self._events.set()

    async def run(self) -> None:
        while not await self._joined():
            await self._clock.sleep(RETRY_S)
        try:
            async with asyncio.TaskGroup() as group:
                for loop in (self._heartbeat_later, self._fan_out, self._sweep, self._claim_and_settle):
                    group.create_task(self._supervised(loop), name=f"webhooks.{loop.__name__}")
        finally:
            await self._shut_down()

    def _alive(self) -> bool:
        return self._clock.monotonic() < self._alive_until

    async def _supervised(self, step: Callable[[], Awaitable[None]]) -> None:
        name = getattr(step, "__name__", "")
        while True:
            try:
                await step()
            except Unavailable as error:
                _log.warning("store_away", step=name, error=error.message)
                await self._clock.sleep(RETRY_S)
            except Exception:  # noqa: BLE001  supervised: a defect must not stop the deliveries for good
                _log.exception("webhook_worker_failed", step=name)
                await self._clock.sleep(RETRY_S)

    async def _heartbeat(self) -> None:
        began = self._clock.monotonic()
        alive_s = self._options.alive_s
        await self._store.join(self._options.worker, alive_s=alive_s, alone=self._options.alone)
        self._alive_until = began + alive_s * (1 - LEASE_MARGIN)

    async def _joined(self) -> bool:
        try:
            await self._heartbeat()
        except Unavailable as error:
            _log.warning("store_away", step="join", error=error.message)
            return False
        return True

    async def _heartbeat_later(self) -> None:
        await self._clock.sleep(self._options.alive_s / HEARTBEATS_PER_LEASE)
        await self._heartbeat()

    async def _fan_out(self) -> None:
        await self._events.wait()
        self._events.clear()
        endpoints = await self._store.fan_out(FAN_OUT)
        self._activate(endpoints)
        await self._clock.sleep(MIN_PAUSE_S if endpoints else IDLE_PAUSE_S)

    async def _sweep(self) -> None:
        self._events.set()
        self._activate(await self._store.due())
        await self._clock.sleep(SWEEP_S)

    def _activate(self, endpoints: Sequence[Endpoint]) -> None:
        if endpoints:
            self._step += 1
            self._active.update(dict.fromkeys(endpoints, self._step))
            self._work.set()

    async def _claim_and_settle(self) -> None:
        await self._work.wait()
        self._work.clear()
        requests, step = self._claim_requests(), self._step
        finished, self._finished = self._finished, []
        if not finished and not requests:
            return
        try:
            claimed = await self._store.settle_and_claim(
                self._options.worker, finished, requests, at_once=MAX_CONCURRENT, probe_s=self._probe_s
            )
        except (Unavailable, asyncio.CancelledError):
            self._finished = finished + self._finished  # settled by the next call
            self._work.set()
            raise
        except Exception:
            await self._one_by_one(finished)
            raise
        started: dict[Endpoint, int] = {}
        for batch in claimed.runs:
            endpoint = (batch.org_no, batch.endpoint_no)
            started[endpoint] = started.get(endpoint, 0) + 1
            self._start(batch, self._signing(batch.org_no, claimed.keys[batch.org_no]))
        for request in requests:
            endpoint = (request.org_no, request.endpoint_no)
            # unless a hint came during the call
            if started.get(endpoint, 0) < request.streams and self._active[endpoint] <= step:
                del self._active[endpoint]
        for url in claimed.disabled:
            _log.warning("endpoint_disabled", host=url.split("/")[2])  # a path may hold a secret
        if claimed.disabled:
            self._events.set()

    async def _one_by_one(self, finished: Sequence[BatchResult]) -> None:
        """Settles the results separately, so that only one with a defect stays claimed until the next start."""
        for result in finished:
            try:
                await self._store.settle_and_claim(self._options.worker, [result], [], at_once=1, probe_s=self._probe_s)
            except Unavailable:
                self._finished.append(result)
            except Exception:  # noqa: BLE001  supervised: logged, and left out
                _log.exception("delivery_not_settled", stream=result.batch.endpoint_no)
        self._work.set()

    def _claim_requests(self) -> list[ClaimRequest]:
        """Returns the free slots of active endpoints, and of those whose batches just ended."""
        self._activate([(result.batch.org_no, result.batch.endpoint_no) for result in self._finished])
        self._work.clear()
        left = self._options.in_flight - sum(self._in_flight.values())
        requests = []
        for org_no, endpoint_no in sorted(self._active, key=lambda endpoint: self._in_flight.get(endpoint, 0)):
            free = min(self._options.per_endpoint - self._in_flight.get((org_no, endpoint_no), 0), left)
            if free > 0:
                requests.append(ClaimRequest(org_no, endpoint_no, free))
                left -= free
        return requests

    def _signing(self, org_no: int, keys: SigningKeyRow) -> SigningKeys:
        previous = None if keys.previous is None else self._open(org_no, keys.previous)
        return SigningKeys(self._open(org_no, keys.current), previous, keys.switch_at_us)

    def _open(self, org_no: int, sealed: str) -> str:
        opened = self._opened.get((org_no, sealed))
        if opened is None:
            opened = self._opened[org_no, sealed] = self._secrets.open(sealed, about=about_keys(org_no))
        return opened

    def _start(self, batch: DeliveryBatch, keys: SigningKeys) -> None:
        endpoint = (batch.org_no, batch.endpoint_no)
        self._in_flight[endpoint] = self._in_flight.get(endpoint, 0) + 1
        task = asyncio.get_running_loop().create_task(self._deliver_batch(batch, keys))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_batch(self, batch: DeliveryBatch, keys: SigningKeys) -> None:
        finished = await self._runner.deliver(batch, keys)
        endpoint = (batch.org_no, batch.endpoint_no)
        self._in_flight[endpoint] -= 1
        if not self._in_flight[endpoint]:
            del self._in_flight[endpoint]
        self._finished.append(finished)
        self._work.set()

    async def _shut_down(self) -> None:
        """Waits a moment for batches in flight, then releases their claims for the next worker."""
        self._runner.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            await self._store.settle_and_claim(
                self._options.worker, self._finished, [], at_once=1, probe_s=self._probe_s
            )
            await self._store.leave(self._options.worker)
        except Unavailable as error:
            _log.warning("store_away", step="leave", error=error.message)
