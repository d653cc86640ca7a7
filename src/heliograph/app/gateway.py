"""The gateway that `serve` runs: all rooms joined, role by role.

Promise: leaving the block closes everything in the reverse order of its opening, the store last.
"""

import asyncio
import contextlib
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from heliograph.api.app import build_api
from heliograph.api.asgi import ApiApp
from heliograph.api.http.dependencies import ApiDeps, Mount, Readiness, WebhookDeps
from heliograph.api.webhooks.provider_callback import webhook_app
from heliograph.app.database import fleet_wake, open_stores
from heliograph.app.providers import PROVIDERS
from heliograph.app.sender import make_inbox, make_sender, open_providers
from heliograph.app.services import run_every
from heliograph.clock import SystemClock
from heliograph.dashboard.app import Dashboard
from heliograph.domain.accounts.api_key import given_key, new_key
from heliograph.domain.accounts.guess_limit import GuessLimit
from heliograph.domain.accounts.phone import NewPhone, PhoneRow
from heliograph.domain.errors import Refusal
from heliograph.domain.jobs.ids import JobIds, new_phone_id
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.media.folder import MediaFolder
from heliograph.media.prune import prune_media
from heliograph.media.source import MediaSource
from heliograph.ports.logger import Logger
from heliograph.ports.stores.delivery_store import DeliveryStore
from heliograph.ports.wake import Wake
from heliograph.providers import simulator
from heliograph.sender.sender import Sender
from heliograph.sender.services.due_work import run_due_step
from heliograph.sender.services.retention import DAY_US, prune_jobs
from heliograph.settings import Settings
from heliograph.store.account_store import SqlAccountStore
from heliograph.store.database.write_probe import probe_refused_writes
from heliograph.store.metrics import BacklogReader
from heliograph.store.stores import Stores
from heliograph.telemetry.meter import Meters
from heliograph.vault import Vault
from heliograph.webhooks.envelope import sample_body
from heliograph.webhooks.prune import prune_deliveries
from heliograph.webhooks.worker import DeliveryWorker, WorkerOptions


@dataclass(slots=True, kw_only=True)
class Gateway:
    """An opened gateway. `services` by name are to be started; `new_secret` and `login_path` are shown once."""

    api: ApiApp
    sender: Sender | None
    services: dict[str, Any]
    closing: asyncio.Event
    new_secret: str | None
    login_path: str | None


@asynccontextmanager
async def open_gateway(settings: Settings, clock: SystemClock, log: Logger) -> AsyncIterator[Gateway]:
    """Joins all rooms for the roles of this process. Only the store and the network run so far."""
    chance = random.Random(secrets.randbits(64))
    closing = asyncio.Event()
    async with AsyncExitStack() as stack:
        meters = Meters()
        on_commit: list[Callable[[], None]] = []

        def committed(seconds: float, units: int) -> None:
            meters.commit(seconds, units)
            for hint in on_commit:
                hint()

        def every(interval_s: float, step: Callable[[], Any], event: str, **options: Any) -> Any:
            return run_every(clock, interval_s, step, log, event, **options)

        stores = await stack.enter_async_context(open_stores(settings, committed=committed))
        database = stores.database
        meters.watch(BacklogReader(database, clock), lambda: database.write_error is None)
        secret = await _seed(settings, stores.accounts)
        vault = Vault(settings.secret_key)
        media = MediaFolder(settings.media_path)
        fetch = GuardedFetch(clock=clock, allowed=settings.webhook_allow_private)
        stack.push_async_callback(fetch.close)
        providers = await stack.enter_async_context(open_providers(settings, stores, clock, chance))
        probe = partial(probe_refused_writes, database, clock)
        services: dict[str, Any] = {"pulse": every(1.0, probe, "write_probe_failed")}
        days = settings.retention_days
        sender = None
        fleet = fleet_wake(settings, stores, clock)
        wake_inbox: Callable[[Sequence[int]], None] = _no_phones
        if fleet is not None:
            services["wake"] = fleet.run()
        if "sender" in settings.roles:
            files = MediaSource(media, fetch, stores.files.set_file)
            prune_files = partial(prune_media, media, stores.files.needed, clock, days=days)
            services["prune_media"] = every(3600.0, prune_files, "prune_media_failed")
            sender = make_sender(
                settings, stores, clock, meters=meters, chance=chance, providers=providers, vault=vault, files=files,
                fleet=fleet, log=log,
            )  # fmt: skip
            services["sender"] = sender.run()
            inbox = make_inbox(sender, stores.inbox, clock, log)
            services["inbox"] = inbox.run()
            wake_inbox = inbox.wake
            services["prune"] = every(60.0, partial(prune_jobs, stores.maintenance, clock, days=days), "prune_failed")
        wake: Wake = fleet or sender or _NoWake()
        if "sender" in settings.roles:
            feed = partial(
                run_due_step, stores.broadcasts.enqueue_recipients, wake, clock, soonest_s=0.02, latest_s=0.5
            )
            schedule = partial(run_due_step, stores.schedules.run_schedules, wake, clock, soonest_s=0.01, latest_s=1.0)
            services["feeder"] = every(0.5, feed, "feed_failed", wait_first=False)
            services["scheduler"] = every(1.0, schedule, "schedules_failed", wait_first=False)
            services["expiry"] = every(1.0, stores.maintenance.expire_jobs, "expire_failed")
            services["sweeper"] = every(
                300.0,
                lambda: stores.broadcasts.clean_up_broadcasts(clock.now_us() - round(days * DAY_US)),
                "sweep_failed",
                wait_first=False,
            )
        if "api" in settings.roles:
            services["key_uses"] = every(60.0, stores.accounts.write_key_uses, "key_uses_not_written", last_s=1.0)
        worker = None
        if "webhooks" in settings.roles:
            worker = _delivery_worker(settings, stores.deliveries, clock, meters, chance, vault, fetch)
            services["webhooks"] = worker.run()
            prune = partial(prune_deliveries, stores.deliveries, clock, days=days)
            services["prune_webhooks"] = every(60.0, prune, "prune_failed")
            on_commit.append(_from_any_thread(worker.wake))
            if fleet is not None:
                fleet.serve_events(worker.wake)
        elif fleet is not None:
            on_commit.append(_from_any_thread(fleet.stored))
        orgs = await stores.accounts.orgs()
        guesses = GuessLimit()  # one for both doors
        dashboard = Dashboard(
            stores.jobs,
            stores.phones,
            stores.accounts,
            stores.accounts,
            guesses=guesses,
            clock=clock,
            version=version("heliograph"),
            secret_key=settings.secret_key,
            public_url=settings.url,
        )

        async def ready() -> Readiness:
            try:
                await stores.accounts.orgs()
                stored = database.write_error or "ok"
            except Refusal as problem:
                stored = problem.message
            leased = sender is None or sender.ready
            checks = {"database": stored, "sender": "ok" if leased else "not in the fleet yet"}
            return Readiness(stored == "ok" and leased and not closing.is_set(), checks)

        api = build_api(
            ApiDeps(
                jobs=stores.jobs,
                accounts=stores.accounts,
                phones=stores.phones,
                broadcasts=stores.broadcasts,
                schedules=stores.schedules,
                control=stores.control,
                media=media,
                wake=wake,
                clock=clock,
                job_ids=JobIds(clock.now_us),
                provider=providers.get,
                provider_names=tuple(spec.name for spec in PROVIDERS),
                setup=providers.setup,
                pairing_code=_pairing_code,
                secrets=vault,
                ready=ready,
                metrics=meters.render,
                pacing_for=lambda name: _preset(settings, name),
                max_body_bytes=settings.max_body_bytes,
                rate_limit_per_second=settings.rate_limit_per_second,
                closing=closing.is_set,
                meter=meters,
                fetch=fetch,
                webhooks=WebhookDeps(
                    stores.webhooks,
                    vault,
                    sample_body,
                    worker.wake if worker is not None else _nothing,
                ),
                mounts=(
                    *providers.mounts,
                    *_provider_webhooks(stores, vault, clock, wake_inbox),
                ),
                dashboard=dashboard,
                guesses=guesses,
                version=version("heliograph"),
            )
        )
        login = dashboard.login_path(orgs[0].org_no) if orgs else None
        yield Gateway(api=api, sender=sender, services=services, closing=closing, new_secret=secret, login_path=login)


class _NoWake:
    def phones(self, phone_nos: Any) -> None: ...


def _delivery_worker(
    settings: Settings,
    store: DeliveryStore,
    clock: SystemClock,
    meters: Meters,
    chance: random.Random,
    vault: Vault,
    fetch: GuardedFetch,
) -> DeliveryWorker:
    options = WorkerOptions(
        worker=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        alone=settings.sqlite_path is not None,
        schedule=settings.webhook_retry_seconds,
    )
    return DeliveryWorker(store, fetch, clock, lambda: chance.uniform(-1, 1), vault, meters, options)


def _from_any_thread(hint: Callable[[], None]) -> Callable[[], None]:
    """Passes a hint to this event loop: the store's own thread calls it after a commit."""
    loop = asyncio.get_running_loop()

    def pass_on() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(hint)

    return pass_on


def _nothing() -> None: ...


def _no_phones(_phone_nos: Sequence[int]) -> None: ...


def _preset(settings: Settings, provider: str) -> str:
    if settings.pacing != "auto":
        return settings.pacing
    return next((spec.preset for spec in PROVIDERS if spec.name == provider), "linked-new")


def _pairing_code(phone: PhoneRow) -> str | None:
    code = next((spec.pairing_code for spec in PROVIDERS if spec.name == phone.provider), None)
    return code(phone.phone_id) if code is not None else None


def _provider_webhooks(
    stores: Stores, vault: Vault, clock: SystemClock, stored: Callable[[Sequence[int]], None]
) -> list[Mount]:
    hooks = [spec.webhook for spec in PROVIDERS if spec.webhook is not None]
    return [
        Mount(
            hook.path,
            webhook_app(
                hook.receiver(stores.phones, stores.inbox, vault, clock),
                stored=stored,
                signature_header=hook.signature_header,
            ),
        )
        for hook in hooks
    ]


async def _seed(settings: Settings, accounts: SqlAccountStore) -> str | None:
    """Makes the first organisation, key and phone of an empty database, and returns the secret if one was made."""
    key = given_key(settings.api_key) if settings.api_key else new_key()
    phone = None
    if settings.simulator_phone:
        name = simulator.SPEC.name
        pacing = _preset(settings, name)
        phone = NewPhone(0, new_phone_id(), settings.simulator_phone, name, pacing=pacing)
    made = await accounts.seed(key.digest, key.prefix, phone)
    return key.secret if made and not settings.api_key else None
