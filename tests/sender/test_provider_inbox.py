"""Tests of stored provider webhooks: they are applied once, also with a failing store, a lost phone, or a slow one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from heliograph.clock import SystemClock
from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.provider import Inbound, Phone, Receipt, SessionState
from heliograph.ports.provider_inbox import InboxItem, NewInboxItem, ProviderUpdate
from heliograph.sender.provider_inbox import InboxService
from heliograph.store.provider_store import SqlProviderInbox
from tests.kit.database import make_database
from tests.kit.log import RecordedLog
from tests.kit.until import until

CLOCK = SystemClock()
PHONE = Phone(7, "phone-a", "447700900000", "cloud")


@dataclass
class Sink:
    """A sink that records. `broken`: it cannot store now. `gate`: the event that a receipt named slow waits for."""

    got: list[str] = field(default_factory=list)
    broken: bool = False
    refused: int = 0
    slow_calls: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        if self.broken:
            self.refused += 1
            raise OSError("the store is away")
        if receipts[0].tracker == "slow":
            self.slow_calls += 1
            await self.gate.wait()
        self.got += [str(one.tracker) for one in receipts]

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None:
        self.got += [one.message_id for one in messages]

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
        raise AssertionError("a webhook says nothing of the session")


def read(phone: Phone, payload: bytes, received_at_us: int) -> ProviderUpdate:
    word = payload.decode()
    if word == "empty":
        return ProviderUpdate()
    if word.startswith("said"):
        return ProviderUpdate(inbound=(Inbound(word, "c", "c", 1, "chat"),))
    return ProviderUpdate(receipts=(Receipt(2, 1, tracker=word),))


@dataclass
class RunningInbox:
    inbox: SqlProviderInbox
    service: InboxService
    sink: Sink
    owned: list[tuple[int, Phone]]
    log: RecordedLog

    async def keep(self, *words: str, phone_no: int = 7) -> None:
        await self.inbox.keep_deliveries([NewInboxItem(1, phone_no, CLOCK.now_us(), word.encode()) for word in words])
        self.service.wake((phone_no,))

    async def waiting(self, phone_no: int = 7) -> list[str]:
        found: list[InboxItem] = await self.inbox.deliveries([(1, phone_no)], 1_000)
        return [one.payload.decode() for one in found]

    async def empty(self) -> None:
        end = CLOCK.monotonic() + 10
        while await self.waiting():
            assert CLOCK.monotonic() < end
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running_inbox(folder: Path) -> AsyncIterator[RunningInbox]:
    database = make_database(folder / "inbox.db", CLOCK)
    await database.open()
    inbox, sink, owned = SqlProviderInbox(database, CLOCK, JobIds(CLOCK.now_us)), Sink(), [(1, PHONE)]
    log = RecordedLog()
    service = InboxService(inbox, sink, read, owned=lambda: owned, clock=CLOCK, log=log)
    running = asyncio.create_task(service.run())
    try:
        yield RunningInbox(inbox, service, sink, owned, log)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


async def test_a_stored_webhook_is_applied_and_then_removed(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as inbox:
        await inbox.keep("a", "empty", "said-1", "b")
        await inbox.empty()
        assert sorted(inbox.sink.got) == ["a", "b", "said-1"]


async def test_a_webhook_that_the_sink_cannot_store_stays_and_is_applied_later(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as inbox:
        inbox.sink.broken = True
        await inbox.keep("a")
        await until(lambda: inbox.sink.refused > 0)
        assert await inbox.waiting() == ["a"] and "webhook_not_applied" in inbox.log.events
        inbox.sink.broken = False
        await inbox.empty()
        assert inbox.sink.got == ["a"]


async def test_a_receipt_that_waits_for_its_answer_holds_up_no_other(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as inbox:
        await inbox.keep("slow", "quick")
        await until(lambda: inbox.sink.got == ["quick"])
        inbox.sink.gate.set()
        await inbox.empty()
        assert inbox.sink.got == ["quick", "slow"]


async def test_a_phone_without_an_owner_keeps_its_webhooks_until_it_has_one(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as inbox:
        inbox.owned.clear()
        await inbox.keep("a")
        await inbox.keep("b", phone_no=8)
        inbox.owned.append((1, Phone(8, "phone-b", "447700900008", "cloud")))
        inbox.service.wake()
        await until(lambda: inbox.sink.got == ["b"])
        assert await inbox.waiting() == ["a"]
        inbox.owned.append((1, PHONE))
        await inbox.empty()
        assert inbox.sink.got == ["b", "a"]


async def test_a_restart_applies_interrupted_webhooks_again(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as inbox:
        await inbox.keep("slow")
        await until(lambda: inbox.sink.slow_calls > 0)
    async with running_inbox(tmp_path) as again:
        again.sink.gate.set()
        await again.empty()
        assert again.sink.got == ["slow"]


async def test_a_thousand_webhooks_are_applied_each_once(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as inbox:
        for wave in range(10):
            await inbox.keep(*(f"{wave}-{n}" for n in range(100)))
        await inbox.empty()
        assert len(inbox.sink.got) == len(set(inbox.sink.got)) == 1_000
