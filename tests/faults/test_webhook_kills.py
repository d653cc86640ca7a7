"""Tests of a gateway that is killed repeatedly while it delivers: no event is lost, and a repeat keeps its id.

HELIOGRAPH_TEST_WEBHOOK_KILLS=100 kills more often than the few of an ordinary run.
"""

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from heliograph.cli.prove.processes import Program, free_port
from tests.webhooks.gateway import ALL, Receiver, Request, receiving

KILLS = int(os.environ.get("HELIOGRAPH_TEST_WEBHOOK_KILLS", "5"))
KEY = "hg_live_webhook_kills_0123456789"
CHATS = 12
CLIENTS = 4
RECEIVERS = 3
QUIET_S = 90.0


def expected(ends: str) -> list[tuple[str, str]]:
    """(event, ack) of a message on its way, in order."""
    sent = [("message.sent", "1"), ("message.ack.updated", "1"), ("message.ack.updated", "2")]
    read = [
        ("message.delivered", "3"),
        ("message.ack.updated", "3"),
        ("message.read", "4"),
        ("message.ack.updated", "4"),
    ]
    failed = [("message.failed", "-1"), ("message.ack.updated", "-1")]
    return [("message.created", "0"), *(failed if ends == "failed" else sent + read)]


class Load:
    """Clients that send until told to stop; each message with a key, repeated until it is answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.accepted: dict[str, str] = {}
        self.stopped = False

    async def client(self, http: aiohttp.ClientSession, number: int) -> None:
        n = 0
        while not self.stopped:
            n += 1
            failing = n % 10 == 0
            chat = "12025550140" if failing else f"4477009{(number * 3 + n) % CHATS:05d}"
            body = {"chat_id": chat, "message": f"{number}/{n}"}
            queue_id = await self._send(http, body, f"{number}-{n}")
            self.accepted[queue_id] = "failed" if failing else "read"
            await asyncio.sleep(0.02)

    async def _send(self, http: aiohttp.ClientSession, body: dict[str, str], key: str) -> str:
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
        while True:
            try:
                async with http.post(f"{self.url}/v1/message/send", json=body, headers=headers) as answer:
                    if answer.status == 200:
                        return str((await answer.json())["queue_id"])
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120 + 20 * KILLS)
async def test_kills_during_delivery_lose_no_event_and_repeat_only_under_the_same_id(tmp_path: Path) -> None:
    chance = random.Random(KILLS)

    def answer(got: Request) -> int:
        return 503 if chance.random() < 0.03 else 200

    port = free_port()
    settings = {
        "API_KEY": KEY,
        "PORT": str(port),
        "RATE_LIMIT_PER_SECOND": "0",
        "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        "WEBHOOK_RETRY_SECONDS": "0.2,0.2,0.5,0.5,1,1,1,1",
    }
    program = Program("gateway", ("-m", "heliograph.cli.main", "serve"), port, settings, tmp_path)
    async with (
        aiohttp.ClientSession() as http,
        receiving(answer) as one,
        receiving(answer) as two,
        receiving() as three,
    ):
        receivers = [one, two, three]
        try:
            await program.start()
            await program.ready(http)
            for receiver in receivers:
                await _add_hook(http, program.url, receiver)
            load = Load(program.url)
            async with asyncio.TaskGroup() as group:
                for number in range(CLIENTS):
                    group.create_task(load.client(http, number))
                for _ in range(KILLS):
                    await asyncio.sleep(chance.uniform(0.3, 1.5))
                    await program.kill()
                    await program.start()
                    await program.ready(http)
                load.stopped = True
            await _quiet(receivers, load)
        finally:
            await program.stop()
    assert len(load.accepted) > 20
    for receiver in receivers:
        check(receiver, load.accepted)


async def _add_hook(http: aiohttp.ClientSession, url: str, receiver: Receiver) -> None:
    body = {"hookUrl": receiver.url, "integrationName": list(ALL)}
    async with http.post(f"{url}/v1/webhooks", json=body, headers={"Authorization": f"Bearer {KEY}"}) as answer:
        assert answer.status == 201, await answer.text()


async def _quiet(receivers: list[Receiver], load: Load) -> None:
    """Waits until each receiver has all events, or no more come."""
    wanted = sum(len(expected(ends)) for ends in load.accepted.values())
    limit = time.monotonic() + QUIET_S
    while time.monotonic() < limit:
        if all(len({got.headers["webhook-id"] for got in receiver.got}) >= wanted for receiver in receivers):
            return
        await asyncio.sleep(0.2)


def check(receiver: Receiver, accepted: dict[str, str]) -> None:
    first: dict[str, list[Any]] = {}
    delivered: dict[str, tuple[str, str, str]] = {}
    for got in receiver.got:
        body = got.body
        what = (body["queue_id"], body["event"], body["data"]["ack"])
        if body["id"] not in delivered:
            first.setdefault(body["queue_id"], []).append((body["sequence"], body["event"], body["data"]["ack"]))
        assert delivered.setdefault(body["id"], what) == what, "one id, two contents"
    assert max(Counter(delivered.values()).values()) == 1, "one event under two ids"
    assert set(first) == set(accepted)
    late = 0
    for queue_id, ends in accepted.items():
        events = first[queue_id]
        assert sorted((event, ack) for _, event, ack in events) == sorted(expected(ends)), queue_id
        late += [each[0] for each in events] != sorted(each[0] for each in events)
    assert late <= len(accepted) // 100, f"{late} messages out of order"  # a delivery parked after three failed tries


def test_the_check_catches_lost_events_and_changed_ids() -> None:
    def got(id_: str, event: str, ack: str, sequence: int) -> Request:
        raw = f'{{"id":"{id_}","event":"{event}","queue_id":"q","sequence":{sequence},"data":{{"ack":"{ack}"}}}}'
        return Request({"webhook-id": id_}, raw.encode())

    whole = [got(secrets.token_hex(4), event, ack, n) for n, (event, ack) in enumerate(expected("read"))]
    check(Receiver(got=[*whole, whole[0]]), {"q": "read"})
    for broken in (
        whole[1:],
        [*whole, got("another", "message.sent", "1", 1)],
        [
            *whole,
            Request(whole[0].headers, whole[1].raw.replace(whole[1].body["id"].encode(), whole[0].body["id"].encode())),
        ],
        list(reversed(whole)),
    ):
        with pytest.raises(AssertionError):
            check(Receiver(got=broken), {"q": "read"})
