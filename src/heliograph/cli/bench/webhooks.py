"""Measurement of webhooks: deliveries a second, in order for each message."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from heliograph.cli.bench.target import BenchTarget, gateway
from heliograph.cli.prove.processes import ProofFailed

EVENTS = ["message.created", "message.sent", "message.ack.updated", "message.delivered", "message.read"]
NAMES_A_MESSAGE = 8
ENDPOINTS = 50
LOOPBACK = {"WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}


@dataclass(frozen=True, slots=True)
class Sinks:
    http: aiohttp.ClientSession
    ports: list[int]
    switch: int  # port of the one that can hang

    async def told(self, word: str = "") -> tuple[int, list[float]]:
        """Reads the arrivals since the last call; a word turns the switch."""
        async with self.http.get(f"http://127.0.0.1:{self.ports[0]}/{word}") as answer:
            found = await answer.json(content_type=None)
        return found["count"], found["late_ms"]


@contextlib.asynccontextmanager
async def sinks(count: int, *, timed: bool) -> AsyncIterator[Sinks]:
    arguments = ("-m", "heliograph.cli.bench.receivers", str(count), "timed" if timed else "bare")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    *ports, switch = map(int, (await process.stdout.readline()).split())
    try:
        async with aiohttp.ClientSession() as http:
            yield Sinks(http, ports, switch)
    finally:
        process.kill()
        await process.wait()


async def webhooks(folder: Path, server: str | None, jobs: int) -> dict[str, float]:
    """Deliveries a second of one process to 50 endpoints that want everything, each message's in order."""
    messages = max(jobs // 200, 10)
    wanted = messages * NAMES_A_MESSAGE * ENDPOINTS
    async with sinks(ENDPOINTS, timed=False) as out, gateway(folder, server, ROLES="api,sender", **LOOPBACK) as target:
        for port in out.ports:
            await add_hook(target, port, EVENTS)
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


def _cpu_s(target: BenchTarget) -> float:
    """Processor time of the gateway so far; 0 where the machine does not tell."""
    assert target.program.process is not None
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{target.program.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def add_hook(target: BenchTarget, port: int, events: list[str]) -> list[str]:
    body = {"hookUrl": f"http://127.0.0.1:{port}/{time.monotonic_ns()}", "integrationName": events}
    rows = await target.call("POST", "/v1/webhooks", body)
    return [row["id"] for row in rows]


async def _all_read(target: BenchTarget, count: int) -> None:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        if (await target.health())["completed"] >= count:
            await asyncio.sleep(1.5)  # the simulated network lets a message be read half a second later
            return
        await asyncio.sleep(0.05)
    raise ProofFailed("the messages were not sent")
