"""The proof itself: load, kills at random moments, peace, and then what the network saw against what the store holds.

Promise: the same seed draws the same kills and messages (what the machine makes of them differs). Weakness: SIGKILL
leaves the page cache, so a disk that has not synced is not found out here.
"""

import asyncio
import random
import time
from collections.abc import Callable

import aiohttp

from heliograph.cli.prove.environment import HELIOGRAPH, Environment
from heliograph.cli.prove.plan import ProofPlan, Result

BROKEN = ("-m", "heliograph.cli.prove.control")
STARTING = 0.2  # of the kills hit a process that is still starting
WORK_S = 0.8  # at most this long between a start and the next kill


async def carry_out(plan: ProofPlan, say: Callable[[Result], None]) -> Result:
    """`say` hears of every act."""
    result = Result(plan)
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        stage = Environment(plan, http, command=BROKEN if plan.control else HELIOGRAPH)

        def tell() -> None:
            stage.count(result)
            result.seconds = time.monotonic() - began
            say(result)

        async with stage.set():
            async with asyncio.TaskGroup() as group:
                group.create_task(stage.load.run(http))
                group.create_task(stage.pauses.run(http, stage.load.closing))
                await _torment(stage, result, tell)
                stage.load.closing.set()
            tell()
            await stage.peace()
    stage.judge(result)
    result.seconds = time.monotonic() - began
    return result


async def _torment(stage: Environment, result: Result, tell: Callable[[], None]) -> None:
    """Kills and freezes in random order. Everything runs again when it returns."""
    plan, fleet, chance = stage.plan, stage.fleet, random.Random(stage.plan.seed)
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
            elif victim.probe is None:  # nobody can ask it: time enough to start and to take phones over
                await asyncio.sleep(chance.uniform(0.5, 2 * plan.lease_s))
            else:
                await victim.ready(stage.http)
                await asyncio.sleep(chance.uniform(0.01, WORK_S))
            result.kills += 1
        tell()
    for program in fleet:
        await program.ready(stage.http)
