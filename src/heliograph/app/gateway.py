"""The whole gateway, role by role: what `serve` runs.

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
from importlib.metadata import version
from typing import Any

from heliograph.api.app import build_api
from heliograph.api.asgi import ApiApp
from heliograph.api.http.dependencies import ApiDeps, Mount, Readiness
from heliograph.api.system.key_usage import record_key_usage
from heliograph.api.webhooks.provider_callback import CLOUD_WEBHOOK, cloud_webhook
from heliograph.app.database import fleet_wake, open_store
from heliograph.app.sender import make_inbox, make_sender, open_providers
from heliograph.clock import SystemClock
from heliograph.dashboard.app import Dashboard
from heliograph.domain.accounts.api_key import given_key, new_key
from heliograph.domain.accounts.guess_limit import GuessLimit
from heliograph.domain.errors import Refusal
from heliograph.domain.jobs.ids import JobIds, new_phone_id
from heliograph.domain.jobs.job import NewPhone
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.media.folder import MediaFolder
from heliograph.media.prune import keep_media_pruned
from heliograph.media.source import MediaSource
from heliograph.ports.wake import Wake
from heliograph.providers.cloud import CloudProvider, CloudWebhookReceiver
from heliograph.sender.sender import Sender
from heliograph.sender.services.broadcasts import clean_up_broadcasts, enqueue_broadcasts
from heliograph.sender.services.retention import prune_settled
from heliograph.sender.services.schedules import expire_messages, run_schedules
from heliograph.settings import Settings
from heliograph.store.control_store import ControlStoreUnits
from heliograph.store.database.write_probe import probe_writes
from heliograph.store.delivery_store import OutboxStore
from heliograph.store.job_store import Store
from heliograph.store.media_file_store import FileStore
from heliograph.store.metrics import BacklogReader
from heliograph.store.provider_store import StoredInbox
from heliograph.store.webhook_store import WebhookStore
from heliograph.telemetry.meter import Meters
from heliograph.vault import Vault
from heliograph.webhooks.prune import keep_deliveries_pruned
from heliograph.webhooks.signing_service import webhook_desk
from heliograph.webhooks.worker import DeliveryWorker, WorkerOptions

PRESET_OF = {"simulator": "none", "cloud": "cloud-default"}


@dataclass(slots=True, kw_only=True)
class Gateway:
    """What runs: `services` by name, to be started; `new_secret` and `login_path` are shown once."""

    api: ApiApp
    sender: Sender | None
    services: dict[str, Any]
    closing: asyncio.Event
    new_secret: str | None
    login_path: str | None


@asynccontextmanager
async def open_gateway(settings: Settings, clock: SystemClock, log: Any) -> AsyncIterator[Gateway]:
    """All rooms joined, for the roles of this process; nothing runs yet but the store and the network."""
    chance = random.Random(secrets.randbits(64))
    closing = asyncio.Event()
    async with AsyncExitStack() as stack:
        meters = Meters()
        heard: list[Callable[[], None]] = []  # who wants a hint that something was committed

        def committed(seconds: float, units: int) -> None:
            meters.commit(seconds, units)
            for hear in heard:
                hear()

        store = await stack.enter_async_context(open_store(settings, committed=committed))
        meters.watch(BacklogReader(store.shell, clock), lambda: store.shell.write_error is None)
        secret = await _seed(settings, store)
        vault = Vault(settings.secret_key)
        media = MediaFolder(settings.media_path)
        fetch = GuardedFetch(clock=clock, allowed=settings.webhook_allow_private)
        stack.push_async_callback(fetch.close)
        providers = await stack.enter_async_context(open_providers(settings, store, clock, chance))
        services: dict[str, Any] = {"pulse": probe_writes(store.shell, clock)}
        sender = None
        fleet = fleet_wake(settings, store, clock)
        stored_inbox = StoredInbox(store.shell, JobIds(clock.now_us))
        told_inbox: Callable[[Sequence[int]], None] = _nobody
        if fleet is not None:
            services["wake"] = fleet.run()
        if "sender" in settings.roles:
            stored_files = FileStore(store.shell)
            files = MediaSource(media, fetch, stored_files.fix)
            services["prune_media"] = keep_media_pruned(
                media, stored_files.needed, clock, days=settings.retention_days, log=log.warning
            )
            sender = make_sender(
                settings, store, clock, meters=meters, chance=chance, providers=providers, vault=vault, files=files,
                fleet=fleet, log=log,
            )  # fmt: skip
            services["sender"] = sender.run()
            inbox = make_inbox(sender, stored_inbox, clock, log)
            services["inbox"] = inbox.run()
            told_inbox = inbox.wake
            services["prune"] = prune_settled(store, clock, days=settings.retention_days, log=log.warning)
        wake: Wake = fleet or sender or _NoWake()
        steering = ControlStoreUnits(store.shell, clock, JobIds(clock.now_us))
        if "sender" in settings.roles:
            services["feeder"] = enqueue_broadcasts(steering, wake, clock, log.warning)
            services["scheduler"] = run_schedules(steering, wake, clock, log.warning)
            services["expiry"] = expire_messages(steering, clock, log.warning)
            services["sweeper"] = clean_up_broadcasts(steering, clock, days=settings.retention_days, log=log.warning)
        if "api" in settings.roles:
            services["key_uses"] = record_key_usage(store, clock, log.warning)
        worker = None
        if "webhooks" in settings.roles:
            worker = _delivery_worker(settings, store, clock, meters, chance, vault, fetch)
            services["webhooks"] = worker.run()
            services["prune_webhooks"] = keep_deliveries_pruned(
                OutboxStore(store.shell, clock), clock, days=settings.retention_days
            )
            heard.append(_from_any_thread(worker.wake))
            if fleet is not None:
                fleet.serve_events(worker.wake)
        elif fleet is not None:
            heard.append(_from_any_thread(fleet.stored))
        orgs = await store.orgs()
        guesses = GuessLimit()  # one for both doors
        dashboard = Dashboard(
            store,
            store,
            store,
            guesses=guesses,
            clock=clock,
            version=version("heliograph"),
            secret_key=settings.secret_key,
            public_url=settings.url,
            said=steering.described,
        )

        async def ready() -> Readiness:
            try:
                await store.orgs()
                database = store.shell.write_error or "ok"
            except Refusal as problem:
                database = problem.message
            leased = sender is None or sender.ready
            checks = {"database": database, "sender": "ok" if leased else "not in the fleet yet"}
            return Readiness(database == "ok" and leased and not closing.is_set(), checks)

        api = build_api(
            ApiDeps(
                intake=store,
                accounts=store,
                media=media,
                wake=wake,
                clock=clock,
                job_ids=JobIds(clock.now_us),
                provider=providers.get,
                provider_names=providers.names,
                setup=lambda name: providers.cloud if name == CloudProvider.name else None,
                secrets=vault,
                ready=ready,
                metrics=meters.render,
                pacing_for=lambda name: _preset(settings, name),
                max_body_bytes=settings.max_body_bytes,
                rate_limit_per_second=settings.rate_limit_per_second,
                closing=closing.is_set,
                meter=meters,
                fetch=fetch,
                steering=steering,
                webhooks=webhook_desk(
                    WebhookStore(store.shell, clock), vault, worker.wake if worker is not None else _nothing
                ),
                mounts=(
                    *providers.mounts,
                    Mount(
                        CLOUD_WEBHOOK,
                        cloud_webhook(CloudWebhookReceiver(store, stored_inbox, vault, clock), stored=told_inbox),
                    ),
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
    store: Store,
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
    outbox = OutboxStore(store.shell, clock)
    return DeliveryWorker(outbox, fetch, clock, lambda: chance.uniform(-1, 1), vault, meters, options)


def _from_any_thread(hear: Callable[[], None]) -> Callable[[], None]:
    """Commits are heard of in the store's own thread."""
    loop = asyncio.get_running_loop()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(hear)

    return tell


def _nothing() -> None: ...


def _nobody(_phone_nos: Sequence[int]) -> None: ...


def _preset(settings: Settings, provider: str) -> str:
    return PRESET_OF.get(provider, "linked-new") if settings.pacing == "auto" else settings.pacing


async def _seed(settings: Settings, store: Store) -> str | None:
    """The first organisation, key and phone of an empty database; the secret if one was made."""
    key = given_key(settings.api_key) if settings.api_key else new_key()
    phone = None
    if settings.simulator_phone:
        pacing = _preset(settings, "simulator")
        phone = NewPhone(0, new_phone_id(), settings.simulator_phone, "simulator", pacing=pacing)
    made = await store.seed(key.digest, key.prefix, phone)
    return key.secret if made and not settings.api_key else None
