"""Wake-ups between processes on PostgreSQL, by LISTEN and NOTIFY: a phone may have work, or events wait for fan-out.

A hint is sent separately, not in the transaction that created the work: NOTIFY in a commit takes a lock that all
commits share. A process sends at most 20 hints of a kind a second, each with all phones since the last. Hints may be
lost: a sender polls each second, a webhook worker four times a second.

Weakness: where nobody can listen (a wrong HELIOGRAPH_WAKE_DATABASE_URL, a pooler in transaction mode), work waits for
those polls, and only the log says why.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import asyncpg
import structlog

from heliograph.ports.clock import Clock
from heliograph.ports.wake import FleetWake
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.postgresql import AWAY, execute, split_url
from heliograph.store.database.unit import Unit, query
from heliograph.store.webhooks.fan_out import fan_out_due

CHANNEL = "heliograph_wake"
GATHER_S = 0.05
MAX_PHONES = 500  # phones in one hint: a payload holds 8,000 bytes
RETRY_S = 2.0
CHECK_S = 30.0  # after this a connection whose other end vanished is noticed
ANSWER_S = 5.0
FREED = 0  # no phone has this number
EVENTS = "events"  # a payload without phones: events were stored that wait for fan-out
_log = structlog.get_logger(__name__)


class PostgresWake:
    """Implements ports.wake.Wake for a fleet."""

    def __init__(self, url: str, database: Database, clock: Clock) -> None:
        self._url, self._options = split_url(url)
        self._database = database
        self._clock = clock
        self._local: FleetWake | None = None
        self._mine: Callable[[int], bool] = lambda _: False
        self._waiting: set[int] = set()
        self._some = asyncio.Event()
        self._stored = asyncio.Event()
        self._hear_events: Callable[[], None] | None = None

    def serve(self, local: FleetWake, mine: Callable[[int], bool]) -> None:
        """Names the sender of this process and its own phones. Call it before `run`."""
        self._local, self._mine = local, mine

    def serve_events(self, hear: Callable[[], None]) -> None:
        """Names the webhook worker of this process. Call it before `run`."""
        self._hear_events = hear

    def stored(self) -> None:
        """Notes a commit in a process without webhook worker: others get a hint if events wait."""
        self._stored.set()

    def phones(self, phone_nos: Iterable[int]) -> None:
        for phone_no in phone_nos:
            if self._local is not None and self._mine(phone_no):
                self._local.phones((phone_no,))
            else:
                self._waiting.add(phone_no)
                self._some.set()

    async def freed(self) -> None:
        """Tells others that phones were released, so that they need not wait for their next heartbeat."""
        await self._database.write(query, named.notify(channel=CHANNEL, payload=str(FREED)))

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            group.create_task(self._tell_events())
            if self._local is not None or self._hear_events is not None:
                group.create_task(self._listen())

    async def _tell(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            hinted = [self._waiting.pop() for _ in range(min(MAX_PHONES, len(self._waiting)))]
            try:
                payload = ",".join(map(str, hinted))
                await self._database.write(query, named.notify(channel=CHANNEL, payload=payload))
            except Exception:  # noqa: BLE001 - supervised: a hint may be lost
                await self._clock.sleep(RETRY_S)
            await self._clock.sleep(GATHER_S)
            if self._waiting:
                self._some.set()

    async def _tell_events(self) -> None:
        while True:
            await self._stored.wait()
            self._stored.clear()
            try:
                # as a reader: a write would be a commit, which would come back here
                await self._database.read(_events_hint)
            except Exception:  # noqa: BLE001 - supervised: a hint may be lost
                await self._clock.sleep(RETRY_S)
            await self._clock.sleep(GATHER_S)

    async def _listen(self) -> None:
        told = False
        while True:
            try:
                await self._hear()
                told = False
            except (*AWAY, asyncpg.PostgresError) as error:
                if not told:
                    _log.warning("wake_not_heard", error=f"{type(error).__name__}: {error}")
                told = True
            await self._clock.sleep(RETRY_S)

    async def _hear(self) -> None:
        ended = asyncio.Event()

        def heard(_connection: asyncpg.Connection, _pid: int, _channel: str, payload: object) -> None:
            if payload == EVENTS:
                if self._hear_events is not None:
                    self._hear_events()
            elif self._local is not None:
                numbers = [int(word) for word in str(payload).split(",") if word.isdigit()]
                if FREED in numbers:
                    self._local.phones_freed()
                self._local.phones(number for number in numbers if number != FREED)

        connection = await asyncpg.connect(self._url, timeout=5, **self._options)
        try:
            connection.add_termination_listener(lambda _connection: ended.set())
            await connection.add_listener(CHANNEL, heard)
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), CHECK_S)
                if not ended.is_set():
                    empty = next(query(named.notify(channel=CHANNEL, payload="")))
                    await asyncio.wait_for(execute(connection, empty), ANSWER_S)
        finally:
            connection.terminate()


def _events_hint() -> Unit[None]:
    if (yield from fan_out_due()):
        yield from query(named.notify(channel=CHANNEL, payload=EVENTS))
