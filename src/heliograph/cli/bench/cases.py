"""Measurements: accept, drain, latency, and the cost of a backlog. Each ends with a check that the work was done."""

import asyncio
import random
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from heliograph.cli.bench import senders as fleets
from heliograph.cli.bench import slow_receiver as beside
from heliograph.cli.bench import webhooks as told
from heliograph.cli.bench.target import BenchTarget, gateway
from heliograph.cli.prove.processes import ProofFailed

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Size:
    """Amounts of a measurement; `small` is for a quick look and for tests."""

    seconds: float = 5.0
    warm_up_s: float = 1.0
    jobs: int = 20_000
    phones: int = 100
    backlog: int = 100_000
    samples: int = 400
    latency_s: float = 10.0
    latency_rate: float = 50.0


SMALL = Size(seconds=1, warm_up_s=0.2, jobs=500, phones=5, backlog=1000, samples=30, latency_s=1)


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98] if len(values) > 1 else values[0]


async def accept(folder: Path, server: str | None, size: Size) -> Figures:
    """Sends a second over 64 connections, each on disk before its answer, while the sender works as always."""
    async with gateway(folder, server) as target:
        phones = await target.phones(1)
        await target.send(phones, seconds=size.warm_up_s)
        load = await target.send(phones, seconds=size.seconds)
        health = await target.health()
        if sum(health.values()) < target.sent:
            raise ProofFailed(f"{target.sent} sends were answered with 200, but the queues hold {health}")
        took = list(load.took_ms)
        return {"accepted/s": load.per_s, "p50 ms": median(took), "p99 ms": p99(took), "RSS MB": target.rss_mb()}


async def drain(folder: Path, server: str | None, size: Size) -> Figures:
    """Waiting messages of many phones, each started durably and settled; a network without delay and receipts."""
    async with gateway(folder, server, SIMULATOR_RECEIPTS="off") as target:
        phones = await target.phones(size.phones)
        await target.offline(True)
        await target.send(phones, count=size.jobs)
        began = time.monotonic()
        await target.offline(False)
        limit = began + 300
        while (health := await target.health())["completed"] < size.jobs:
            if time.monotonic() > limit or health["failed"]:
                raise ProofFailed(f"the queue did not drain: {health}")
            await asyncio.sleep(0.02)
        return {"drained/s": size.jobs / (time.monotonic() - began), "RSS MB": target.rss_mb()}


async def latency(folder: Path, server: str | None, size: Size) -> Figures:
    """From the request to its answer, and to the moment the network took the message, at an easy rate."""
    began: dict[str, int] = {}
    answered: list[float] = []
    async with gateway(folder, server) as target:
        (phone,) = await target.phones(1)
        for n in range(int(size.latency_s * size.latency_rate)):
            at = time.time_ns() // 1000
            body = {"chat_id": f"4477009{n % 300:05d}@c.us", "message": f"number {n}"}
            told = await target.call("POST", "/v1/message/send", body, phone=phone)
            took_us = time.time_ns() // 1000 - at
            began[told["unique_id"]] = at
            answered.append(took_us / 1000)
            await asyncio.sleep(max(0.0, 1 / size.latency_rate - took_us / 1e6))
        await _drained(target, len(began))
    arrived = _arrivals(folder)
    if missing := began.keys() - arrived.keys():
        raise ProofFailed(f"{len(missing)} messages never arrived")
    network = [(arrived[name] - at) / 1000 for name, at in began.items()][len(began) // 10 :]
    return {
        "answer p50 ms": median(answered),
        "answer p99 ms": p99(answered),
        "network p50 ms": median(network),
        "network p99 ms": p99(network),
    }


async def _drained(target: BenchTarget, count: int) -> None:
    limit = time.monotonic() + 30
    while (health := await target.health())["completed"] < count:
        if time.monotonic() > limit:
            raise ProofFailed(f"the messages were not sent: {health}")
        await asyncio.sleep(0.05)


def _arrivals(folder: Path) -> dict[str, int]:
    """unique_id → microseconds, from the simulated network's own file (over HTTP it tells milliseconds)."""
    from heliograph.simulator.journal import SQL

    (file,) = [*folder.glob("*simulator.db")] or [folder / "heliograph-simulator.db"]
    with sqlite3.connect(file) as journal:
        rows = journal.execute(SQL["messages"], {"limit": 1_000_000, "devices": None}).fetchall()
    journal.close()
    return {row[0]: row[5] for row in rows}


async def backlog(folder: Path, server: str | None, size: Size) -> Figures:
    """The same calls with and without a backlog, in turn, so that a pair shares its moment."""
    folder.mkdir()
    async with gateway(folder / "empty", server) as empty, gateway(folder / "full", server) as full:
        took: dict[str, tuple[list[float], list[float]]] = {}
        before = full.rss_mb()
        for target, jobs in ((empty, 0), (full, size.backlog)):
            phones = await target.phones(min(size.phones, 100))
            await target.offline(True)
            await target.send(phones, count=jobs + 50)
        grown = full.rss_mb() - before
        for _ in range(size.samples):
            for side, target in enumerate((empty, full)):
                await _probe(target, side, took)
        waits = (await full.health())["waiting"]
        if waits != size.backlog + 50 + size.samples:
            raise ProofFailed(f"{waits} messages wait, not {size.backlog + 50 + size.samples}")
        await full.program.stop()
        await full.start()
        restart_s = full.start_s
    figures: Figures = {}
    for name, (without, with_backlog) in took.items():
        figures[f"{name} ms"] = median(with_backlog)
        figures[f"{name} ÷ empty"] = median(with_backlog) / median(without)
    figures |= {"send p99 ms": p99(took["send"][1]), "start s": restart_s}
    figures["RSS MB per 100,000"] = grown / size.backlog * 100_000
    return figures


async def _probe(target: BenchTarget, side: int, took: dict[str, tuple[list[float], list[float]]]) -> None:
    phone = str(447700900000)
    body = {"chat_id": f"4477009{random.randrange(900):05d}@c.us", "message": "one more"}
    told: dict[str, str] = {}

    async def timed(name: str, method: str, path: str, what: object = None) -> None:
        began = time.perf_counter()
        answer = await target.call(method, path, what, phone=phone)
        took.setdefault(name, ([], []))[side].append((time.perf_counter() - began) * 1000)
        if name == "send":
            told.update(answer)

    await timed("send", "POST", "/v1/message/send", body)
    await timed("look-up", "GET", f"/v1/queue/jobs?queue_id={told['queue_id']}")
    await timed("status", "GET", f"/v1/message/{told['unique_id']}/status")
    await timed("health", "GET", "/v1/message/queues/health")


async def webhooks(folder: Path, server: str | None, size: Size) -> Figures:
    """Deliveries a second of one process to 50 endpoints that want everything, each message's in order."""
    return await told.webhooks(folder, server, size.jobs)


async def hanging(folder: Path, server: str | None, size: Size) -> Figures:
    """Measures the delay of ten endpoints beside an eleventh that answers, and beside the same one while it hangs."""
    return await beside.hanging(folder, server, size.seconds * 10)


async def senders(folder: Path, server: str | None, size: Size) -> Figures:
    """Messages of many phones drained by 1, 2 and 4 sender processes, and the database's own time for each message."""
    return await fleets.senders(folder, server, phones=size.phones, jobs=size.jobs)


CASES = {
    "accept": accept,
    "drain": drain,
    "latency": latency,
    "backlog": backlog,
    "senders": senders,
    "webhooks": webhooks,
    "hanging": hanging,
}
