"""The dependencies that `app/` hands to the API: everything it knows of other rooms."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from heliograph.domain.accounts.guess_limit import GuessLimit
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.webhooks.webhook import WebhookRow
from heliograph.ports.clock import Clock
from heliograph.ports.fetch import Fetch
from heliograph.ports.media import MediaStore
from heliograph.ports.meter import Meter, NoMetrics
from heliograph.ports.provider import Provider, Setup
from heliograph.ports.secrets import Secrets
from heliograph.ports.stores.account_store import AccountStore
from heliograph.ports.stores.broadcast_store import BroadcastStore
from heliograph.ports.stores.control_store import ControlStore
from heliograph.ports.stores.job_store import JobStore
from heliograph.ports.stores.phone_store import PhoneStore
from heliograph.ports.stores.schedule_store import ScheduleStore
from heliograph.ports.stores.webhook_store import WebhookStore
from heliograph.ports.wake import Wake

AsgiApp = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Result of a readiness check. `checks`: its parts in plain words, such as {"database": "ok"}."""

    ready: bool
    checks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mount:
    """Another room's ASGI app under `path` (it sees the whole path).

    `provider`: the app is that provider's simulated network, only for holders of an API key. The part of it that the
    caller may see is `scope["heliograph.share"]` (ports.simulated_network.DeviceScope).
    """

    path: str
    app: AsgiApp
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookDeps:
    """Dependencies of the webhook routes.

    `secrets` seals signing keys. `sample_body(hook, now_us)`: a test. `wake`: a hint to this process's worker.
    """

    store: WebhookStore
    secrets: Secrets
    sample_body: Callable[[WebhookRow, int], str]
    wake: Callable[[], None]


def no_pairing_code(_phone: PhoneRow) -> str | None:
    """Default: no phone is paired by a code."""
    return None


def no_setup(_provider: str) -> Setup | None:
    """Default: no provider needs credentials."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDeps:
    """Dependencies of all routes.

    `fetch` None: media by url is refused. `provider` returns None for an unknown name. `pacing_for(provider)`: the
    preset of a new phone. `pairing_code(phone)`: the text of its QR code, if it has one. `setup(provider)`: how a phone
    with credentials is made and checked; `secrets` seals them. `metrics` renders the page of /metrics. `closing()`: the
    process is about to stop, so long waits end now.
    """

    jobs: JobStore
    accounts: AccountStore
    phones: PhoneStore
    broadcasts: BroadcastStore
    schedules: ScheduleStore
    control: ControlStore
    media: MediaStore
    wake: Wake
    clock: Clock
    job_ids: JobIds
    provider: Callable[[str], Provider | None]
    provider_names: tuple[str, ...]
    ready: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], Awaitable[bytes]]
    pacing_for: Callable[[str], str]
    max_body_bytes: int
    rate_limit_per_second: int
    closing: Callable[[], bool]
    meter: Meter = field(default_factory=NoMetrics)
    fetch: Fetch | None = None
    setup: Callable[[str], Setup | None] = no_setup
    secrets: Secrets | None = None
    webhooks: WebhookDeps | None = None
    pairing_code: Callable[[PhoneRow], str | None] = no_pairing_code
    mounts: tuple[Mount, ...] = ()
    dashboard: AsgiApp | None = None
    guesses: GuessLimit = field(default_factory=GuessLimit)
    version: str = "0"
