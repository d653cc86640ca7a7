"""Tests of kills at each fault point, at the first and at a later passing: every promise holds."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from heliograph.cli.prove.environment import Environment
from heliograph.cli.prove.plan import ProofPlan, Result
from heliograph.ports.faultpoint import POINTS

LAUNCH = (str(Path(__file__).with_name("launch.py")),)
DIES_WITHIN_S = 60
FIRST = {"commit.before": 40, "commit.after": 41, "settle.after": 12}  # the start itself passes there a few times


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("point", POINTS)
async def test_nothing_is_lost_doubled_or_reordered_when_killed_at(point: str, later: bool, tmp_path: Path) -> None:
    passing = FIRST.get(point, 1) + (7 if later else 0)
    plan = ProofPlan(
        folder=tmp_path, kills=1, seed=passing, rate=60, clients=4, chats=4, phones=2, inside=True, odd=False
    )
    result = Result(plan)
    async with aiohttp.ClientSession() as http:
        stage = Environment(plan, http, command=LAUNCH, extra={"TEST_KILL_AT": f"{point}:{passing}"})
        gateway = stage.fleet[0]
        async with stage.set():
            async with asyncio.TaskGroup() as group:
                group.create_task(stage.load.run(http))
                code = await asyncio.wait_for(gateway.ended(), DIES_WITHIN_S)
                assert code == -signal.SIGKILL, gateway.last_words()
                gateway.settings = stage.settings | {"TEST_KILL_AT": ""}
                await gateway.start()
                await gateway.ready(http)
                before = {one.key for one in stage.load.accepted}
                async with asyncio.timeout(DIES_WITHIN_S):
                    while len({one.key for one in stage.load.accepted} - before) < 10:  # repeats are no new messages
                        await asyncio.sleep(0.05)
                stage.load.closing.set()
            await stage.peace()
    stage.judge(result)
    assert result.violations == []
    assert result.accepted >= 10
    assert result.states == {"sent": result.accepted}
