"""Tests of a server that is killed repeatedly during a broadcast: each recipient gets the message once.

HELIOGRAPH_TEST_BROADCAST_KILLS=20 kills more often than the few of an ordinary run.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from heliograph.cli.prove.processes import Program, free_port

KILLS = int(os.environ.get("HELIOGRAPH_TEST_BROADCAST_KILLS", "4"))
KEY = "hg_live_broadcast_kills_0123456789"
RECIPIENTS = 1_500 + 250 * KILLS


@pytest.mark.timeout(300)
async def test_a_broadcast_survives_kills_without_a_repeat_or_a_gap(tmp_path: Path) -> None:
    dice = random.Random(KILLS)
    port = free_port()
    settings = {
        "API_KEY": KEY,
        "PORT": str(port),
        "DATABASE_URL": f"sqlite:///{tmp_path}/h.db",
        "RATE_LIMIT_PER_SECOND": "0",
    }
    server = Program("server", ("-m", "heliograph.cli.main", "serve"), port, settings, tmp_path)
    chats = [f"9195{n:08d}" for n in range(RECIPIENTS)]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as http:
        try:
            await server.start()
            await server.ready(http)
            body = {"chat_ids": chats, "message": "Hi", "delay": 0}
            made = await _call(http, "POST", f"{server.url}/v1/message/broadcast", body)
            path = f"{server.url}/v1/queue/broadcast?broadcast_id={made['broadcast_id']}"
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0.02, 0.3))
                await server.kill()
                await server.start()
                await server.ready(http)
            for _ in range(1_200):
                state = await _call(http, "GET", path)
                if state["state"] == "completed":
                    break
                await asyncio.sleep(0.1)
            rows = await _call(http, "GET", f"{server.url}/simulator/messages?limit=100000")
        finally:
            await server.stop()
    assert (state["state"], state["sent_chats"], state["failed_chats"]) == ("completed", RECIPIENTS, 0)
    seen = Counter(row["chat_id"].removesuffix("@c.us") for row in rows)
    assert seen == Counter(chats)
    assert {row["shown"] for row in rows} == {1}


async def _call(http: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    async with http.request(method, url, json=body) as answer:
        assert answer.status == 200
        return await answer.json()
