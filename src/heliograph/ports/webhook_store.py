"""Store verbs for webhooks, for the API and the delivery worker. Every verb is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.webhooks.webhook import (
    Delivery,
    DeliveryAttempt,
    EventSource,
    HookPatch,
    NewHook,
    SigningKeyRow,
    WebhookRow,
)


class WebhookStore(Protocol):
    async def create_hooks(
        self, org_no: int, hooks: Sequence[NewHook], first_key: str, idempotency: Idempotency | None = None
    ) -> tuple[list[WebhookRow], bool] | None:
        """All or none, and whether it is a replay. None: the idempotency key stands for another request.

        `first_key` becomes the signing key of an organisation that has none.
        """
        ...

    async def hooks(self, org_no: int) -> list[WebhookRow]: ...

    async def hook(self, org_no: int, hook_id: str) -> WebhookRow | None: ...

    async def update_hook(self, org_no: int, hook_id: str, patch: HookPatch) -> WebhookRow | None: ...

    async def delete_hook(self, org_no: int, hook_id: str) -> bool: ...

    async def signing_keys(self, org_no: int, first_key: str) -> SigningKeyRow:
        """The organisation's keys; made of `first_key` where there are none."""
        ...

    async def rotate_key(self, org_no: int, new_key: str, *, first_key: str, overlap_us: int) -> SigningKeyRow: ...

    async def deliveries(
        self, hook: WebhookRow, *, state: str | None = None, below: int | None = None, limit: int = 100
    ) -> list[Delivery]:
        """Newest first."""
        ...

    async def delivery(self, org_no: int, no: int) -> tuple[Delivery, str | None, list[DeliveryAttempt]] | None:
        """With its attempts, and its body as it was sent if that had to be kept for another try."""
        ...

    async def replay(self, org_no: int, no: int) -> bool:
        """To be tried again at once, with its own id and bytes. False: unknown, or on its way anyway."""
        ...

    async def replay_many(self, hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int) -> int:
        """Queues dead deliveries again and gives their number. Works in steps; each step is one transaction."""
        ...

    async def add_test(self, hook: WebhookRow, body: str) -> Delivery:
        """A delivery beside all streams; `body` lacks its id: `{delivery_id}` stands for it."""
        ...


def about_keys(org_no: int) -> str:
    """Gives the context to which the sealed signing keys of an organisation are bound."""
    return f"webhooks of {org_no}"


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery to be made. `body`: the bytes of an earlier attempt. `wanted` False: its hook wants no more."""

    delivery: Delivery
    url: str
    wanted: bool
    body: str | None
    story: EventSource


@dataclass(frozen=True, slots=True)
class DeliveryBatch:
    """Consecutive deliveries of one claimed stream, to be made in order. `probing`: the endpoint was failing."""

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
    """One delivery of a run after an attempt. `state` pending: to be tried again after `wait_s`.

    `park`: beside its stream. `attempt` None: cancelled without one.
    `body`: of a first attempt that failed; every later one sends the same.
    """

    delivery: Delivery
    state: str
    attempt: DeliveryAttempt | None
    body: str | None = None
    wait_s: float | None = None
    park: bool = False


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Result of a batch. `delivered` and `failed` count attempts; `gone`: the receiver said 410."""

    batch: DeliveryBatch
    done: tuple[DeliveryResult, ...]
    delivered: int
    failed: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    org_no: int
    endpoint_no: int
    streams: int


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """`keys`: of the organisations of these runs. `lost`: runs whose claim another worker has taken over."""

    runs: list[DeliveryBatch]
    keys: dict[int, SigningKeyRow]
    lost: int = 0
    disabled: list[str] = field(default_factory=list)


PrunePlace = tuple[int, int]  # org_no, number of a delivery: what stands before was looked at
PRUNE_FROM: PrunePlace = (0, 0)


class DeliveryStore(Protocol):
    async def fan_out(self, limit: int) -> list[tuple[int, int]]:
        """Turns up to `limit` events of each organisation into deliveries; gives the endpoints that got some."""
        ...

    async def due(self) -> list[tuple[int, int]]:
        """(org_no, endpoint_no) with something to deliver now. Promotes waits that are over."""
        ...

    async def move(
        self,
        worker: str,
        finished: Sequence[BatchResult],
        wants: Sequence[ClaimRequest],
        *,
        at_once: int,
        probe_s: float,
    ) -> ClaimResult:
        """Settles what ended and claims what may start, `at_once` deliveries a stream, in one transaction.

        `probe_s`: the first wait of an open circuit.
        """
        ...

    async def join(self, worker: str, *, alive_s: float, alone: bool) -> None:
        """A worker is alive for `alive_s` more. `alone`: it is the only one; what others claimed is free at once."""
        ...

    async def leave(self, worker: str) -> None:
        """Gives up its claims."""
        ...

    async def prune_deliveries(self, before_us: int, limit: int, place: PrunePlace) -> tuple[int, PrunePlace | None]:
        """Looks at up to `limit` deliveries and removes those that have ended and are older. Gives how many went, and
        where to go on; None: that was all.
        """
        ...

    async def give_up(self, disabled_before_us: int, limit: int) -> int:
        """Cancels up to `limit` deliveries of each endpoint that was disabled before then. 0 = done."""
        ...

    async def prune_org_events(self, before_us: int, limit: int) -> None:
        """Removes up to `limit` old ones of each organisation that no delivery has to tell of."""
        ...
