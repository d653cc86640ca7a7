"""Measurements of broadcasts, kills, forecasts and backlog on a real server: `python -m tests.store.measure [CASE …]`.

Cases: broadcast, kills, eta, backlog. Each has a folder and a server of its own.
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from heliograph.cli.prove.processes import Program, free_port
from heliograph.clock import SystemClock
from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.jobs.job import NewJob
from heliograph.domain.messages.content import Content, Kind
from heliograph.store.jobs.enqueue import enqueue
from heliograph.store.stores import Stores
from tests.kit.database import make_database

KEY = "measure-key-0123456789abcdef"


class Server:
    def __init__(self, program: Program, http: aiohttp.ClientSession) -> None:
        self.program = program
        self.http = http

    async def call(self, method: str, path: str, body: Any = None) -> tuple[Any, float]:
        """Returns the response, and its time in ms."""
        began = time.perf_counter()
        async with self.http.request(
            method, self.program.url + path, json=body, headers={"Authorization": f"Bearer {KEY}"}
        ) as answer:
            data = await answer.read()
            took = (time.perf_counter() - began) * 1000
            assert answer.status < 300, (answer.status, data[:300])
            return (json.loads(data) if data else None), took

    async def start(self) -> None:
        await self.program.start()
        await self.program.ready(self.http)

    def rss_mb(self) -> float:
        assert self.program.process is not None
        text = Path(f"/proc/{self.program.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def peak_mb(self) -> float:
        assert self.program.process is not None
        text = Path(f"/proc/{self.program.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


@asynccontextmanager
async def server(folder: Path, **settings: str) -> AsyncIterator[Server]:
    port = free_port()
    given = {
        "API_KEY": KEY,
        "DATABASE_URL": f"sqlite:///{folder}/h.db",
        "PORT": str(port),
        "RATE_LIMIT_PER_SECOND": "0",
        "LOG_LEVEL": "warning",
    } | settings
    program = Program("server", ("-m", "heliograph.cli.main", "serve"), port, given, folder)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        one = Server(program, http)
        await one.start()
        try:
            yield one
        finally:
            if program.process is not None and program.process.returncode is None:
                program.process.terminate()
                await program.process.wait()


def chats(count: int) -> list[str]:
    return [f"9195{n:08d}" for n in range(count)]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def broadcast(count: int = 100_000, rounds: int = 5) -> None:
    """Measures accepting, memory, single messages and progress, each form so many times."""
    everyone = chats(count)
    forms: dict[str, dict[str, Any]] = {
        "no variables": {"chat_ids": everyone, "message": "Hello"},
        "a variable each": {
            "chat_ids": everyone,
            "message": "Hello {{name}}",
            "variables": [{"chat_id": c, "values": {"name": f"N{c}"}} for c in everyone],
        },
        "CSV": {"csv": _csv(count), "message": "Hi {{name}}"},
    }
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder), SIMULATOR_RECEIPTS="off") as one:
            await one.call("POST", "/v1/message/send", {"chat_id": "12025550100", "message": "warm"})
            for name, body in forms.items():
                # from a thread, already encoded: the client's own work must not stand in its clock
                raw = json.dumps(body | {"delay": 3_600}).encode()
                before = one.rss_mb()
                accepted: list[float] = []
                singles: list[float] = []
                progress: list[float] = []
                acts: list[float] = []
                for _ in range(rounds):
                    done = asyncio.Event()
                    beside = asyncio.create_task(_singles(one, singles, done))
                    made, took = await asyncio.to_thread(_post, f"{one.program.url}/v1/message/broadcast", raw)
                    accepted.append(took)
                    done.set()
                    await beside
                    path = f"/v1/queue/broadcast?broadcast_id={made['broadcast_id']}"
                    progress += [(await one.call("GET", path))[1] for _ in range(200)]
                    for act in ("pause", "resume", "cancel"):
                        path = f"/v1/message/broadcast/{made['broadcast_id']}/{act}"
                        acts.append((await one.call("POST", path))[1])
                print(
                    f"broadcast of {count:,}, {name}, {rounds} times: accepted in {min(accepted) / 1000:.2f} to"
                    f" {max(accepted) / 1000:.2f} s; single sends beside it {_said(singles)};"
                    f" progress {_said(progress)}; pause, resume, cancel {_said(acts)};"
                    f" memory {before:.0f} → {one.rss_mb():.0f} MB, peak {one.peak_mb():.0f} MB",
                    flush=True,
                )


def _said(took: list[float]) -> str:
    return (
        f"p50 {statistics.median(took):.1f}, p99 {percentile(took, 0.99):.1f}, worst {max(took):.1f} ms ({len(took)})"
    )


def _post(url: str, raw: bytes) -> tuple[Any, float]:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    began = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(url, raw, headers), timeout=120) as answer:
        return json.loads(answer.read()), (time.perf_counter() - began) * 1000


def _csv(count: int) -> str:
    return "phone,name\n" + "\n".join(f"{c},N{c}" for c in chats(count))


async def _singles(one: Server, took: list[float], done: asyncio.Event) -> None:
    while not done.is_set():
        took.append((await one.call("POST", "/v1/message/send", {"chat_id": "12025550100", "message": "now"}))[1])
        await asyncio.sleep(0.01)


async def kills(count: int = 12_000, times: int = 20) -> None:
    """kill -9 while a broadcast runs; every recipient exactly once.

    A kill comes when some were sent since the last one: a message during which the process dies four times in a row is
    parked as failed, and on a busy machine that is soon so.
    """
    dice = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder)) as one:
            made, _ = await one.call(
                "POST", "/v1/message/broadcast", {"chat_ids": chats(count), "message": "Hi", "delay": 0}
            )
            name = made["broadcast_id"]
            killed = went = 0
            path = f"/v1/queue/broadcast?broadcast_id={name}"
            while True:
                while killed < times and (await one.call("GET", path))[0]["sent_chats"] <= went:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(dice.uniform(0.05, 0.25))
                if killed < times:
                    assert one.program.process is not None
                    one.program.process.kill()
                    await one.program.process.wait()
                    killed += 1
                    await one.start()
                state, _ = await one.call("GET", path)
                went = state["sent_chats"]
                if state["state"] == "completed":
                    break
            rows, _ = await one.call("GET", "/simulator/messages?limit=100000")
    seen = Counter(row["chat_id"] for row in rows)
    shown = Counter(row["shown"] for row in rows)
    print(
        f"broadcast of {count:,} killed {killed} times: {state['sent_chats']:,} sent, {state['failed_chats']} failed,"
        f" {len(seen):,} recipients, {count - len(seen)} missing, {sum(n - 1 for n in seen.values())} repeated,"
        f" shown {dict(shown)}"
    )


async def eta() -> None:
    """Compares the forecasts of waiting messages with their start times."""
    await _eta("paced", 160, {"gap_min_s": 0.1, "gap_max_s": 0.3, "per_minute": 120})
    await _eta("not paced, 20 ms an attempt", 12_000, "none")


async def _eta(said: str, count: int, policy: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder)) as one:
            await one.call("PUT", "/simulator/faults", {"latency_ms": 20})
            await one.call("PATCH", "/v1/phones/update", {"pacing": policy})
            names = []
            await one.call("POST", "/v1/phones/pause")
            await asyncio.sleep(2)  # the owner of a phone sees a new policy within a second
            for n in range(count):
                answer, _ = await one.call("POST", "/v1/message/send", {"chat_id": chats(count)[n], "message": "Hi"})
                names.append(answer["queue_id"])
            await one.call("POST", "/v1/phones/resume")
            await asyncio.sleep(3)
            errors = []
            asked = time.time()
            foreseen = {}
            for name in names[20 :: count // 23]:
                found, _ = await one.call("GET", f"/v1/message/{name}/explain")
                if found["eta"]:
                    foreseen[name] = _unix(found["eta"])
            while True:
                state, _ = await one.call("GET", "/v1/message/queues/health")
                if state["completed"] == count:
                    break
                await asyncio.sleep(0.5)
            for name, at in foreseen.items():
                status, _ = await one.call("GET", f"/v1/message/{name}/status")
                went = _unix(status["timeline"]["sending_at"])
                errors.append(abs(at - went) / max(went - asked, 0.5))
    print(
        f"ETA of {len(errors)} waiting messages, {said}: median error {100 * statistics.median(errors):.1f} %,"
        f" worst {100 * max(errors):.1f} %"
    )


def _unix(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


async def backlog(count: int = 1_000_000) -> None:
    """Measures operator actions and explain with a million waiting messages of one phone."""
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder)) as one:
            await one.call("POST", "/v1/phones/pause")
        await _fill(f"{folder}/h.db", count)
        async with server(Path(folder)) as one:
            name = (await one.call("POST", "/v1/message/send", {"chat_id": "12025550100", "message": "last"}))[0][
                "queue_id"
            ]
            await one.call("GET", f"/v1/message/{name}/explain")
            cases = {
                "explain": ("GET", f"/v1/message/{name}/explain"),
                "pause a chat": ("POST", "/v1/chats/919500000001/pause"),
                "resume a chat": ("POST", "/v1/chats/919500000001/resume"),
                "resume the phone": ("POST", "/v1/phones/resume"),
                "pause the phone": ("POST", "/v1/phones/pause"),
                "holds": ("GET", "/v1/queue/holds"),
                "suppressions": ("GET", "/v1/suppressions"),
                "queue broadcast list": ("GET", "/v1/message/broadcast"),
            }
            took: dict[str, list[float]] = {case: [] for case in cases}
            for _ in range(20):
                for case, (method, path) in cases.items():
                    if case == "resume the phone":
                        continue
                    took[case].append((await one.call(method, path))[1])
            took["resume the phone"].append((await one.call(*cases["resume the phone"]))[1])
            took["pause the phone"].append((await one.call(*cases["pause the phone"]))[1])
            made, accept = await one.call("POST", "/v1/message/broadcast", {"chat_ids": chats(1_000), "message": "x"})
            took["accept a broadcast of 1,000"] = [accept]
            for act in ("pause", "resume", "cancel"):
                path = f"/v1/message/broadcast/{made['broadcast_id']}/{act}"
                took[f"{act} a broadcast"] = [(await one.call("POST", path))[1]]
            took["cancel a message"] = [(await one.call("POST", f"/v1/message/{name}/cancel"))[1]]
            print(f"with {count:,} waiting messages (ms, median and worst):")
            for case, values in took.items():
                if values:
                    print(f"  {case}: {statistics.median(values):.1f}, {max(values):.1f}")


async def _fill(path: str, count: int) -> None:
    ids = JobIds(lambda: time.time_ns() // 1000)
    database = make_database(Path(path), SystemClock())
    await database.open()
    stores = Stores(database, SystemClock(), ids)
    (phone,) = await stores.phones.phones(None)
    content = Content(Kind.TEXT, "Hello")
    for first in range(0, count, 2_000):
        jobs = [
            NewJob(ids.make(), phone.org_no, phone.phone_no, f"9195{n % 100_000:08d}@c.us", content)
            for n in range(first, first + 2_000)
        ]
        now_us = time.time_ns() // 1000
        await database.write(enqueue, jobs, now_us)
    await database.close()


CASES = {"broadcast": broadcast, "kills": kills, "eta": eta, "backlog": backlog}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=[])
    parser.add_argument("--rounds", type=int, default=5, help="of each form of a broadcast")
    said = parser.parse_args()
    for case in said.cases or list(CASES):
        began = time.monotonic()
        asyncio.run(broadcast(rounds=said.rounds) if case == "broadcast" else CASES[case]())
        print(f"  ({case}: {time.monotonic() - began:.0f} s)", flush=True)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"processor time of the servers: {usage.ru_utime + usage.ru_stime:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
