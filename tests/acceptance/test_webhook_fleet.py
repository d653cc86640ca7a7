"""Tests of several webhook processes on one PostgreSQL: after a kill every event is still delivered, in order."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from heliograph.cli.prove.processes import Program, free_port
from tests.kit.until import until
from tests.webhooks.gateway import ALL, receiving

KEY = "hg_live_webhook_fleet_0123456789"
MESSAGES = 40

pytestmark = pytest.mark.timeout(240)


async def test_a_killed_webhook_process_leaves_its_work_to_another(postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    shared = {"DATABASE_URL": postgres_url, "API_KEY": KEY, "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}
    serve = ("-m", "heliograph.cli.main", "serve")
    gateway = Program("gateway", serve, port, shared | {"PORT": str(port), "ROLES": "api,sender"}, tmp_path)
    tellers = [Program(f"teller-{n}", serve, 0, shared | {"ROLES": "webhooks"}, tmp_path, probe=None) for n in range(3)]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as http, receiving() as receiver:
        try:
            await gateway.start()
            await gateway.ready(http)
            body = {"hookUrl": receiver.url, "integrationName": list(ALL)}
            async with http.post(f"{gateway.url}/v1/webhooks", json=body) as made:
                assert made.status == 201, await made.text()
            for teller in tellers[:2]:
                await teller.start()
            for n in range(MESSAGES):
                message = {"chat_id": f"44770090{n % 8:04d}", "message": str(n)}
                async with http.post(f"{gateway.url}/v1/message/send", json=message) as sent:
                    assert sent.status == 200, await sent.text()
            await until(lambda: len(receiver.got) >= 20, limit_s=60)
            await tellers[0].kill()
            await tellers[2].start()
            wanted = MESSAGES * 8
            await until(lambda: len({got.headers["webhook-id"] for got in receiver.got}) >= wanted, limit_s=90)
            await asyncio.sleep(0.5)
        finally:
            for program in (gateway, *tellers):
                await program.stop()
    first: dict[str, list[int]] = {}
    seen: set[str] = set()
    for got in receiver.got:
        if got.headers["webhook-id"] not in seen:
            seen.add(got.headers["webhook-id"])
            first.setdefault(got.body["queue_id"], []).append(got.body["sequence"])
    assert len(seen) == wanted and len(first) == MESSAGES
    assert all(sequences == sorted(sequences) for sequences in first.values())
