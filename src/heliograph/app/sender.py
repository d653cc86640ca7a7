"""The sending half: the simulated network, the providers, the sender and its inbox."""

import json
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from heliograph.api.http.dependencies import Mount
from heliograph.app.providers import PROVIDERS
from heliograph.clock import SystemClock
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.verdict import Limits
from heliograph.domain.pacing.next_start import PRESETS, Policy, parse_policy
from heliograph.media.source import MediaSource
from heliograph.ports.logger import Logger
from heliograph.ports.provider import Phone, Provider, Setup
from heliograph.ports.provider_inbox import ProviderInbox, ProviderUpdate
from heliograph.ports.simulated_network import Network
from heliograph.providers import simulator
from heliograph.providers.simulator.provider import Nowhere
from heliograph.providers.simulator.remote_network import open_remote_network
from heliograph.providers.spec import OpenProvider, ProviderContext
from heliograph.sender.deps import SenderDeps
from heliograph.sender.provider_inbox import InboxService
from heliograph.sender.sender import Sender
from heliograph.settings import Settings
from heliograph.simulator.asgi import simulator_asgi
from heliograph.simulator.network import open_network
from heliograph.store.stores import Stores
from heliograph.telemetry.meter import Meters
from heliograph.vault import Vault

if TYPE_CHECKING:
    from heliograph.store.notify import PostgresWake


@dataclass(frozen=True, slots=True)
class Providers:
    """All providers at work, by name. `mounts`: HTTP apps of the simulated network in this process."""

    by_name: Mapping[str, OpenProvider]
    mounts: tuple[Mount, ...]

    def get(self, name: str) -> Provider | None:
        opened = self.by_name.get(name)
        return opened.provider if opened is not None else None

    def setup(self, name: str) -> Setup | None:
        opened = self.by_name.get(name)
        return opened.setup if opened is not None else None


@asynccontextmanager
async def open_providers(
    settings: Settings, stores: Stores, clock: SystemClock, chance: random.Random
) -> AsyncIterator[Providers]:
    async with AsyncExitStack() as stack:
        network, mounts = await stack.enter_async_context(_network(settings, clock, chance))
        context = ProviderContext(settings=settings, clock=clock, uploads=stores.uploads, network=network)
        opened = {spec.name: await stack.enter_async_context(spec.open(context)) for spec in PROVIDERS}
        yield Providers(opened, mounts)


@asynccontextmanager
async def _network(
    settings: Settings, clock: SystemClock, chance: random.Random
) -> AsyncIterator[tuple[Network, tuple[Mount, ...]]]:
    """Opens the simulated network in this process, or connects to the shared one at HELIOGRAPH_SIMULATOR_URL."""
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
        yield inside, (Mount("/simulator", simulator_asgi(inside), provider=simulator.SPEC.name),)


async def _no_notice() -> None:
    """Does nothing, as a single process has no other sender to notify."""


def make_sender(
    settings: Settings,
    stores: Stores,
    clock: SystemClock,
    *,
    meters: Meters,
    chance: random.Random,
    providers: Providers,
    vault: Vault,
    files: MediaSource,
    fleet: "PostgresWake | None",
    log: Logger,
) -> Sender:
    def config(row: PhoneRow) -> Mapping[str, object]:
        opened: dict[str, object] = json.loads(vault.open(row.config, about=row.phone_id) or "{}")
        return opened

    deps = SenderDeps(
        store=stores.sender,
        leases=stores.leases,
        clock=clock,
        meter=meters,
        chance=chance,
        limits=Limits(settings.max_retries, settings.retry_base_seconds, settings.ack_timeout_seconds),
        lease_s=settings.lease_seconds,
        owner=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        sole=settings.sqlite_path is not None,
        loops=1 if settings.sqlite_path is not None else 2,  # more on SQLite only make smaller transactions
        has_backpressure=stores.jobs.has_backpressure,
        org_per_second=settings.org_messages_per_second,
        provider=providers.get,
        policy=policy_of,
        config=config,
        prepare=files.prepare,
        freed=fleet.freed if fleet is not None else _no_notice,
        hold=lambda org_no, phone_no, why: stores.control.pause_phone(org_no, phone_no, "gateway", why),
        approve_after_s=settings.approve_after_seconds,
        log=log,
        log_attempts=settings.log_level == "debug",
    )
    sender = Sender(deps)
    if fleet is not None:
        fleet.serve(sender, sender.owned.__contains__)
    return sender


def make_inbox(sender: Sender, stored: ProviderInbox, clock: SystemClock, log: Logger) -> InboxService:
    """Applies webhooks of providers to the phones of this process."""
    readers = {spec.name: spec.webhook.reader() for spec in PROVIDERS if spec.webhook is not None}

    def owned() -> Sequence[tuple[int, Phone]]:
        return [(o.row.org_no, o.phone) for o in sender.owned.values() if o.row.provider in readers]

    def read(phone: Phone, payload: bytes, received_at_us: int) -> ProviderUpdate:
        return readers[phone.provider](phone, payload, received_at_us)

    return InboxService(stored, sender.events, read, owned=owned, clock=clock, log=log)


def policy_of(row: PhoneRow) -> Policy:
    """Returns a preset by its name, or the phone's own policy from JSON."""
    return PRESETS[row.pacing] if row.pacing in PRESETS else parse_policy(row.pacing)
