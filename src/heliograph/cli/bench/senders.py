"""The case `senders`: a fleet on one PostgreSQL, drained by 1, 2 and 4 sender processes.

What counts is the database's time for a message: it must not rise when more senders share the phones.
"""

import asyncio
import time
from importlib.resources import files
from pathlib import Path

import aiohttp
import asyncpg

from heliograph.cli.bench.gateway import Gateway, gateway
from heliograph.cli.prove.processes import Program, ProofFailed, environment, free_port, running

FLEETS = (1, 2, 4)
LIMIT_S = 300.0


async def drained_by(folder: Path, server: str, *, senders: int, phones: int, jobs: int) -> tuple[float, float]:
    """(messages a second, milliseconds of the database for each message)."""
    port = free_port()
    journal = ["-m", "heliograph.cli.main", "simulator", "--port", str(port), "--journal", str(folder / "network.db")]
    network = Program("simulator", journal, port, {}, folder, probe="/simulator/messages?limit=1")
    async with (
        aiohttp.ClientSession() as http,
        running([network], http),
        gateway(folder / "api", server, ROLES="api", SIMULATOR_URL=network.url) as api,
    ):
        numbers = await api.phones(phones)
        await _offline(http, network, True)
        fleet = [_sender(n, api, folder) for n in range(senders)]
        async with running(fleet, http), asyncio.timeout(LIMIT_S):
            await api.send(numbers, count=jobs)
            await _shared(api, senders)
            before = await _database_ms(api)
            began = time.monotonic()
            await _offline(http, network, False)
            while (health := await api.health())["completed"] < jobs:
                if health["failed"]:
                    raise ProofFailed(f"the queue did not drain: {health}")
                await asyncio.sleep(0.05)
            took_s = time.monotonic() - began
            await asyncio.sleep(1.5)  # backends report their time when they are idle
            return jobs / took_s, (await _database_ms(api) - before) / jobs


def _sender(number: int, api: Gateway, folder: Path) -> Program:
    port = free_port()
    arguments = ["-m", "heliograph.cli.main", "serve", "--port", str(port)]
    place = folder / f"sender-{number}"
    place.mkdir()
    return Program(f"sender-{number}", arguments, port, {**api.program.settings, "ROLES": "sender"}, place, probe=None)


async def _offline(http: aiohttp.ClientSession, network: Program, off: bool) -> None:
    faults = {"offline": off, "receipts": False}
    async with http.put(f"{network.url}/simulator/faults", json=faults) as answer:
        if answer.status != 200:
            raise ProofFailed(f"the simulated network answered {answer.status} to its faults")


async def _shared(api: Gateway, senders: int) -> None:
    """Until each sender owns its part of the phones."""
    connection = await asyncpg.connect(_url(api))
    try:
        while True:
            owned = await connection.fetch(_query("shares"))
            counts = [row["phones"] for row in owned if row["owner"] is not None]
            if len(counts) == senders == len(owned) and max(counts) - min(counts) <= 1:
                return
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def _database_ms(api: Gateway) -> float:
    connection = await asyncpg.connect(_url(api))
    try:
        found: float = await connection.fetchval(_query("active_time"))
        return found
    finally:
        await connection.close()


def _query(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text()


def _url(api: Gateway) -> str:
    return environment(api.program.settings)["HELIOGRAPH_DATABASE_URL"]


async def senders(folder: Path, server: str | None, *, phones: int, jobs: int) -> dict[str, float]:
    if server is None:
        return {}
    folder.mkdir()
    figures: dict[str, float] = {}
    for count in FLEETS:
        place = folder / f"fleet-{count}"
        place.mkdir()
        rate, cost_ms = await drained_by(place, server, senders=count, phones=phones, jobs=jobs)
        figures[f"{count}: drained/s"] = rate
        figures[f"{count}: database ms/message"] = cost_ms
    return figures
