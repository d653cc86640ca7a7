"""Composition: the only place where the rooms meet. Nothing is decided here, everything is joined.

Promise: `serve` either works or raises CannotStart with one line; on SIGTERM it stops accepting and starting, waits at
most 2 s for what is in flight, hands its phones over, and returns 0.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvicorn

from heliograph.api.deps import ApiDeps, Mount, Readiness
from heliograph.api.http import build_api
from heliograph.clock import SystemClock
from heliograph.dashboard.app import Dashboard
from heliograph.domain.api_key import given_key, new_key
from heliograph.domain.errors import CannotStart, Refusal
from heliograph.domain.ids import JobIds, new_phone_id
from heliograph.domain.job import NewPhone, PhoneRow
from heliograph.domain.pacing import PRESETS, Policy, parse_policy
from heliograph.domain.verdict import Limits
from heliograph.egress.fetch import GuardedFetch
from heliograph.media.folder import MediaFolder
from heliograph.media.source import MediaSource
from heliograph.ports.intake import Accounts
from heliograph.ports.network import Network
from heliograph.ports.provider import Provider
from heliograph.ports.wake import Wake
from heliograph.providers.simulator import Nowhere, SimulatorProvider
from heliograph.providers.simulator_link import open_remote_network
from heliograph.sender.engine import Sender, SenderDeps
from heliograph.sender.feeder import keep_fed, keep_swept
from heliograph.sender.prune import keep_pruned
from heliograph.sender.scheduler import keep_expired, keep_scheduled
from heliograph.settings import Settings
from heliograph.simulator.asgi import simulator_asgi
from heliograph.simulator.network import open_network
from heliograph.store.backlog import BacklogReader
from heliograph.store.files import FileStore
from heliograph.store.outbox import OutboxStore
from heliograph.store.postgresql import PostgresShell
from heliograph.store.replays import WebhookStore
from heliograph.store.sqlite import SqliteShell
from heliograph.store.steering import SteeringStore
from heliograph.store.store import Shell, Store
from heliograph.store.transfer import Moved, transfer
from heliograph.store.wake import PostgresWake
from heliograph.telemetry.logs import set_up_logs
from heliograph.telemetry.meter import Meters
from heliograph.vault import Vault
from heliograph.webhooks.desk import webhook_desk
from heliograph.webhooks.prune import keep_deliveries_pruned
from heliograph.webhooks.worker import DeliveryWorker, WorkerOptions

PRESET_OF = {"simulator": "none", "cloud": "cloud-default"}
GRACE_S = 2
# the writer thread takes the interpreter back after each statement: by default it would wait 5 ms each time
SWITCH_S = 0.0005


Committed = Callable[[float, int], None]  # seconds, units


def _shell(settings: Settings, committed: Committed, clock: SystemClock, *, lock: bool) -> Shell:
    if settings.sqlite_path is not None:
        return SqliteShell(str(settings.sqlite_path), committed, clock.monotonic, lock=lock)
    return PostgresShell(settings.database_url, committed, clock.monotonic)


@asynccontextmanager
async def open_store(
    settings: Settings, *, committed: Committed | None = None, migrate: bool = True, lock: bool = True
) -> AsyncIterator[Store]:
    """The store, its schema up to date. Raises CannotStart."""
    clock = SystemClock()
    shell = _shell(settings, committed or Meters().commit, clock, lock=lock)
    await shell.open(migrate=migrate)
    try:
        yield Store(shell, clock, JobIds(clock.now_us))
    finally:
        await shell.close()


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[Accounts]:
    """For `keys` and `orgs`: works beside a running server."""
    async with open_store(settings, lock=False) as store:
        yield store


async def check_store(settings: Settings) -> str:
    """For `doctor`: one line about a database that can be opened."""
    async with open_store(settings, migrate=False, lock=False) as store:
        phones, orgs = await store.phones(None), await store.orgs()
    return f"{settings.database_label}: {len(orgs)} organisations, {len(phones)} phones"


async def move_store(path: Path, url: str, told: Callable[[Moved], None]) -> Sequence[Moved]:
    """For `migrate --from --to`: a whole SQLite installation to an empty PostgreSQL database. Raises CannotStart."""
    if not await asyncio.to_thread(path.exists):
        raise CannotStart(f"There is no database file {path}.")
    clock, meters = SystemClock(), Meters()
    old = SqliteShell(str(path), meters.commit, clock.monotonic)
    new = PostgresShell(url, meters.commit, clock.monotonic)
    await old.open()
    try:
        await new.open()
        try:
            return await transfer(new, path=str(path), told=told)
        finally:
            await new.close()
    finally:
        await old.close()


async def serve(settings: Settings) -> int:
    """The whole server, until SIGTERM or SIGINT."""
    set_up_logs(settings.log_level, settings.log_format)
    log = structlog.get_logger("heliograph")
    clock = SystemClock()
    sys.setswitchinterval(SWITCH_S)
    listener = _listen(settings) if "api" in settings.roles else None
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(_gateway(settings, clock, log))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = _Server(running.api) if listener is not None else None
        services = [asyncio.create_task(work, name=name) for name, work in running.services.items()]
        if server is not None and listener is not None:
            services.append(asyncio.create_task(server.serve(sockets=[listener]), name="http"))
            _say_where(settings, listener, running)
        ending = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([ending, *services], return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in services if task.done() and not task.cancelled() and task.exception()]
        running.closing.set()
        if server is not None:
            server.should_exit = True
        if running.sender is not None:
            await running.sender.stop()
        with contextlib.suppress(TimeoutError):
            http = [task for task in services if task.get_name() == "http"]
            await asyncio.wait_for(asyncio.gather(*http, return_exceptions=True), GRACE_S + 2)
        for task in [ending, *services]:
            task.cancel()
        await asyncio.gather(ending, *services, return_exceptions=True)
        for task in failed:
            log.error("service_failed", service=task.get_name(), error=repr(task.exception()))
        log.info("stopped")
    return 1 if failed else 0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: stopping is ours."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                date_header=True,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=75,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Is another server running there? Choose another with --port."
        ) from None
    listener.setblocking(False)
    return listener


@dataclass(slots=True, kw_only=True)
class _Running:
    api: Any
    sender: Sender | None
    services: dict[str, Any]
    closing: asyncio.Event
    new_secret: str | None
    login_path: str | None


@asynccontextmanager
async def _gateway(settings: Settings, clock: SystemClock, log: Any) -> AsyncIterator[_Running]:
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
        meters.watch(BacklogReader(store.shell, clock))
        secret = await _seed(settings, store)
        vault = Vault(settings.secret_key)
        media = MediaFolder(settings.media_path)
        fetch = GuardedFetch(clock=clock, allowed=settings.webhook_allow_private)
        stack.push_async_callback(fetch.close)
        network, mounts = await stack.enter_async_context(_network(settings, clock, chance))
        providers: dict[str, Provider] = {
            "simulator": SimulatorProvider(network, clock, ack_timeout_s=settings.ack_timeout_seconds)
        }
        for provider in providers.values():
            stack.push_async_callback(provider.shutdown)
        services: dict[str, Any] = {}
        sender = None
        fleet = None
        if settings.sqlite_path is None:
            fleet = PostgresWake(settings.wake_database_url or settings.database_url, store.shell, clock)
            services["wake"] = fleet.run()
        if "sender" in settings.roles:
            files = MediaSource(media, fetch, FileStore(store.shell).fix)
            sender = Sender(_sender_deps(settings, store, clock, meters, chance, providers, vault, files, fleet, log))
            if fleet is not None:
                fleet.serve(sender, sender.owned.__contains__)
            services["sender"] = sender.run()
            services["prune"] = keep_pruned(store, clock, days=settings.retention_days, log=log.warning)
        wake: Wake = fleet or sender or _NoWake()
        steering = SteeringStore(store.shell, clock, JobIds(clock.now_us))
        if "sender" in settings.roles:
            services["feeder"] = keep_fed(steering, wake, clock, log.warning)
            services["scheduler"] = keep_scheduled(steering, wake, clock, log.warning)
            services["expiry"] = keep_expired(steering, clock, log.warning)
            services["sweeper"] = keep_swept(steering, clock, days=settings.retention_days, log=log.warning)
        worker = None
        if "webhooks" in settings.roles:
            worker = _delivery_worker(settings, store, clock, meters, chance, vault, fetch)
            services["webhooks"] = worker.run()
            services["prune_webhooks"] = keep_deliveries_pruned(
                OutboxStore(store.shell, clock), clock, days=settings.retention_days
            )
            heard.append(_from_any_thread(worker.wake))
        orgs = await store.orgs()
        dashboard = Dashboard(
            store,
            store,
            clock=clock,
            version=version("heliograph"),
            secret_key=settings.secret_key,
            public_url=settings.url,
        )

        async def ready() -> Readiness:
            try:
                await store.orgs()
                database = "ok"
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
                provider_names=tuple(providers),
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
                mounts=mounts,
                dashboard=dashboard,
                version=version("heliograph"),
            )
        )
        login = dashboard.login_path(orgs[0].org_no) if orgs else None
        yield _Running(api=api, sender=sender, services=services, closing=closing, new_secret=secret, login_path=login)


@asynccontextmanager
async def _network(
    settings: Settings, clock: SystemClock, chance: random.Random
) -> AsyncIterator[tuple[Network, tuple[Mount, ...]]]:
    """The simulated network: in the process that sends, or the one that all share at HELIOGRAPH_SIMULATOR_URL."""
    if "sender" not in settings.roles:
        yield Nowhere(), ()
        return
    if settings.simulator_url is not None:
        async with (
            aiohttp.ClientSession() as session,
            open_remote_network(settings.simulator_url, session, clock) as remote,
        ):
            yield remote, ()
        return
    async with open_network(settings.journal_path, clock, chance, receipts=settings.simulator_receipts) as inside:
        yield inside, (Mount("/simulator", simulator_asgi(inside), bearer=True),)


async def _alone() -> None:
    """Nobody else waits for phones."""


class _NoWake:
    def phones(self, phone_nos: Any) -> None: ...


def _sender_deps(
    settings: Settings,
    store: Store,
    clock: SystemClock,
    meters: Meters,
    chance: random.Random,
    providers: Mapping[str, Provider],
    vault: Vault,
    files: MediaSource,
    fleet: PostgresWake | None,
    log: Any,
) -> SenderDeps:
    def config(row: PhoneRow) -> Mapping[str, object]:
        opened: dict[str, object] = json.loads(vault.open(row.config, about=row.phone_id) or "{}")
        return opened

    return SenderDeps(
        store=store,
        clock=clock,
        meter=meters,
        chance=chance,
        limits=Limits(settings.max_retries, settings.retry_base_seconds, settings.ack_timeout_seconds),
        lease_s=settings.lease_seconds,
        owner=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        sole=settings.sqlite_path is not None,
        shards=1 if settings.sqlite_path is not None else 2,
        org_per_second=settings.org_messages_per_second,
        provider=providers.get,
        policy=policy_of,
        config=config,
        prepare=files.prepare,
        freed=fleet.freed if fleet is not None else _alone,
        log=log.info,
    )


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


def policy_of(row: PhoneRow) -> Policy:
    """A preset by its name, or the phone's own policy as JSON."""
    return PRESETS[row.pacing] if row.pacing in PRESETS else parse_policy(json.loads(row.pacing))


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


def _say_where(settings: Settings, listener: socket.socket, running: _Running) -> None:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = settings.url or f"http://{host}:{port}"
    out = [f"Heliograph {version('heliograph')} listens on {url}"]
    if running.login_path:
        out.append(f"  page      {url}{running.login_path}   (once, within 15 minutes)")
    if running.new_secret:
        out.append(f"  API key   {running.new_secret}   (shown once: keep it)")
    out.append(f"  API       {url}/docs")
    print("\n".join(out), file=sys.stderr, flush=True)
