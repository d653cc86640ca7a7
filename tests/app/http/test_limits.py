"""Tests of the limits on what one client makes the server hold, and for how long."""

import asyncio
from collections.abc import Iterator

import pytest

from heliograph.app.http.limits import HttpLimits
from heliograph.domain.accounts.client_address import client_address
from tests.app.http.socketless_server import SocketlessServer, statuses

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
SEND = b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def endless(piece: bytes, total: int) -> Iterator[bytes]:
    big = piece * (16_384 // len(piece) + 1)
    for _ in range(total // len(big)):
        yield big


ENDLESS = {
    "one field": (GET + b"A: ", b"a"),
    "many fields": (GET, b"A: b\r\n"),
    "a name": (GET, b"a"),
    "a target": (b"GET /", b"a"),
    "a method": (b"", b"A"),
    "empty lines": (b"", b"\r\n"),
    "white space": (GET + b"A:", b" "),
    "one trailer": (SEND + b"1\r\na\r\n0\r\nA: ", b"a"),
    "many trailers": (SEND + b"0\r\n", b"A: b\r\n"),
    "trailers of another path": (UPLOAD + b"0\r\n", b"A: b\r\n"),
    "a chunk extension": (UPLOAD + b"1;", b"a"),
    "a chunk size": (UPLOAD, b"0"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_never_ends_is_refused_after_64_kib_and_the_rest_is_thrown_away(kind: str) -> None:
    begin, piece = ENDLESS[kind]
    server = SocketlessServer()
    connection, wire = server.connect()
    connection.data_received(begin)
    sent = 0
    for data in endless(piece, 2_000_000):
        if wire.ended:
            break
        connection.data_received(data)
        sent += len(data)
        await asyncio.sleep(0)
    assert sent < 2 * 65_536 + 16_384
    assert statuses(wire.written)[0] in (400, 431)
    assert wire.ended
    assert not connection.waits_for_head
    assert server.seen == []


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 431)])
@pytest.mark.parametrize("pieces", [0, 1000])
async def test_a_head_may_have_64_kib_to_the_byte(size: int, status: int, pieces: int) -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    head = GET + b"A: %b\r\n\r\n" % (b"a" * (size - len(GET) - 7))
    assert len(head) == size
    await server.give(connection, wire, head, pieces=pieces)
    assert statuses(wire.written) == [status]
    assert wire.ended is (status == 431)


@pytest.mark.parametrize(("fields", "status"), [(100, 200), (101, 431)])
@pytest.mark.parametrize("pieces", [0, 7])
async def test_a_head_may_have_100_fields(fields: int, status: int, pieces: int) -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    await server.give(connection, wire, GET + b"A: b\r\n" * (fields - 1) + b"\r\n", pieces=pieces)
    assert statuses(wire.written) == [status]


@pytest.mark.parametrize(("fields", "status"), [(100, 200), (101, 431)])
async def test_a_body_may_have_100_trailers(fields: int, status: int) -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    await server.give(connection, wire, UPLOAD + b"1\r\na\r\n0\r\n" + b"A: b\r\n" * fields + b"\r\n")
    assert statuses(wire.written) == [status]


async def test_a_large_body_in_chunks_of_one_byte_is_taken() -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    await server.give(connection, wire, UPLOAD + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n", pieces=9_999)
    assert statuses(wire.written) == [200]
    assert server.seen[0].body == b"a" * 50_000


@pytest.mark.parametrize("wrong", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\nHost: x\n\n", b"\r\n\r\n"])
async def test_what_cannot_become_a_request_is_refused_at_once(wrong: bytes) -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    await server.give(connection, wire, wrong)
    assert statuses(wire.written) == [400]


async def test_bytes_behind_an_unanswered_request_wait_unparsed_and_are_bounded_over_all_connections() -> None:
    server = SocketlessServer(HttpLimits(held_bytes=100_000))
    server.gate = asyncio.Event()
    many = (GET + b"\r\n") * 3000
    (first, one), (second, two) = server.connect(), server.connect()
    await server.give(first, one, many[:1000])
    await server.give(first, one, many[1000:])
    assert one.paused
    await server.give(second, two, many)
    server.gate.set()
    for _ in range(3000):
        await server.calm()
        if len(statuses(one.written)) == 3000:
            break
    assert statuses(one.written) == [200] * 3000
    assert statuses(two.written) == [200]  # what came after it had no room: the connection ended behind its answer
    assert two.closed


async def test_a_refusal_never_overtakes_the_answer_of_the_request_before() -> None:
    server = SocketlessServer()
    server.shortcut.later = []
    connection, wire = server.connect()
    send = b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
    await server.give(connection, wire, send + b"NONSENSE\r\n\r\n")
    assert wire.written == b""
    server.shortcut.later[0](200, b"", b"short")
    await server.calm()
    assert statuses(wire.written) == [200, 400]


async def test_nothing_after_a_request_that_closes_the_connection_is_read() -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    close = b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"
    await server.give(connection, wire, close + close)
    assert len(server.seen) == 1
    assert statuses(wire.written) == [200]


async def test_the_body_of_an_unknown_caller_is_not_kept_until_it_is_whole() -> None:
    server = SocketlessServer()
    server.shortcut.known = False
    connection, wire = server.connect()
    head = b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"
    await server.give(connection, wire, head + b"a" * 10)
    assert connection.cycle.body == b""  # the app has taken it
    await server.give(connection, wire, b"a" * 49_990)
    assert statuses(wire.written) == [200]


async def test_a_body_that_nobody_reads_is_gone_with_its_answer() -> None:
    server = SocketlessServer()
    server.reads = False
    connection, wire = server.connect()
    await server.give(connection, wire, b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"a" * 50_000)
    assert statuses(wire.written) == [200]
    assert connection.cycle.body == b""


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::1", "0:0:0:0::/64"),
        (None, ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(host: str | None, address: str) -> None:
    assert client_address(host) == address


async def test_connections_are_bounded_for_each_address_and_in_all_and_free_when_they_end() -> None:
    server = SocketlessServer(HttpLimits(connections=3, connections_per_address=2))
    mine = [server.connect("192.0.2.1") for _ in range(3)]
    assert [statuses(wire.written) for _, wire in mine] == [[], [], [503]]
    assert b"retry-after: 5\r\n" in mine[2][1].written
    (_, other), (_, more) = server.connect("192.0.2.2"), server.connect("192.0.2.3")
    assert (statuses(other.written), statuses(more.written)) == ([], [503])
    mine[0][0].connection_lost(None)
    _, again = server.connect("192.0.2.1")
    assert again.written == b""


async def test_a_flood_of_refused_connections_is_answered_and_closed_at_once() -> None:
    server = SocketlessServer(HttpLimits(connections=1, refusals=2))
    wires = [server.connect(f"192.0.2.{n}")[1] for n in range(5)]
    assert [statuses(wire.written) for wire in wires] == [[], [503], [503], [503], [503]]
    assert [wire.closed for wire in wires] == [False, False, False, True, True]
