"""The case `senders`: a fleet on one PostgreSQL, drained by 1, 2 and 4 sender processes.

What counts is what a message costs the database: it must not rise when more senders share the phones. Shown is the
processor time of the server's backends (`/proc`, where it runs on this machine), and beside it the time PostgreSQL
says its backends were active: that one also counts waiting for a lock, a disk, or a core that others use, so it rises
with any load on a small machine.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import aiohttp
import asyncpg

from heliograph.cli.bench.target import BenchTarget, gateway
from heliograph.cli.prove.processes import Program, ProofFailed, environment, free_port, running

FLEETS = (1, 2, 4)
LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Spent:
    """By the database so far. `processor_ms` None: its processes are not to be seen from here."""

    processor_ms: float | None
    active_ms: float
    transactions: int


async def drained_by(folder: Path, server: str, *, senders: int, phones: int, jobs: int) -> dict[str, float]:
    """Messages a second, and what each cost the database."""
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
            before = await _spent(api)
            began = time.monotonic()
            await _offline(http, network, False)
            while (health := await api.health())["completed"] < jobs:
                if health["failed"]:
                    raise ProofFailed(f"the queue did not drain: {health}")
                await asyncio.sleep(0.05)
            took_s = time.monotonic() - began
            await asyncio.sleep(1.5)  # backends report their time when they are idle
            after = await _spent(api)
            figures = {"drained/s": jobs / took_s}
            if before.processor_ms is not None and after.processor_ms is not None:
                figures["processor ms/message"] = (after.processor_ms - before.processor_ms) / jobs
            figures["active ms/message"] = (after.active_ms - before.active_ms) / jobs
            figures["messages/transaction"] = jobs / max(after.transactions - before.transactions, 1)
            return figures


def _sender(number: int, api: BenchTarget, folder: Path) -> Program:
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


async def _shared(api: BenchTarget, senders: int) -> None:
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


async def _spent(api: BenchTarget) -> Spent:
    connection = await asyncpg.connect(_url(api))
    try:
        backends = await connection.fetch(_query("backends"))
        spent = await connection.fetchrow(_query("spent"))
        local = all(row["here"] for row in backends)
        processor_ms = _processor_ms([row["pid"] for row in backends]) if local else None
        return Spent(processor_ms, spent["active_time"], spent["xact_commit"])
    finally:
        await connection.close()


def _processor_ms(pids: Iterable[int]) -> float | None:
    """Processor time of these processes; None if they are none of PostgreSQL's on this machine."""
    ticks = 0
    with contextlib.suppress(OSError):
        for pid in pids:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            if not name.partition("(")[2].startswith("postgres"):
                return None
            words = rest.split()  # from the third field on, the state
            ticks += int(words[11]) + int(words[12])
        return ticks * 1000 / os.sysconf("SC_CLK_TCK")
    return None


def _query(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text()


def _url(api: BenchTarget) -> str:
    return environment(api.program.settings)["HELIOGRAPH_DATABASE_URL"]


async def senders(folder: Path, server: str | None, *, phones: int, jobs: int) -> dict[str, float]:
    if server is None:
        return {}
    folder.mkdir()
    figures: dict[str, float] = {}
    for count in FLEETS:
        place = folder / f"fleet-{count}"
        place.mkdir()
        found = await drained_by(place, server, senders=count, phones=phones, jobs=jobs)
        figures |= {f"{count}: {name}": figure for name, figure in found.items()}
    for name in ("processor ms/message", "active ms/message"):
        if f"1: {name}" in figures:
            figures |= {f"{n} ÷ 1: {name}": figures[f"{n}: {name}"] / figures[f"1: {name}"] for n in FLEETS[1:]}
    return figures
