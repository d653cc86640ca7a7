"""Tests of the network's journal: it survives a kill, handles repeats, and bounds its memory."""

import asyncio
import gc
import sqlite3
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from heliograph.domain.errors import CannotStart
from heliograph.domain.jobs.outcome import Accepted, NotSent, SessionDown
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Phone, Receipt, SessionState
from heliograph.ports.simulated_network import OutboundMessage
from heliograph.simulator import journal
from heliograph.simulator.faults import Faults
from heliograph.simulator.journal import FOLD_STEP
from tests.kit.provider import RecordingSink
from tests.simulator.network_client import Client, network_client

ANYONE = "919537851844@c.us"
ID = "3EB0AAAAAAAAAAAAAAAAAA"


def copy_as_killed(path: Path, to: Path) -> Path:
    """Copies the files as a kill -9 leaves them."""
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            to.with_name(to.name + suffix).write_bytes(source.read_bytes())
    return to


async def test_a_message_that_was_answered_survives_a_kill(client: Client, tmp_path: Path) -> None:
    for n in range(30):
        assert await client.send(ANYONE, f"message {n}") == Accepted()
    left = copy_as_killed(client.path, tmp_path / "left.db")
    async with network_client(left, connected=False) as again:
        assert [message["body"] for message in await again.journal()] == [f"message {n}" for n in range(30)]


async def test_receipts_that_were_owed_come_after_a_kill_with_their_true_times(client: Client, tmp_path: Path) -> None:
    await client.send(ANYONE, unique_id=ID)
    sent_at_us = client.clock.now_us()
    left = copy_as_killed(client.path, tmp_path / "left.db")
    client.clock.advance(5)
    async with network_client(left, clock=client.clock) as again:
        await again.until(lambda: again.sink.acks(ID) == [3, 4])
        delivered, read = (receipt.at_us for receipt in again.sink.got)
        assert abs(delivered - sent_at_us - 200_000) <= 40_000 and read - delivered == 300_000


async def test_receipts_that_were_still_to_come_are_not_early_after_a_kill(client: Client, tmp_path: Path) -> None:
    await client.send("12025550104@c.us", unique_id=ID)
    await client.until(lambda: client.sink.acks(ID) == [3])
    await client.journal()
    left = copy_as_killed(client.path, tmp_path / "left.db")
    at_kill = client.clock.monotonic()
    async with network_client(left, clock=client.clock) as again:
        await again.until(lambda: again.sink.acks(ID) == [4, 5])
        assert [round(at - at_kill, 1) for at in again.sink.times] == [0.3, 0.6]


async def test_a_confirmed_event_does_not_come_again(client: Client, tmp_path: Path) -> None:
    await client.send(ANYONE, unique_id=ID)
    await client.until(lambda: client.sink.acks(ID) == [3, 4])
    await client.journal()
    left = copy_as_killed(client.path, tmp_path / "left.db")
    async with network_client(left, clock=client.clock) as again:
        await again.pass_time(2)
        assert again.sink.got == []


async def test_a_receipt_is_confirmed_only_after_the_sink_returned(client: Client) -> None:
    client.sink.broken = True
    await client.send("12025550105@c.us", "ahoy", unique_id=ID)
    await client.pass_time(3)
    assert client.sink.got == [] and client.sink.calls > 1
    client.sink.broken = False
    await client.until(lambda: client.sink.acks(ID) == [3, 4] and len(client.sink.messages) == 1)
    await client.pass_time(2)
    assert client.sink.acks(ID) == [3, 4] and [message.body for message in client.sink.messages] == ["ahoy"]


async def test_what_fell_due_while_the_line_was_closed_comes_when_it_opens(client: Client) -> None:
    for n in range(1200):  # more than one page
        await client.network.transmit(_frame(client, f"3EB0{n:04d}"))
    await client.provider.close(1)
    await client.pass_time(2)
    assert client.sink.got == []
    other = RecordingSink(client.clock)
    await client.provider.open(client.phone, other)
    await client.until(lambda: len(other.got) == 2400)
    await client.pass_time(1)
    assert len(other.got) == 2400 and all(other.acks(f"3EB0{n:04d}") == [3, 4] for n in (0, 599, 1199))


async def test_a_gateway_that_is_slow_gets_everything_once_and_the_rest_waits_in_the_file(
    client: Client,
) -> None:
    gate = asyncio.Event()
    plain = client.sink.receipts

    async def slow(phone_no: int, receipts: Sequence[Receipt]) -> None:
        await gate.wait()
        await plain(phone_no, receipts)

    client.sink.receipts = slow  # type: ignore[method-assign]
    for n in range(6000):
        await client.network.transmit(_frame(client, f"3EB0{n:04d}"))
    await client.pass_time(2)
    session = client.network.sessions["phone-one"]
    assert session.behind
    gate.set()
    await client.until(lambda: len(client.sink.got) >= 12000)
    await client.pass_time(1)
    assert len(client.sink.got) == 12000


async def test_receipts_that_fall_due_together_come_in_one_call(client: Client) -> None:
    await asyncio.gather(*(client.network.transmit(_frame(client, f"3EB0{n}")) for n in range(50)))
    await client.until(lambda: len(client.sink.got) == 100)
    assert client.sink.calls <= 4


async def test_a_repeat_is_counted_and_shown_once_but_another_phone_or_chat_is_another_message(
    client: Client,
) -> None:
    for _ in range(3):
        await client.send(ANYONE, "first", unique_id=ID)
    await client.send("919537851845@c.us", "other chat", unique_id=ID)
    shown = [(message["body"], message["transmissions"], message["shown"]) for message in await client.journal()]
    assert shown == [("first", 3, 1), ("other chat", 1, 1)]


async def test_a_cancelled_send_may_have_arrived_and_a_repeat_is_recognised(client: Client) -> None:
    request = client.request(ANYONE, unique_id=ID)
    task = asyncio.ensure_future(client.provider.send(request))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert await client.finish(client.provider.send(request)) == Accepted()
    (message,) = await client.journal()
    assert message["shown"] == 1


async def test_the_count_of_failures_survives_a_kill(client: Client, tmp_path: Path) -> None:
    assert isinstance(await client.send("12025550111@c.us", unique_id=ID), NotSent)
    left = copy_as_killed(client.path, tmp_path / "left.db")
    async with network_client(left, clock=client.clock) as again:
        assert isinstance(await again.send("12025550111@c.us", unique_id=ID), NotSent)
        assert await again.send("12025550111@c.us", unique_id=ID) == Accepted()


async def test_a_phone_that_was_logged_out_is_so_after_a_kill_too(client: Client, tmp_path: Path) -> None:
    await client.send("12025550180@c.us")
    left = copy_as_killed(client.path, tmp_path / "left.db")
    async with network_client(left, clock=client.clock) as again:
        assert again.sink.state() is SessionState.LOGGED_OUT
        assert isinstance(await again.send(ANYONE), SessionDown)


async def test_nothing_is_sent_on_a_closed_line(client: Client) -> None:
    await client.provider.close(1)
    assert isinstance(await client.send(ANYONE), SessionDown)
    assert await client.journal() == []


async def test_memory_does_not_grow_with_the_number_of_messages(client: Client) -> None:
    await client.network.set_faults(Faults(receipts=False))
    await _burst(client, 0, 4000)
    await client.journal()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await _burst(client, 4000, 30_000)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 200_000


async def test_the_log_is_compacted_when_no_write_comes(client: Client) -> None:
    await client.network.set_faults(Faults(receipts=False))
    await _burst(client, 0, 2 * FOLD_STEP + 1)
    async with asyncio.timeout(20):
        while client.network.journal.log_size:
            await client.pass_time(0.1)


async def test_a_very_long_log_is_folded_between_two_batches(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOG_LIMIT", 5_000)
    monkeypatch.setattr(journal, "IDLE_S", 1e9)
    await client.network.set_faults(Faults(receipts=False))
    await _burst(client, 0, 15_000)
    assert client.network.journal.log_size < 6_000


async def test_two_phones_of_one_number_get_their_own_receipts(client: Client) -> None:
    other = RecordingSink(client.clock)
    second = Phone(2, "phone-two", client.phone.number, "simulator")
    await client.provider.open(second, other)
    await client.send(ANYONE, unique_id=ID)
    await client.pass_time(2)
    assert client.sink.acks(ID) == [3, 4] and other.got == []


async def _burst(client: Client, first: int, count: int) -> None:
    async def lane(start: int) -> None:
        for n in range(start, first + count, 100):
            await client.network.transmit(_frame(client, f"3EB0{n:07d}"))

    await asyncio.gather(*(lane(first + n) for n in range(100)))


def _frame(client: Client, unique_id: str) -> OutboundMessage:
    return OutboundMessage(client.phone.phone_id, client.phone.number, ANYONE, unique_id, Content(Kind.TEXT, "hello"))


async def test_a_journal_that_cannot_be_written_accepts_nothing_until_it_can(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(item: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(client.network.journal, "_write_one", full)  # private: a full disk is not to be had here
        assert isinstance(await client.send(ANYONE, unique_id=ID), NotSent)
    assert await client.send(ANYONE, unique_id=ID) == Accepted()
    assert [message["transmissions"] for message in await client.journal()] == [1]


async def test_a_journal_is_one_process_s_by_whatever_link_it_is_named(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOCK_WAIT_S", 0.0)
    link = tmp_path / "link.db"
    link.symlink_to(client.path)
    with pytest.raises(CannotStart, match="in use by another process"):
        async with network_client(link):
            pass


async def test_what_goes_wrong_beside_the_network_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with network_client(tmp_path / "network.db"):
            raise ZeroDivisionError
