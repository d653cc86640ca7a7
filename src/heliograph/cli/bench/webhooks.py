"""What is measured of webhooks: deliveries a second, and what one receiver that hangs costs the others."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from heliograph.cli.bench.gateway import Gateway, gateway
from heliograph.cli.prove.processes import ProofFailed

EVENTS = ["message.created", "message.sent", "message.ack.updated", "message.delivered", "message.read"]
NAMES_A_MESSAGE = 8
ENDPOINTS = 50
RATE = 20.0  # messages a second while one hangs
OTHERS = 10
ROUNDS = 10  # short ones, in turn, so that both sides share the machine's moods
_LOOPBACK = {"WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}


@dataclass(frozen=True, slots=True)
class Sinks:
    http: aiohttp.ClientSession
    ports: list[int]
    silent: int

    async def told(self) -> tuple[int, list[float]]:
        async with self.http.get(f"http://127.0.0.1:{self.ports[0]}/") as answer:
            found = await answer.json(content_type=None)
        return found["count"], found["late_ms"]


@contextlib.asynccontextmanager
async def sinks(count: int, *, timed: bool) -> AsyncIterator[Sinks]:
    arguments = ("-m", "heliograph.cli.bench.sink", str(count), "timed" if timed else "bare")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    *ports, silent = map(int, (await process.stdout.readline()).split())
    try:
        async with aiohttp.ClientSession() as http:
            yield Sinks(http, ports, silent)
    finally:
        process.kill()
        await process.wait()


async def webhooks(folder: Path, server: str | None, jobs: int) -> dict[str, float]:
    """Deliveries a second of one process to 50 endpoints that want everything, each message's in order."""
    messages = max(jobs // 200, 10)
    wanted = messages * NAMES_A_MESSAGE * ENDPOINTS
    async with (
        sinks(ENDPOINTS, timed=False) as out,
        gateway(folder, server, ROLES="api,sender", **_LOOPBACK) as target,
    ):
        for port in out.ports:
            await _hook(target, port, EVENTS)
        phones = await target.phones(1)
        await target.send(phones, count=messages)
        await _all_read(target, messages)
        await target.program.stop()
        target.program.settings = {**target.program.settings, "ROLES": "api,webhooks"}
        await out.told()
        began = time.monotonic()
        await target.program.start()
        await target.program.ready(target.http)
        first = await out.told()
        started, cpu_s = time.monotonic(), _cpu_s(target)
        seen = first[0]
        while seen < wanted:
            if time.monotonic() - began > 300:
                raise ProofFailed(f"{seen} of {wanted} deliveries arrived")
            await asyncio.sleep(0.1)
            seen += (await out.told())[0]
        took, made = time.monotonic() - started, wanted - first[0]
        cost_us = (_cpu_s(target) - cpu_s) / made * 1e6
        return {"deliveries/s": made / took, "CPU µs a delivery": cost_us, "RSS MB": target.rss_mb()}


def _cpu_s(target: Gateway) -> float:
    """Processor time of the gateway so far; 0 where the machine does not tell."""
    assert target.program.process is not None
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{target.program.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def _hook(target: Gateway, port: int, events: list[str]) -> list[str]:
    body = {"hookUrl": f"http://127.0.0.1:{port}/{time.monotonic_ns()}", "integrationName": events}
    rows = await target.call("POST", "/v1/webhooks", body)
    return [row["id"] for row in rows]


async def _all_read(target: Gateway, count: int) -> None:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        if (await target.health())["completed"] >= count:
            await asyncio.sleep(1.5)  # the simulated network lets a message be read half a second later
            return
        await asyncio.sleep(0.05)
    raise ProofFailed("the messages were not sent")


async def hanging(folder: Path, server: str | None, seconds: float) -> dict[str, float]:
    """How late ten endpoints are told, beside an eleventh that answers and beside one that never does, in turn."""
    alone: list[float] = []
    beside: list[float] = []
    async with sinks(OTHERS, timed=True) as out, gateway(folder, server, **_LOOPBACK) as target:
        for port in out.ports:
            await _hook(target, port, ["message.created"])
        (phone,) = await target.phones(1)
        await _told_late(target, out, phone, seconds, OTHERS)  # to warm up
        for _ in range(ROUNDS):
            async with _one_more(target, out.ports[0]):
                alone += await _told_late(target, out, phone, seconds, OTHERS + 1)
            async with _one_more(target, out.silent):
                beside += await _told_late(target, out, phone, seconds, OTHERS)
    first, second = _p99(alone), _p99(beside)
    halves = {"p50 ms alone": median(alone), "p50 ms beside": median(beside)}
    return {"p99 ms alone": first, "p99 ms beside": second, "ratio": second / first, **halves}


@contextlib.asynccontextmanager
async def _one_more(target: Gateway, port: int) -> AsyncIterator[None]:
    """An eleventh endpoint, so that both sides have as much to do."""
    hooks = await _hook(target, port, ["message.created"])
    yield
    for hook in hooks:
        async with target.http.delete(f"{target.program.url}/v1/webhooks/{hook}", headers=target.headers):
            pass


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


async def _told_late(target: Gateway, out: Sinks, phone: str, seconds: float, endpoints: int) -> list[float]:
    """How long after its event each delivery came, in ms."""
    count = int(seconds * RATE)
    late: list[float] = []
    for n in range(count):
        began = time.monotonic()
        body = {"chat_id": f"4477009{n % 300:05d}@c.us", "message": f"number {n}"}
        await target.call("POST", "/v1/message/send", body, phone=phone)
        await asyncio.sleep(max(0.0, 1 / RATE - (time.monotonic() - began)))
    limit = time.monotonic() + 30
    while len(late) < count * endpoints:
        late += (await out.told())[1]
        if time.monotonic() > limit:
            raise ProofFailed(f"{len(late)} of {count * endpoints} deliveries arrived")
        await asyncio.sleep(0.05)
    return late
