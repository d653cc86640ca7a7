"""The proof itself: load, kills at random moments, peace, and then what the network saw against what the store holds.

Promise: the same seed draws the same kills and messages (what the machine makes of them differs). Weakness: SIGKILL
leaves the page cache, so a disk that has not synced is not found out here.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable

import aiohttp

from heliograph.cli.prove.evidence import Kept, Seen, all_read, journal, read_store
from heliograph.cli.prove.load import Load
from heliograph.cli.prove.plan import Plan, Result
from heliograph.cli.prove.processes import Program, ProofFailed, free_port, running
from heliograph.domain.checker import Record, check

Say = Callable[[Result], None]

FIRST_PHONE = 447700900001  # a range that is reserved for fiction
FAULTS = {"latency_ms": 5, "transient_rate": 0.02, "lost_answer_rate": 0.02}
STARTING = 0.2  # of the kills hit a process that is still starting
WORK_S = 0.8  # at most this long between a start and the next kill
PEACE_S = 180.0
RECEIPTS_S = 30.0
SETTINGS = {
    "RATE_LIMIT_PER_SECOND": "0",
    "MAX_RETRIES": "8",
    "RETRY_BASE_SECONDS": "0.05",
    "ACK_TIMEOUT_SECONDS": "2",
    "PACING": "none",
    "LOG_LEVEL": "warning",
}


async def carry_out(plan: Plan, say: Say) -> Result:
    result = Result(plan)
    began = time.monotonic()
    chance = random.Random(plan.seed)
    key = secrets.token_hex(16)
    phones = [str(FIRST_PHONE + n) for n in range(plan.phones)]
    network = Program(
        "simulator",
        "heliograph.cli.main",
        ["simulator", "--port", str(port := free_port()), "--journal", str(plan.folder / "network.db")],
        port,
        {"LOG_LEVEL": "warning"},
        plan.folder,
        probe="/simulator/messages?limit=1",
    )
    fleet = _fleet(plan, key, phones[0], network.url)
    async with aiohttp.ClientSession() as http, running([network], http):
        async with running(fleet, http):
            await _prepare(http, fleet[0].url, key, phones, network.url, plan.seed)
            load = Load(fleet[0].url, key, phones, plan.chats, plan.clients, plan.rate, random.Random(plan.seed + 1))
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(http))
                await _torment(plan, result, fleet, chance, http, lambda: _count(result, load, began, say))
                load.closing.set()
            await _no_more_faults(http, network.url)
            await _peace(http, fleet[0].url, key)
            await _all_read(http, network.url, phones)
        _count(result, load, began, say)
        seen = await journal(http, network.url, phones)
    store = await read_store(plan)
    _judge(result, load, seen, store)
    result.seconds = time.monotonic() - began
    return result


def _fleet(plan: Plan, key: str, phone: str, network: str) -> list[Program]:
    """The API comes first. On SQLite one process does everything; on PostgreSQL senders are processes of their own."""
    url = plan.database_url or "sqlite:///prove.db"
    common = SETTINGS | {
        "DATABASE_URL": url,
        "API_KEY": key,
        "SIMULATOR_PHONE": phone,
        "SIMULATOR_URL": network,
        "LEASE_SECONDS": f"{plan.lease_s:g}",
    }
    module = "heliograph.cli.prove.control" if plan.control else "heliograph.cli.main"

    def program(name: str, roles: str) -> Program:
        port = free_port()
        return Program(name, module, ["serve", "--port", str(port), "--roles", roles], port, common, plan.folder)

    if plan.database_url is None:
        return [program("gateway", "api,sender,webhooks")]
    return [program("api", "api,webhooks"), *(program(f"sender-{n + 1}", "sender") for n in range(plan.senders))]


async def _prepare(
    http: aiohttp.ClientSession, base: str, key: str, phones: list[str], network: str, seed: int
) -> None:
    for number in phones[1:]:
        async with http.post(
            f"{base}/v1/phones/create",
            json={"provider": "simulator", "number": number},
            headers={"Authorization": f"Bearer {key}"},
        ) as answer:
            if answer.status not in (200, 201):
                raise ProofFailed(f"phone {number} was not made: {answer.status} {(await answer.text())[:300]}")
    async with http.put(f"{network}/simulator/faults", json=FAULTS | {"seed": seed}) as answer:
        if answer.status >= 300:
            raise ProofFailed(f"the simulator takes no faults: {answer.status} {(await answer.text())[:300]}")


async def _torment(
    plan: Plan,
    result: Result,
    fleet: list[Program],
    chance: random.Random,
    http: aiohttp.ClientSession,
    tell: Callable[[], None],
) -> None:
    """Kills and freezes in random order. Everything runs again when it returns."""
    acts = ["kill"] * plan.kills + ["stop"] * plan.stops
    chance.shuffle(acts)
    deadline = time.monotonic() + plan.seconds if plan.seconds else float("inf")
    await asyncio.sleep(WORK_S)
    for act in acts:
        if time.monotonic() > deadline:
            break
        if act == "stop":
            victim = chance.choice(fleet[1:])
            victim.freeze(True)
            await asyncio.sleep(plan.lease_s * chance.uniform(1.2, 1.8))
            victim.freeze(False)
            result.stops += 1
        else:
            victim = chance.choice(fleet)
            await victim.kill()
            await victim.start()
            if chance.random() < STARTING:
                await asyncio.sleep(chance.uniform(0, 1))
            else:
                await victim.ready(http)
                await asyncio.sleep(chance.uniform(0.01, WORK_S))
            result.kills += 1
        tell()
    for program in fleet:
        await program.ready(http)


def _count(result: Result, load: Load, began: float, say: Say) -> None:
    result.accepted = len({accepted.key for accepted in load.accepted})
    result.repeats = load.repeats
    result.seconds = time.monotonic() - began
    say(result)


async def _no_more_faults(http: aiohttp.ClientSession, network: str) -> None:
    calm = dict.fromkeys(FAULTS, 0)
    async with http.put(f"{network}/simulator/faults", json=calm) as answer:
        if answer.status >= 300:
            raise ProofFailed(f"the simulator keeps its faults: {answer.status}")


async def _peace(http: aiohttp.ClientSession, base: str, key: str) -> None:
    """Until nothing waits or runs. What is left is uncertain, or it hangs: the checker tells the two apart."""
    deadline = time.monotonic() + PEACE_S
    last, since = None, time.monotonic()
    while time.monotonic() < deadline:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with http.get(
                f"{base}/v1/message/queues/health", headers={"Authorization": f"Bearer {key}"}
            ) as answer:
                health = await answer.json()
            left = {name: health.get(name, 0) for name in ("waiting", "active", "delayed")}
            if not any(left.values()):
                return
            if health != last:
                last, since = health, time.monotonic()
            if not left["waiting"] and not left["delayed"] and time.monotonic() - since > 10:
                return
        await asyncio.sleep(0.1)
    raise ProofFailed(f"after {PEACE_S:.0f} s of peace the queue still holds {last}")


async def _all_read(http: aiohttp.ClientSession, network: str, phones: list[str]) -> None:
    """Until the gateway has taken every receipt, or had long enough: what it confirmed by then must be stored."""
    deadline = time.monotonic() + RECEIPTS_S
    while time.monotonic() < deadline and not await all_read(http, network, phones):
        await asyncio.sleep(0.5)


def _judge(result: Result, load: Load, seen: Seen, store: Kept) -> None:
    record = Record(
        accepted=load.accepted,
        arrivals=seen.arrivals,
        jobs=store.jobs,
        events=store.events,
        phones=store.phones,
    )
    result.violations = check(record)
    result.arrived = len(seen.arrivals)
    result.transmissions = seen.transmissions
    states: dict[str, int] = {}
    for job in store.jobs:
        states[job.state] = states.get(job.state, 0) + 1
    result.states = dict(sorted(states.items()))
    result.recovered = sum(event.kind == "recovered" for event in store.events)
