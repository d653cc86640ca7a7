"""Clients that do what the documentation tells: one message of a chat after the other, each with an idempotency key,
repeated until it is answered.

Promise: whatever was accepted stands in `accepted` in the order of its chat, and nothing was given up half-way: a
request that was begun is repeated until an answer came.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from heliograph.cli.prove.processes import ProofFailed
from heliograph.domain.history_checker import Acceptance

RETRY_S = 0.2
PATIENCE_S = 120.0
REPEATED = 0.03  # of the accepted requests are sent once more, as a client does that lost the answer
# test recipients: a failure first, receipts in disorder and twice, an answer or a connection lost
ODD = ("10", "60", "61", "64", "65")
# asks to wait; takes the message, loses the answer and would not know it again: each holds its chat for a second or two
NO_IDS = "66"
SLOW = ("13", NO_IDS)
RARE = 0.12  # of the messages of a client that has one of these
PACED_PHONES = 0.08  # of the messages go to the paced phone
COME_BACK = frozenset({409, 429, 500, 502, 503})


def recipient(suffix: str) -> str:
    return f"120255501{suffix}@c.us"


@dataclass
class Load:
    """`base` is the API's address; `chats` are shared out among `clients`, each chat to one."""

    base: str
    key: str
    phones: Sequence[str]
    chats: int
    clients: int
    rate: float
    chance: random.Random
    odd: bool = True
    accepted: list[Acceptance] = field(default_factory=list)
    repeats: int = 0
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Sends until `closing` is set; returns when every request that was begun is answered."""
        async with asyncio.TaskGroup() as group:
            for client in range(self.clients):
                group.create_task(self._client(http, client))

    async def _client(self, http: aiohttp.ClientSession, client: int) -> None:
        chats = [f"4477009{chat:05d}@c.us" for chat in range(client, self.chats, self.clients)]
        # a test recipient belongs to one client, as every chat does
        odd = [recipient(suffix) for suffix in ODD[client :: self.clients]] if self.odd else []
        slow = [recipient(suffix) for suffix in SLOW[client :: self.clients]] if self.odd else []
        written = 0
        while not self.closing.is_set():
            # the last phone is paced, and would not keep up with more
            phone = self.phones[-1] if self.chance.random() < PACED_PHONES else self.chance.choice(self.phones[:-1])
            chat_id = self.chance.choice(slow if slow and self.chance.random() < RARE else [*chats, *odd])
            written += 1
            key = f"client-{client}-{written}"
            body = f"{key} to {chat_id}"
            await self._send(http, key, phone, chat_id, body)
            if self.chance.random() < REPEATED:
                self.repeats += 1
                await self._send(http, key, phone, chat_id, body)
            await asyncio.sleep(self.chance.random() * 2 * self.clients / self.rate)

    async def _send(self, http: aiohttp.ClientSession, key: str, phone: str, chat_id: str, body: str) -> None:
        headers = {"Authorization": f"Bearer {self.key}", "x-phone": phone, "Idempotency-Key": key}
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        last = "no answer"
        while asyncio.get_running_loop().time() < deadline:
            try:
                async with http.post(
                    f"{self.base}/v1/message/send",
                    json={"chat_id": chat_id, "message": body},
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=10),
                ) as answer:
                    if answer.status == 200:
                        told = await answer.json()
                        names = (told["queue_id"], told["unique_id"])
                        self.accepted.append(Acceptance(key, *names, phone, chat_id, body))
                        return
                    last = f"{answer.status} {(await answer.text())[:300]}"
                    if answer.status not in COME_BACK:
                        raise ProofFailed(f"a correct send was answered with {last}")
            except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                last = repr(problem)
            self.repeats += 1
            await asyncio.sleep(self.chance.uniform(0.2, 1) * RETRY_S)
        raise ProofFailed(f"a send was not answered within {PATIENCE_S:.0f} s, last: {last}")
