"""Tests of faults that apply to every recipient."""

from pathlib import Path

import pytest

from heliograph.domain.errors import Invalid
from heliograph.domain.jobs.outcome import Accepted, NotSent, SessionDown, Unknown
from heliograph.ports.provider import SessionState
from heliograph.simulator.faults import Faults, changed
from tests.simulator.network_client import Client, network_client

ANYONE = "919537851844@c.us"


async def outcomes(client: Client, count: int) -> list[str]:
    return [type(await client.send(ANYONE)).__name__ for _ in range(count)]


async def test_offline_holds_every_phone_and_says_when_it_ends(client: Client) -> None:
    await client.network.set_faults(Faults(offline=True))
    await client.until(lambda: client.sink.state() is SessionState.OFFLINE)
    assert isinstance(await client.send(ANYONE), SessionDown)
    await client.network.set_faults(Faults())
    await client.until(lambda: client.sink.state() is SessionState.CONNECTED)
    assert await client.send(ANYONE) == Accepted()


async def test_receipts_that_fall_due_while_offline_come_afterwards(client: Client) -> None:
    await client.send(ANYONE, unique_id="3EB0A")
    await client.network.set_faults(Faults(offline=True))
    await client.pass_time(3)
    assert client.sink.got == []
    assert [message["ack"] for message in await client.journal()] == [4]
    await client.network.set_faults(Faults())
    await client.until(lambda: client.sink.acks("3EB0A") == [3, 4])


async def test_latency_delays_each_answer_and_its_receipts(client: Client) -> None:
    await client.network.set_faults(Faults(latency_ms=1500))
    await client.send(ANYONE, unique_id="3EB0A")
    assert 1.5 <= client.clock.monotonic() < 1.6
    assert client.sink.got == []
    await client.until(lambda: client.sink.acks("3EB0A") == [3, 4])


async def test_a_transient_rate_of_one_takes_nothing(client: Client) -> None:
    await client.network.set_faults(Faults(transient_rate=1.0))
    assert isinstance(await client.send(ANYONE), NotSent)
    assert await client.journal() == []


async def test_a_lost_answer_was_taken_and_its_repeat_is_shown_once(client: Client) -> None:
    await client.network.set_faults(Faults(lost_answer_rate=1.0))
    lost = await client.send(ANYONE, unique_id="3EB0A")
    assert isinstance(lost, Unknown) and not lost.taken
    await client.network.set_faults(Faults())
    assert await client.send(ANYONE, unique_id="3EB0A") == Accepted()
    (message,) = await client.journal()
    assert (message["transmissions"], message["shown"]) == (2, 1)


async def test_without_receipts_none_comes(client: Client) -> None:
    await client.network.set_faults(Faults(receipts=False))
    await client.send(ANYONE)
    await client.pass_time(2)
    assert client.sink.got == []
    assert [message["ack"] for message in await client.journal()] == [1]


async def test_the_same_seed_gives_the_same_faults(client: Client) -> None:
    rates = Faults(transient_rate=0.3, lost_answer_rate=0.3, seed=11)
    await client.network.set_faults(rates)
    first = await outcomes(client, 40)
    await client.network.set_faults(rates)
    assert await outcomes(client, 40) == first
    assert set(first) == {"Accepted", "NotSent", "Unknown"}


async def test_faults_outlive_a_restart_of_the_network(tmp_path: Path) -> None:
    async with network_client(tmp_path / "network.db") as client:
        await client.network.set_faults(Faults(offline=True))
    async with network_client(tmp_path / "network.db", connected=False) as again:
        assert again.network.faults == Faults(offline=True)


def test_unnamed_faults_stay_and_an_empty_body_resets_all() -> None:
    slow = changed(Faults(), {"latency_ms": 20, "seed": 3})
    assert changed(slow, {"offline": True}) == Faults(latency_ms=20, offline=True, seed=3)
    assert changed(slow, {}) == Faults()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": "5"}, "latency_ms"),
        ({"latency_ms": 1e12}, "latency_ms"),
        ({"transient_rate": 1.1}, "transient_rate"),
        ({"lost_answer_rate": None}, "lost_answer_rate"),
        ({"offline": 1}, "offline"),
        ({"receipts": "no"}, "receipts"),
        ({"seed": 0.5}, "seed"),
        ({"seed": 1 << 70}, "seed"),
        ({"rate": 1}, "rate"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_by_name(change: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        changed(Faults(), change)
    assert list(refused.value.fields) == [field]
