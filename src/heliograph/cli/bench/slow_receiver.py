"""Cost of one hanging receiver for ten others, against the same receiver while it answers.

Both sides of a pair run in one gateway, seconds apart, at an easy rate, in an order thrown anew for each pair. While it
hangs, the eleventh goes through all it can do to others: first it holds its slots, then its attempts end without an
answer as they would at the time limit, then its circuit is open and a probe hangs. Before the next slice it answers,
and what waited for it is gone.
"""

import asyncio
import random
import time
from itertools import chain
from math import comb
from pathlib import Path
from statistics import median, quantiles

from heliograph.cli.bench.target import BenchTarget, gateway
from heliograph.cli.bench.webhooks import LOOPBACK, Sinks, add_hook, sinks
from heliograph.cli.prove.processes import ProofFailed

OTHERS = 10
RATE = 50.0  # messages a second: far from what a core can do, so that nothing queues
SLICE_S = 1.2
WARM_UP_S = 3.0
PAIR_S = 2 * SLICE_S + 0.9  # with what comes between
MIN_PAIRS = 2  # pairs; below six they say nothing with 95 %
EVENTS = ["message.created"]
SETTINGS = {
    **LOOPBACK,
    "SIMULATOR_RECEIPTS": "off",  # one slice must leave nothing to do for the next
    "WEBHOOK_RETRY_SECONDS": ",".join(["0.5"] * 9),
}


async def hanging(folder: Path, server: str | None, seconds: float) -> dict[str, float]:
    """The pairs' p99 of how late the others were told; the median of their ratios and where it lies with 95 %."""
    answers: list[list[float]] = []
    hangs: list[list[float]] = []
    async with sinks(OTHERS, timed=True) as out, gateway(folder, server, **SETTINGS) as target:
        for port in out.ports:
            await add_hook(target, port, EVENTS)
        (hook,) = await add_hook(target, out.switch, EVENTS)
        (phone,) = await target.phones(1)
        load = _Load(target, out, phone, hook)
        await load.slice(WARM_UP_S, hangs=False)
        until = time.monotonic() + seconds - PAIR_S
        while len(answers) < MIN_PAIRS or time.monotonic() < until:
            for side in random.sample((answers, hangs), 2):
                side.append(await load.slice(SLICE_S, hangs=side is hangs))
    return compare(answers, hangs)


def compare(without: list[list[float]], with_it: list[list[float]]) -> dict[str, float]:
    ratios = sorted(_p99(b) / _p99(a) for a, b in zip(without, with_it, strict=True))
    cut = outside(len(ratios))
    first, second = list(chain.from_iterable(without)), list(chain.from_iterable(with_it))
    return {
        "ratio of p99": median(ratios),
        "95 % from": ratios[cut],
        "to": ratios[-1 - cut],
        "p99 ms beside one that answers": _p99(first),
        "that hangs": _p99(second),
        "p50 ms answers": median(first),
        "hangs": median(second),
        "deliveries a side": len(first),
    }


def outside(pairs: int) -> int:
    """Counts the sorted pairs that may be left out at each end so that the true median lies within, with 95 %.

    >>> outside(12), outside(5)
    (2, 0)
    """
    cut, tail = 0, 1.0
    while tail / 2**pairs <= 0.025 and cut < pairs // 2:
        cut += 1
        tail += comb(pairs, cut)
    return max(cut - 1, 0)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


class _Load:
    def __init__(self, target: BenchTarget, out: Sinks, phone: str, hook: str) -> None:
        self._target = target
        self._out = out
        self._phone = phone
        self._hook = hook
        self._sent = 0

    async def slice(self, seconds: float, *, hangs: bool) -> list[float]:
        """Measures the delay of each delivery to the others, in ms."""
        await self._out.told("hang" if hangs else "answer")
        count = round(seconds * RATE)
        half = asyncio.create_task(self._drop_at(seconds / 2)) if hangs else None
        await self._send(count)
        late: list[float] = []
        limit = time.monotonic() + 30
        while len(late) < count * OTHERS:
            if time.monotonic() > limit:
                raise ProofFailed(f"{len(late)} of {count * OTHERS} deliveries arrived")
            await asyncio.sleep(0.02)
            late += (await self._out.told())[1]
        if half is not None:
            await half
        await self._clear(limit)
        return late

    async def _drop_at(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._out.told("drop")

    async def _send(self, count: int) -> None:
        """At moments of chance, so that they keep no step with any beat of the gateway's own."""
        due = time.monotonic()
        for _ in range(count):
            self._sent += 1
            body = {"chat_id": f"4477009{self._sent % 300:05d}@c.us", "message": f"number {self._sent}"}
            await self._target.call("POST", "/v1/message/send", body, phone=self._phone)
            due += random.uniform(0.5, 1.5) / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _clear(self, limit: float) -> None:
        """The eleventh answers, and is told everything."""
        await self._out.told("answer")
        await self._target.call("PATCH", f"/v1/webhooks/{self._hook}", {"isSubscribed": True})  # closes its circuit
        while (await self._out.told("answer"))[0] < self._sent:
            if time.monotonic() > limit:
                raise ProofFailed("the endpoint that hung was not told everything once it answered")
            await asyncio.sleep(0.05)
