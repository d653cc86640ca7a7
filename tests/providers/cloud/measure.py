"""Measurements of the Cloud API over the local Graph server, which runs in its own process.

    python -m tests.providers.cloud.measure

Prints a line for each case; ends with 1 if a message was lost, doubled, out of order or not settled.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.verdict import Limits
from heliograph.providers.cloud.graph_client import Timeouts
from heliograph.simulator.graph import GraphServer, Rules, serve_graph
from tests.providers.cloud.gateway import CLOCK, QUICK, Gateway, open_gateway
from tests.providers.cloud.session import text


@dataclass(slots=True)
class RemoteGraph:
    """A Graph server in another process."""

    base_url: str
    http: aiohttp.ClientSession

    async def call_back(self, url: str) -> None:
        await self.change(callback_url=url)

    async def change(self, **rules: Any) -> None:
        async with self.http.put(f"{self.base_url}/_graph", json=rules) as response:
            response.raise_for_status()

    async def journal(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.base_url}/_graph/messages?limit=100000") as response:
            rows: list[dict[str, Any]] = await response.json()
            return rows


@asynccontextmanager
async def elsewhere(rules: Rules) -> AsyncIterator[RemoteGraph]:
    command = [sys.executable, "-m", "tests.providers.cloud.measure", "graph", json.dumps(asdict(rules))]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as http:
            yield RemoteGraph(url, http)
    finally:
        process.terminate()
        await process.wait()


async def case(name: str, rules: Rules, *, phones: int, messages: int, chats: int) -> bool:
    """`chats`: for each phone."""
    numbers = {str(100_000_000_000_001 + n): f"4479120{n:05d}" for n in range(phones)}
    rules = replace(rules, phones=numbers, statuses_a_webhook=50)
    patient = Timeouts(connect_s=10, answer_s=20)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            elsewhere(rules) as graph,
            open_gateway(Path(folder), timeouts=patient, limits=Limits(ack_timeout_s=5), graph=graph) as gateway,
        ):
            rows = [await gateway.add_phone(phone_number_id, number) for phone_number_id, number in numbers.items()]
            await gateway.connected(*rows)
            began = CLOCK.monotonic()
            jobs = []
            for first in range(0, messages, 200):
                wave = range(first, min(first + 200, messages))
                jobs += await asyncio.gather(
                    *(gateway.send(rows[n % phones], f"447911{n // phones % chats:06d}", text(str(n))) for n in wave)
                )
            taken_s = await _all_taken(graph, messages, began)
            await gateway.until_ack(jobs[-50:], 4, seconds=120)
            settled = await gateway.until_ack(jobs, 4, seconds=120)
            return await _told(name, graph, gateway, settled, jobs, messages, taken_s)


async def _all_taken(graph: RemoteGraph, messages: int, began: float) -> float:
    while CLOCK.monotonic() - began < 120:
        async with graph.http.get(f"{graph.base_url}/_graph") as response:
            if (await response.json())["counts"]["messages"] >= messages:
                break
        await asyncio.sleep(0.05)
    return CLOCK.monotonic() - began


async def _told(
    name: str, graph: RemoteGraph, gateway: Gateway, settled: list[Any], jobs: list[Any], messages: int, taken_s: float
) -> bool:
    rows = await graph.journal()
    shown = Counter(row["tracker"] for row in rows)
    lost = sum(shown[queue_id(one)] == 0 for one in jobs)
    doubled = sum(count > 1 for count in shown.values())
    by_chat: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        by_chat.setdefault((row["phone_number_id"], row["to"]), []).append(int(row["body"]["text"]["body"]))
    disorder = sum(order != sorted(order) for order in by_chat.values())
    unsettled = sum(job.state.value != "sent" or job.ack < 4 for job in settled)
    histories = [await gateway.stores.jobs.history(gateway.org_no, one) for one in jobs]
    uncertain = sum(any(event.kind == "uncertain" for event in history) for history in histories)
    print(
        f"{name}: {messages / taken_s:,.0f} messages/s · lost {lost} · doubled {doubled} · out of order {disorder}"
        f" · uncertain on the way {uncertain} · not settled by a status {unsettled}",
        flush=True,
    )
    return not (lost or doubled or disorder or unsettled)


async def main() -> int:
    fast = replace(QUICK, latency_ms=50)
    good = [
        await case("one phone, 100 chats", fast, phones=1, messages=2_000, chats=100),
        await case("50 phones, 20 chats each", fast, phones=50, messages=5_000, chats=20),
        await case(
            "5 % of the answers lost, 10 phones",
            replace(fast, lost_answer_rate=0.05, repeat_rate=0.1, shuffle_rate=0.2, skip_delivered_rate=0.2, seed=7),
            phones=10,
            messages=2_000,
            chats=40,
        ),
    ]
    return 0 if all(good) else 1


async def _graph(rules: str) -> None:
    def started(server: GraphServer) -> None:
        print(server.base_url, flush=True)

    await serve_graph("127.0.0.1", 0, clock=CLOCK, rules=Rules(**json.loads(rules)), started=started)


if __name__ == "__main__":
    os.environ["UV_USE_IO_URING"] = "0"  # as the server runs
    if sys.argv[1:2] == ["graph"]:
        uvloop.run(_graph(sys.argv[2]))
    else:
        sys.exit(uvloop.run(main()))
