"""The simulator's cases for the contract: the network in this process, and over a socket."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from heliograph.clock import SystemClock
from heliograph.ports.provider import Phone, SendRequest, SessionState
from heliograph.ports.simulated_network import Network
from heliograph.providers.simulator.provider import SimulatorProvider
from heliograph.providers.simulator.remote_network import open_remote_network
from heliograph.simulator.journal_reads import messages
from heliograph.simulator.network import SimulatedNetwork, open_network
from heliograph.simulator.server import simulator_server
from tests.kit.provider import ProviderCase, RecordingSink
from tests.kit.until import until

_CHATS = {"accepted": "00", "notsent": "10", "rejected": "40", "throttled": "13", "sessiondown": "81", "unknown": "64"}


@asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[ProviderCase]:
    opened = open_network(folder / "network.db", SystemClock(), random.Random(1))
    async with opened as network, _case(network, network) as case:
        yield case


@asynccontextmanager
async def over_a_socket(folder: Path) -> AsyncIterator[ProviderCase]:
    clock = SystemClock()
    server = simulator_server("127.0.0.1", 0, folder / "network.db", clock=clock, chance=random.Random(1))
    async with (
        server as (url, network),
        aiohttp.ClientSession() as session,
        open_remote_network(url, session, clock) as remote,
        _case(remote, network) as case,
    ):
        yield case


@asynccontextmanager
async def _case(network: Network, real: SimulatedNetwork) -> AsyncIterator[ProviderCase]:
    provider = SimulatorProvider(network, SystemClock(), ack_timeout_s=0.5)

    async def prepare(kind: str) -> str:
        return f"120255501{_CHATS[kind]}@c.us"

    async def shown(request: SendRequest) -> int:
        rows = await real.journal.call(lambda db: messages(db, chat_id=request.chat_id, number=None, limit=1000))
        return sum(row["shown"] for row in rows if row["message_id"] == request.unique_id)

    phone = Phone(1, "phone-contract", "919876543210", "simulator")
    case = ProviderCase(provider, phone, RecordingSink(), prepare, shown, unhonoured="12025550166@c.us")
    await provider.open(phone, case.sink)
    await until(lambda: case.sink.state() is SessionState.CONNECTED)
    yield case
    await provider.shutdown()
