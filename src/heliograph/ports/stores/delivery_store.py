"""Deliveries as the webhook worker needs them: fan-out, claim, settle, retention."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt, EventSource, SigningKeyRow
from heliograph.ports.stores.maintenance_store import PrunePlace


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery to make. `body`: the bytes of an earlier attempt. `wanted` False: its hook was disabled or deleted."""

    delivery: Delivery
    url: str
    wanted: bool
    body: str | None
    story: EventSource


@dataclass(frozen=True, slots=True)
class DeliveryBatch:
    """Consecutive deliveries of one claimed stream, to make in order. `probing`: the endpoint has an open circuit."""

    org_no: int
    endpoint_no: int
    stream: str
    claim: int
    items: tuple[ClaimedDelivery, ...]
    probing: bool = False

    @property
    def parked(self) -> bool:
        return self.stream.startswith("#")


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """One delivery of a batch after an attempt. `state` pending: it is tried again after `wait_s`.

    `park`: outside its stream. `attempt` None: cancelled without an attempt. `body`: the bytes of a failed first
    attempt, which every later one sends again.
    """

    delivery: Delivery
    state: str
    attempt: DeliveryAttempt | None
    body: str | None = None
    wait_s: float | None = None
    park: bool = False


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Result of a batch. `delivered` and `failed` count attempts; `gone`: the receiver answered 410."""

    batch: DeliveryBatch
    done: tuple[DeliveryResult, ...]
    delivered: int
    failed: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for up to `streams` batches of one endpoint."""

    org_no: int
    endpoint_no: int
    streams: int


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """Claimed batches, with the signing keys of their organisations. `lost`: batches that another worker took over."""

    runs: list[DeliveryBatch]
    keys: dict[int, SigningKeyRow]
    lost: int = 0
    disabled: list[str] = field(default_factory=list)


class DeliveryStore(Protocol):
    """Deliveries of all organisations. Any number of workers may call it. Endpoints are (org_no, endpoint_no)."""

    async def fan_out(self, limit: int) -> list[tuple[int, int]]:
        """Turns events into deliveries, up to `limit` of each organisation in a step; returns the endpoints."""
        ...

    async def due(self) -> list[tuple[int, int]]:
        """Lists endpoints with a delivery to make now, after it has ended the waits that are over."""
        ...

    async def settle_and_claim(
        self,
        worker: str,
        finished: Sequence[BatchResult],
        wants: Sequence[ClaimRequest],
        *,
        at_once: int,
        probe_s: float,
    ) -> ClaimResult:
        """Settles ended batches and claims new ones, of at most `at_once` deliveries each, in one transaction.

        `probe_s`: the first wait of an open circuit.
        """
        ...

    async def join(self, worker: str, *, alive_s: float, alone: bool) -> None:
        """Counts a worker as alive for `alive_s` more, and frees the claims of dead ones in steps.

        `alone`: there is no other worker, so all other claims are free at once.
        """
        ...

    async def leave(self, worker: str) -> None:
        """Frees the claims of a worker, in steps."""
        ...

    async def prune_deliveries(self, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
        """Looks at up to `limit` deliveries and deletes the ended ones that are older than `before_us`.

        Returns the number of deleted ones and the next place; None: that was all.
        """
        ...

    async def give_up(self, disabled_before_us: int, limit: int) -> int:
        """Cancels up to `limit` deliveries of each endpoint that was disabled before then; 0: none is left."""
        ...

    async def prune_org_events(self, before_us: int, limit: int) -> None:
        """Deletes up to `limit` old organisation events of each organisation that no delivery reports."""
        ...
