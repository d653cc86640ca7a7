"""The stage of a proof: a simulated network, the servers that will be killed, their clients; and how it is cleared.

Promise: `judged` is only reached when nothing waits or runs any more, or after a bounded patience, with what is left
named by the checker.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from heliograph.cli.prove.evidence import all_read, journal, read_store
from heliograph.cli.prove.load import Load
from heliograph.cli.prove.pauses import Pauses
from heliograph.cli.prove.plan import ProofPlan, Result
from heliograph.cli.prove.processes import Program, ProofFailed, free_port, running
from heliograph.domain.history_checker import Pace, Record, check

HELIOGRAPH = ("-m", "heliograph.cli.main")
FIRST_PHONE = 447700900001  # a range that is reserved for fiction
GAP_S = 0.05  # of the last phone, the paced one
PACING = {"base": "none", "gap_min_s": GAP_S, "gap_max_s": 2 * GAP_S}
CLOCK_US = 2000  # the journal tells milliseconds
FAULTS = {"latency_ms": 5, "transient_rate": 0.02, "lost_answer_rate": 0.02}
PEACE_S = 900.0  # the paced phone needs longest: it sends a dozen messages a second, however many there are
PATIENCE_S = 120.0  # with something waiting, and nothing changing
STUCK_S = 5.0  # longer than a chat waits for an unknown outcome
RECEIPTS_S = 30.0
STAMPS_US = 10_000_000  # a process that waits for a lock has stamped its events before
SETTINGS = {
    "RATE_LIMIT_PER_SECOND": "0",
    "MAX_RETRIES": "8",
    "RETRY_BASE_SECONDS": "0.05",
    "ACK_TIMEOUT_SECONDS": "2",
    "PACING": "none",
    "LOG_LEVEL": "warning",
}


@dataclass
class Environment:
    """`fleet`: the API first. On SQLite one process does everything; on PostgreSQL the senders are on their own."""

    plan: ProofPlan
    http: aiohttp.ClientSession
    command: Sequence[str] = HELIOGRAPH
    extra: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        plan, port = self.plan, free_port()
        self.phones = [str(FIRST_PHONE + n) for n in range(plan.phones)]
        arguments = [*HELIOGRAPH, "simulator", "--port", str(port), "--journal", str(plan.folder / "network.db")]
        simulator = Program(
            "simulator", arguments, port, {"LOG_LEVEL": "warning"}, plan.folder, probe="/simulator/messages?limit=1"
        )
        self.networks = [] if plan.inside else [simulator]
        self.settings = {
            **SETTINGS,
            "DATABASE_URL": plan.database_url or "sqlite:///prove.db",
            "API_KEY": self.key,
            "SIMULATOR_PHONE": self.phones[0],
            **({} if plan.inside else {"SIMULATOR_URL": simulator.url}),
            "LEASE_SECONDS": f"{plan.lease_s:g}",
            **self.extra,
        }
        if plan.database_url is None:
            self.fleet = [self._server("gateway", "api,sender,webhooks")]
        else:
            senders = (self._server(f"sender-{n + 1}", "sender") for n in range(plan.senders))
            self.fleet = [self._server("api", "api,webhooks"), *senders]
        self.network = self.fleet[0].url if plan.inside else simulator.url
        self.load = Load(
            self.fleet[0].url,
            self.key,
            self.phones,
            plan.chats,
            plan.clients,
            plan.rate,
            random.Random(plan.seed + 1),
            # a program that renames its attempts is asked to wait for each of them anew, for ever
            plan.odd and plan.control is None,
        )
        self.pauses = Pauses(self.fleet[0].url, self.key, self.phones[-2], random.Random(plan.seed + 2))

    def _server(self, name: str, roles: str) -> Program:
        port = free_port()
        arguments = [*self.command, "serve", "--port", str(port), "--roles", roles]
        probe = "/readyz" if "api" in roles else None  # a process without the API listens nowhere
        return Program(name, arguments, port, dict(self.settings), self.plan.folder, probe)

    @contextlib.asynccontextmanager
    async def set(self) -> AsyncIterator[None]:
        """Runs everything, with its phones and the network's faults, until the block ends."""
        async with running([*self.networks, *self.fleet], self.http):
            for number in self.phones[1:]:
                made = {"provider": "simulator", "number": number}
                await self._ask("POST", f"{self.fleet[0].url}/v1/phones/create", made)
            url = f"{self.fleet[0].url}/v1/phones/update"
            await self._ask("PATCH", url, {"pacing": PACING}, phone=self.phones[-1])
            await self._ask("PUT", f"{self.network}/simulator/faults", FAULTS | {"seed": self.plan.seed})
            yield
            self.seen = await journal(self.http, self.network, self.key, self.phones)
        self.kept = await read_store(self.plan)

    async def _ask(self, method: str, url: str, body: Any = None, *, phone: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"} | ({"x-phone": phone} if phone else {})
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise ProofFailed(f"{method} {url} was answered with {answer.status} {(await answer.text())[:300]}")
            return await answer.json() if answer.status != 204 else None

    async def peace(self) -> None:
        """Ends the faults; returns when no message waits or runs and every receipt has been taken."""
        calm = dict.fromkeys(FAULTS, 0)
        await self._ask("PUT", f"{self.network}/simulator/faults", calm)
        await self._settled()
        deadline = time.monotonic() + RECEIPTS_S
        while time.monotonic() < deadline and not await all_read(self.http, self.network, self.key, self.phones):
            await asyncio.sleep(0.3)

    async def _settled(self) -> None:
        began = since = time.monotonic()
        last = None
        while time.monotonic() - began < PEACE_S and time.monotonic() - since < PATIENCE_S:
            health = await self._ask("GET", f"{self.fleet[0].url}/v1/message/queues/health")
            if health != last:
                last, since = health, time.monotonic()
            # what stays active is uncertain, or hangs: the checker tells the two apart
            still = not health["active"] or time.monotonic() - since > STUCK_S
            if still and not health["waiting"] and not health.get("delayed"):
                return
            await asyncio.sleep(0.1)
        waited = (
            f"after {time.monotonic() - began:.0f} s of peace, the last {time.monotonic() - since:.0f} s unchanged,"
        )
        raise ProofFailed(f"{waited} the queue still holds {last}: {await self._left()}")

    async def _left(self) -> str:
        """Which phones have something left, and how they stand: where to begin to look for the cause."""
        found = []
        for number in self.phones:
            health = await self._ask("GET", f"{self.fleet[0].url}/v1/message/queues/health", phone=number)
            phone = await self._ask("GET", f"{self.fleet[0].url}/v1/phones", phone=number)
            if health["waiting"] or health["active"] or health.get("delayed"):
                found.append(f"{number} ({phone['wa_state']}) {health['waiting']} waiting, {health['active']} active")
        return "; ".join(found)

    def count(self, result: Result) -> None:
        result.accepted = len({accepted.key for accepted in self.load.accepted})
        result.repeats = self.load.repeats
        result.pauses = len(self.pauses.silences)

    def judge(self, result: Result) -> None:
        """After the stage is cleared."""
        self.count(result)
        kept = self.kept
        result.violations = check(
            Record(
                self.load.accepted,
                self.seen.arrivals,
                kept.jobs,
                kept.events,
                kept.phones,
                paces={self.phones[-1]: Pace(gap_us=round(GAP_S * 1e6) - CLOCK_US)},
                silences=self.pauses.silences,
                slack_us=0 if self.plan.database_url is None else STAMPS_US,
            )
        )
        result.arrived = len(self.seen.arrivals)
        result.transmissions = self.seen.transmissions
        states: dict[str, int] = {}
        for job in kept.jobs:
            states[job.state] = states.get(job.state, 0) + 1
        result.states = dict(sorted(states.items()))
        result.recovered = sum(event.kind == "recovered" for event in kept.events)
