"""Webhooks of a provider, stored and then applied: in the face of a store that is away, a lost phone, and slow ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from heliograph.domain.jobs.ids import JobIds
from heliograph.ports.provider import Inbound, Phone, Receipt, SessionState
from heliograph.ports.provider_inbox import InboxItem, NewInboxItem, ProviderUpdate
from heliograph.sender.provider_inbox import InboxService
from heliograph.store.database.sqlite import SqliteDatabase
from heliograph.store.provider_store import StoredInbox
from tests.simulator.graph.setup import MachineClock, until

CLOCK = MachineClock()
PHONE = Phone(7, "phone-a", "447700900000", "cloud")


@dataclass
class Sink:
    """Keeps what came; `broken`: cannot store now; `gate`: what a receipt named slow waits for."""

    got: list[str] = field(default_factory=list)
    broken: bool = False
    refused: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        if self.broken:
            self.refused += 1
            raise OSError("the store is away")
        if receipts[0].tracker == "slow":
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
class World:
    inbox: StoredInbox
    service: InboxService
    sink: Sink
    owned: list[tuple[int, Phone]]
    logged: list[str]

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
async def world(folder: Path) -> AsyncIterator[World]:
    shell = SqliteDatabase(str(folder / "inbox.db"), lambda _seconds, _units: None, CLOCK.monotonic)
    await shell.open()
    inbox, sink, owned = StoredInbox(shell, JobIds(CLOCK.now_us)), Sink(), [(1, PHONE)]
    logged: list[str] = []
    service = InboxService(
        inbox, sink, read, owned=lambda: owned, clock=CLOCK, log=lambda event, **more: logged.append(event)
    )
    running = asyncio.create_task(service.run())
    try:
        yield World(inbox, service, sink, owned, logged)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await shell.close()


async def test_what_is_stored_is_applied_and_then_gone(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.keep("a", "empty", "said-1", "b")
        await here.empty()
        assert sorted(here.sink.got) == ["a", "b", "said-1"]


async def test_what_the_sink_cannot_store_stays_and_is_applied_later(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.sink.broken = True
        await here.keep("a")
        await until(lambda: here.sink.refused > 0)
        assert await here.waiting() == ["a"] and "webhook_not_applied" in here.logged
        here.sink.broken = False
        await here.empty()
        assert here.sink.got == ["a"]


async def test_a_receipt_that_waits_for_its_answer_holds_up_no_other(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.keep("slow", "quick")
        await until(lambda: here.sink.got == ["quick"])
        here.sink.gate.set()
        await here.empty()
        assert here.sink.got == ["quick", "slow"]


async def test_a_phone_that_nobody_owns_keeps_its_webhooks_until_somebody_does(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.owned.clear()
        await here.keep("a")
        await here.keep("b", phone_no=8)
        here.owned.append((1, Phone(8, "phone-b", "447700900008", "cloud")))
        here.service.wake()
        await until(lambda: here.sink.got == ["b"])
        assert await here.waiting() == ["a"]
        here.owned.append((1, PHONE))
        await here.empty()
        assert here.sink.got == ["b", "a"]


async def test_a_restart_applies_what_was_under_way_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.keep("slow")
        await until(lambda: bool(here.service._under_way))
    async with world(tmp_path) as again:
        again.sink.gate.set()
        await again.empty()
        assert again.sink.got == ["slow"]


async def test_a_thousand_webhooks_are_applied_each_once(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        for wave in range(10):
            await here.keep(*(f"{wave}-{n}" for n in range(100)))
        await here.empty()
        assert len(here.sink.got) == len(set(here.sink.got)) == 1_000
