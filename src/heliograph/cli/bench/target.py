"""A gateway of its own for each measurement, on a fresh SQLite file or a fresh PostgreSQL database."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from heliograph.cli.bench.http_load import HttpLoad, hammer, send_request
from heliograph.cli.prove.processes import Program, ProofFailed, free_port

FIRST_PHONE = 447700900000  # a range that is reserved for fiction
CHATS = 900


@dataclass
class BenchTarget:
    program: Program
    key: str
    http: aiohttp.ClientSession
    start_s: float = 0.0
    sent: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def call(self, method: str, path: str, body: Any = None, *, phone: str | None = None) -> Any:
        headers = self.headers | ({"x-phone": phone} if phone else {})
        async with self.http.request(method, self.program.url + path, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise ProofFailed(f"{method} {path} was answered with {answer.status} {(await answer.text())[:300]}")
            return await answer.json()

    async def start(self) -> None:
        began = time.monotonic()
        await self.program.start()
        await self.program.ready(self.http)
        self.start_s = time.monotonic() - began

    async def phones(self, count: int) -> list[str]:
        numbers = [str(FIRST_PHONE + n) for n in range(count)]
        for number in numbers[1:]:
            await self.call("POST", "/v1/phones/create", {"provider": "simulator", "number": number})
        return numbers

    async def offline(self, off: bool) -> None:
        await self.call("PUT", "/simulator/faults", {"offline": off})

    async def health(self) -> dict[str, int]:
        health: dict[str, int] = await self.call("GET", "/v1/message/queues/health")
        return health

    async def send(
        self, phones: list[str], *, count: int | None = None, seconds: float | None = None, connections: int = 64
    ) -> HttpLoad:
        """`count` messages, or as many as `seconds` allow, spread over the phones and their chats."""
        first = self.sent
        until = time.monotonic() + seconds if seconds else float("inf")

        def following() -> bytes | None:
            if (count is not None and self.sent - first >= count) or time.monotonic() > until:
                return None
            n = self.sent
            self.sent += 1
            chat = f"4477009{(n // len(phones)) % CHATS:05d}@c.us"
            return send_request(self.key, phones[n % len(phones)], chat, n)

        return await hammer(self.program.port, connections, following)

    def rss_mb(self) -> float:
        """Resident memory; 0 where the machine does not tell."""
        assert self.program.process is not None
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.program.process.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        return 0.0


@contextlib.asynccontextmanager
async def gateway(folder: Path, server: str | None, **settings: str) -> AsyncIterator[BenchTarget]:
    """Running and ready. `server`: URL of a PostgreSQL server on which a database may be made; None: SQLite."""
    folder.mkdir()
    key, port = secrets.token_hex(16), free_port()
    async with _database(server) as url, aiohttp.ClientSession() as http:
        names = {
            "DATABASE_URL": url,
            "API_KEY": key,
            "SIMULATOR_PHONE": str(FIRST_PHONE),
            "RATE_LIMIT_PER_SECOND": "0",
            "LOG_LEVEL": "warning",
            **settings,
        }
        arguments = ["-m", "heliograph.cli.main", "serve", "--port", str(port)]
        found = BenchTarget(Program("gateway", arguments, port, names, folder), key, http)
        try:
            await found.start()
            yield found
        finally:
            await found.program.stop()


@contextlib.asynccontextmanager
async def _database(server: str | None) -> AsyncIterator[str]:
    if server is None:
        yield "sqlite:///bench.db"
        return
    import asyncpg

    name = f"heliograph_bench_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        await asyncio.sleep(0)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
