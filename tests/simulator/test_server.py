"""Tests of the network in its own process: HTTP, and sockets of several gateways that come and go."""

import asyncio
import contextlib
import io
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from heliograph.clock import SystemClock
from heliograph.domain.errors import CannotStart
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.outcome import Accepted, Outcome, SessionDown, Unknown
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Phone, SendRequest, SessionState
from heliograph.ports.simulated_network_protocol import PATH
from heliograph.providers.simulator.provider import SimulatorProvider
from heliograph.providers.simulator.remote_network import open_remote_network
from heliograph.simulator.server import simulator_server
from tests.kit.provider import RecordingSink
from tests.kit.until import until

ANYONE = "919537851844@c.us"
PROGRAM = """
import asyncio, random, sys
from pathlib import Path
from heliograph.simulator.server import serve
from heliograph.clock import SystemClock
asyncio.run(serve("127.0.0.1", int(sys.argv[2]), Path(sys.argv[1]), clock=SystemClock(), chance=random.Random(1),
                  started=lambda url: print(url, flush=True)))
"""


@asynccontextmanager
async def server(folder: Path, port: int = 0) -> AsyncIterator[str]:
    async with simulator_server(
        "127.0.0.1", port, folder / "network.db", clock=SystemClock(), chance=random.Random(1)
    ) as (url, _):
        yield url


@asynccontextmanager
async def gateway(url: str) -> AsyncIterator[SimulatorProvider]:
    async with aiohttp.ClientSession() as session, open_remote_network(url, session, SystemClock()) as network:
        provider = SimulatorProvider(network, SystemClock(), ack_timeout_s=0.3)
        yield provider
        await provider.shutdown()


def phone(n: int) -> Phone:
    return Phone(n, f"phone-{n}", f"44770090000{n}", "simulator")


def request(sender: Phone, unique_id: str, chat_id: str = ANYONE) -> SendRequest:
    return SendRequest(sender, JobId(1), unique_id, chat_id, Content(Kind.TEXT, f"from {sender.number}"), 1)


async def open_phone(provider: SimulatorProvider, one: Phone) -> RecordingSink:
    sink = RecordingSink()
    await provider.open(one, sink)
    await until(lambda: sink.state() is SessionState.CONNECTED)
    return sink


async def call(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}/simulator{path}", json=body) as answer,
    ):
        return answer.status, await answer.json()


async def test_two_gateways_share_one_network(tmp_path: Path) -> None:
    async with server(tmp_path) as url, gateway(url) as first, gateway(url) as second:
        sink = [await open_phone(first, phone(1)), await open_phone(second, phone(2))]
        assert await first.send(request(phone(1), "3EB01")) == Accepted()
        assert await second.send(request(phone(2), "3EB02")) == Accepted()
        await until(lambda: [len(one.got) for one in sink] == [2, 2])
        assert [{receipt.unique_id for receipt in one.got} for one in sink] == [{"3EB01"}, {"3EB02"}]
        status, messages = await call(url, "GET", f"/messages?chat_id={ANYONE}")
        assert status == 200 and [one["from"] for one in messages] == [phone(1).number, phone(2).number]


async def test_a_phone_that_moves_to_another_gateway_takes_its_receipts_along(tmp_path: Path) -> None:
    async with server(tmp_path) as url, gateway(url) as second:
        async with gateway(url) as first:
            await open_phone(first, phone(1))
            await first.send(request(phone(1), "3EB01"))
            sink = await open_phone(second, phone(1))  # before the first gave it up
        assert await second.send(request(phone(1), "3EB02")) == Accepted()
        await until(lambda: sorted((one.unique_id or "", one.ack) for one in sink.got)[-1:] == [("3EB02", 4)])
        assert {("3EB01", 3), ("3EB01", 4)} <= {(one.unique_id, one.ack) for one in sink.got}


async def test_faults_and_contacts_reach_the_gateways(tmp_path: Path) -> None:
    async with server(tmp_path) as url, gateway(url) as provider:
        sink = await open_phone(provider, phone(1))
        assert (await call(url, "PUT", "/faults", {"offline": True}))[0] == 200
        await until(lambda: sink.state() is SessionState.OFFLINE)
        assert isinstance(await provider.send(request(phone(1), "3EB01")), SessionDown)
        await call(url, "PUT", "/faults", {"offline": False})
        await until(lambda: sink.state() is SessionState.CONNECTED)
        await call(url, "PUT", f"/contacts/{ANYONE}", {"behaviour": "66"})
        await until(lambda: not provider.honours_client_id(Content(Kind.TEXT, "hi"), ANYONE))


async def test_while_the_network_is_away_phones_are_offline_and_come_back_by_themselves(
    tmp_path: Path, free_port: int
) -> None:
    url = f"http://127.0.0.1:{free_port}"
    async with gateway(url) as provider:
        sink = RecordingSink()
        await provider.open(phone(1), sink)
        assert isinstance(await provider.send(request(phone(1), "3EB01")), SessionDown)
        async with server(tmp_path, free_port):
            await until(lambda: sink.state() is SessionState.CONNECTED)
            assert await provider.send(request(phone(1), "3EB01")) == Accepted()
        await until(lambda: sink.state() is SessionState.OFFLINE)
        async with server(tmp_path, free_port):
            await until(lambda: sink.state() is SessionState.CONNECTED)
            await until(lambda: {(one.unique_id, one.ack) for one in sink.got} == {("3EB01", 3), ("3EB01", 4)})


async def test_a_killed_network_still_has_everything_it_answered(tmp_path: Path, free_port: int) -> None:
    journal = tmp_path / "network.db"
    url = f"http://127.0.0.1:{free_port}"
    accepted: list[str] = []
    async with gateway(url) as provider:
        async with process(journal, free_port) as running:
            sink = await open_phone(provider, phone(1))

            async def send_on() -> Outcome:
                """Sends until a message is not accepted, and returns that outcome."""
                n = 0
                while (outcome := await provider.send(request(phone(1), f"3EB0{n:04d}"))) == Accepted():
                    accepted.append(f"3EB0{n:04d}")
                    n += 1
                return outcome

            sending = asyncio.create_task(send_on())
            await until(lambda: len(accepted) > 50)
            running.send_signal(signal.SIGKILL)
            await until(sending.done)
            assert isinstance(sending.result(), Unknown | SessionDown)
        async with process(journal, free_port):
            await until(lambda: sink.state() is SessionState.CONNECTED)
            _, messages = await call(url, "GET", "/messages")
            assert set(accepted) <= {one["message_id"] for one in messages}
            assert all(one["shown"] == 1 for one in messages)
            await until(lambda: {one.unique_id for one in sink.got if one.ack == 4} >= set(accepted))


async def test_bad_input_over_http_is_refused_as_json(tmp_path: Path) -> None:
    async with server(tmp_path) as url:
        assert (await call(url, "GET", "/nothing"))[0] == 404
        assert (await call(url, "POST", "/messages"))[0] == 405
        async with aiohttp.ClientSession() as session:
            large = io.BytesIO(b" " * (5 << 20))
            async with session.post(f"{url}/simulator/inbound", data=large) as answer:
                assert (answer.status, (await answer.json())["code"]) == (413, "PAYLOAD_TOO_LARGE_ERROR")
        async with aiohttp.ClientSession() as session, session.get(f"{url}/") as answer:
            assert answer.status == 404 and (await answer.json())["code"] == "NOT_FOUND_ERROR"
        async with aiohttp.ClientSession() as session, session.get(f"{url}{PATH}") as answer:
            assert 400 <= answer.status < 500


async def test_a_gateway_that_sends_nonsense_is_disconnected_and_the_others_continue(tmp_path: Path) -> None:
    async with server(tmp_path) as url, gateway(url) as provider, aiohttp.ClientSession() as session:
        await open_phone(provider, phone(1))
        async with session.ws_connect(f"{url}{PATH}") as nonsense:
            await nonsense.send_str('[["open", 5]]')
            async with asyncio.timeout(5):
                while (await nonsense.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert nonsense.close_code == 1007
        assert await provider.send(request(phone(1), "3EB01")) == Accepted()


async def test_a_port_that_is_taken_gives_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CannotStart, match=r"^Cannot listen on 127\.0\.0\.1 port \d+: .+$"):
            async with server(tmp_path, taken.getsockname()[1]):
                pass


async def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="loopback"):
        async with simulator_server(
            "0.0.0.0", 0, tmp_path / "network.db", clock=SystemClock(), chance=random.Random(1)
        ):
            pass


async def test_a_journal_that_cannot_be_used_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "network.db").write_text("this is no database, and long enough to be read as one" * 100)
    with pytest.raises(CannotStart, match="cannot be used"):
        async with server(tmp_path):
            pass


async def test_a_journal_that_another_process_uses_gives_a_clear_error(tmp_path: Path, free_port: int) -> None:
    async with process(tmp_path / "network.db", free_port):
        with pytest.raises(CannotStart, match="HELIOGRAPH_SIMULATOR_URL"):
            async with server(tmp_path):
                pass
    async with server(tmp_path) as url:  # the kill gave it up
        assert (await call(url, "GET", "/messages"))[0] == 200


@asynccontextmanager
async def process(journal: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(journal), str(port), stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert running.stdout
        async with asyncio.timeout(20):
            assert (await running.stdout.readline()).startswith(b"http")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()
