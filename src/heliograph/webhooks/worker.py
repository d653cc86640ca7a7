"""The delivery worker: fans events out, posts what is due in order, writes down what came of it.

Promise: each event reaches every hook that wanted it at least once, always under the same id; within a chat in order
while the receiver takes them. Killed at any moment, what was under way is claimed again and sent with the same id.
Weakness: an endpoint that hangs holds its own few slots for up to 15 s each, until its circuit opens.

              wake ─► fan out ─► active endpoints ─┐
   sweep (due waits, probes) ──────────────────────┤
                                                    ▼
   finished runs ───────────────────────► move: settle + claim (one transaction) ─► runs, a task each
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
from heliograph.ports.webhook_store import BatchResult, ClaimRequest, DeliveryBatch, DeliveryStore, about_keys
from heliograph.webhooks.batch_runner import Runner
from heliograph.webhooks.envelope import Envelopes
from heliograph.webhooks.signing import SigningKeys

PER_ENDPOINT = 8  # streams of one endpoint on their way at once
IN_FLIGHT = 1024  # of all endpoints: more than many that hang can hold
MAX_CONCURRENT = 8  # deliveries of a stream claimed together
FAN_OUT = 500  # events of an organisation turned into deliveries in one transaction
SWEEP_S = 0.25
MIN_PAUSE_S = 0.005  # between two fan-outs, so that events gather
IDLE_BREATH_S = 0.02  # after one that found nothing: most commits are none of ours
ALIVE_S = 15.0
HEARTBEATS_PER_LEASE = 4  # while one lasts
GRACE_S = 2.0  # what is on its way at shutdown may still end
LEASE_MARGIN = 0.15  # of the time we count as alive: we stop before others take over
RETRY_S = 1.0  # after the store could not answer

_log = structlog.get_logger("webhooks")
Place = tuple[int, int]  # org_no, endpoint_no


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`alone`: no other worker can be alive on this store (SQLite), so what was claimed is free at start."""

    worker: str
    alone: bool
    schedule: Sequence[float] = SCHEDULE_S
    per_endpoint: int = PER_ENDPOINT
    in_flight: int = IN_FLIGHT
    alive_s: float = ALIVE_S


class DeliveryWorker:
    """A service: `run` until cancelled. `wake` is a hint that events were committed; it may be lost."""

    def __init__(
        self,
        outbox: DeliveryStore,
        fetch: Fetch,
        clock: Clock,
        jitter: Callable[[], float],
        secrets: Secrets,
        meter: Meter,
        options: WorkerOptions,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._secrets = secrets
        self._options = options
        self._events = asyncio.Event()
        self._work = asyncio.Event()
        self._active: dict[Place, int] = {}  # may have work; with the time, in steps, at which that was heard
        self._step = 0
        self._flying: dict[Place, int] = {}
        self._finished: list[BatchResult] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive_until = 0.0
        self._opened: dict[tuple[int, str], str] = {}
        self._probe_s = min(PROBE_FIRST_S, options.schedule[0]) if options.schedule else PROBE_FIRST_S
        self._runner = Runner(fetch, clock, jitter, Envelopes(), meter, options.schedule, self._alive)

    def wake(self) -> None:
        self._events.set()

    async def run(self) -> None:
        await self._heartbeat()
        try:
            async with asyncio.TaskGroup() as group:
                for loop in (self._beat_again, self._fan_out, self._sweep, self._claim_and_settle):
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
        await self._outbox.join(self._options.worker, alive_s=alive_s, alone=self._options.alone)
        self._alive_until = began + alive_s * (1 - LEASE_MARGIN)

    async def _beat_again(self) -> None:
        await self._clock.sleep(self._options.alive_s / HEARTBEATS_PER_LEASE)
        await self._heartbeat()

    async def _fan_out(self) -> None:
        await self._events.wait()
        self._events.clear()
        fed = await self._outbox.fan_out(FAN_OUT)
        self._activate(fed)
        await self._clock.sleep(MIN_PAUSE_S if fed else IDLE_BREATH_S)

    async def _sweep(self) -> None:
        self._events.set()
        self._activate(await self._outbox.due())
        await self._clock.sleep(SWEEP_S)

    def _activate(self, places: Sequence[Place]) -> None:
        if places:
            self._step += 1
            self._active.update(dict.fromkeys(places, self._step))
            self._work.set()

    async def _claim_and_settle(self) -> None:
        await self._work.wait()
        self._work.clear()
        wants, asked = self._wants(), self._step
        finished, self._finished = self._finished, []
        if not finished and not wants:
            return
        try:
            moved = await self._outbox.move(
                self._options.worker, finished, wants, at_once=MAX_CONCURRENT, probe_s=self._probe_s
            )
        except (Unavailable, asyncio.CancelledError):
            self._finished = finished + self._finished  # to be written down at the next try
            self._work.set()
            raise
        except Exception:
            await self._one_by_one(finished)
            raise
        started: dict[Place, int] = {}
        for run in moved.runs:
            place = (run.org_no, run.endpoint_no)
            started[place] = started.get(place, 0) + 1
            self._start(run, self._signing(run.org_no, moved.keys[run.org_no]))
        for want in wants:
            place = (want.org_no, want.endpoint_no)
            # unless more was heard of while we asked
            if started.get(place, 0) < want.streams and self._active[place] <= asked:
                del self._active[place]
        for url in moved.disabled:
            _log.warning("endpoint_disabled", host=url.split("/")[2])  # a path may hold a secret
        if moved.disabled:
            self._events.set()

    async def _one_by_one(self, finished: Sequence[BatchResult]) -> None:
        """A defect in one of them must not hold up the others: it alone stays claimed, until the next start."""
        for each in finished:
            try:
                await self._outbox.move(self._options.worker, [each], [], at_once=1, probe_s=self._probe_s)
            except Unavailable:
                self._finished.append(each)
            except Exception:  # noqa: BLE001  supervised: told, and left out
                _log.exception("delivery_not_settled", stream=each.batch.endpoint_no)
        self._work.set()

    def _wants(self) -> list[ClaimRequest]:
        """Free slots of the endpoints that may have work, and of those whose runs just ended."""
        self._activate([(each.batch.org_no, each.batch.endpoint_no) for each in self._finished])
        self._work.clear()
        left = self._options.in_flight - sum(self._flying.values())
        wants = []
        for org_no, endpoint_no in sorted(self._active, key=lambda place: self._flying.get(place, 0)):
            free = min(self._options.per_endpoint - self._flying.get((org_no, endpoint_no), 0), left)
            if free > 0:
                wants.append(ClaimRequest(org_no, endpoint_no, free))
                left -= free
        return wants

    def _signing(self, org_no: int, keys: SigningKeyRow) -> SigningKeys:
        previous = None if keys.previous is None else self._open(org_no, keys.previous)
        return SigningKeys(self._open(org_no, keys.current), previous, keys.switch_at_us)

    def _open(self, org_no: int, sealed: str) -> str:
        opened = self._opened.get((org_no, sealed))
        if opened is None:
            opened = self._opened[org_no, sealed] = self._secrets.open(sealed, about=about_keys(org_no))
        return opened

    def _start(self, run: DeliveryBatch, keys: SigningKeys) -> None:
        place = (run.org_no, run.endpoint_no)
        self._flying[place] = self._flying.get(place, 0) + 1
        task = asyncio.get_running_loop().create_task(self._deliver_batch(run, keys))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_batch(self, run: DeliveryBatch, keys: SigningKeys) -> None:
        finished = await self._runner.deliver(run, keys)
        place = (run.org_no, run.endpoint_no)
        self._flying[place] -= 1
        if not self._flying[place]:
            del self._flying[place]
        self._finished.append(finished)
        self._work.set()

    async def _shut_down(self) -> None:
        """What is on its way may end, for a moment; then its claims are given up for the next worker."""
        self._runner.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            await self._outbox.move(self._options.worker, self._finished, [], at_once=1, probe_s=self._probe_s)
            await self._outbox.leave(self._options.worker)
        except Unavailable as error:
            _log.warning("store_away", step="leave", error=error.message)
