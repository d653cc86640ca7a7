"""Clients that are slow to send or never read are ended; those that wait for us are not."""

import asyncio

import pytest

from heliograph.app.http.limits import HttpLimits
from tests.app.http.socketless_server import SocketlessServer, statuses

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATH = b"POST /upload HTTP/1.1\r\nHost: x\r\n"
SEND = b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "half", [GET[:10], SEND + b"Content-Length: 9\r\n\r\nhalf", PATH + b"Content-Length: 9\r\n\r\n"]
)
async def test_a_head_or_body_that_does_not_come_in_time_is_refused_with_408(half: bytes) -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    await server.give(connection, wire, half)
    for now in range(0, 30, 3):
        connection.sweep(now)
        assert wire.written == b""
    connection.sweep(31)
    await server.calm()
    assert statuses(wire.written) == [408]
    assert wire.ended
    aborted = []
    for now in (32, 34):
        connection.sweep(now)
        aborted.append(wire.aborted)
    assert aborted == [False, True]
    assert server.seen == []


async def test_a_head_that_trickles_in_has_no_longer_than_one_that_stops() -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    for now in range(31):
        connection.data_received(b"G" if now == 0 else b"E")
        connection.sweep(now)
    assert statuses(wire.written) == [408]


async def test_a_body_has_a_second_more_for_each_16_kib() -> None:
    server = SocketlessServer()
    connection, wire = server.connect()
    connection.data_received(PATH + b"Content-Length: 99999999\r\n\r\n")
    await server.calm()
    for now in range(100):
        connection.sweep(now)
        connection.data_received(b"a" * 16_384)
        await server.calm()
    assert wire.written == b""
    for now in range(100, 131):
        connection.sweep(now)
    assert statuses(wire.written) == [408]


async def test_a_body_that_waits_for_us_is_not_late() -> None:
    server = SocketlessServer()
    server.gate = asyncio.Event()
    connection, wire = server.connect()
    connection.data_received(SEND + b"X-Short: no\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    for now in range(100):
        connection.sweep(now)
    assert wire.written == b""


async def test_a_request_may_be_answered_as_late_as_the_app_likes() -> None:
    server = SocketlessServer()
    server.gate = asyncio.Event()
    connection, wire = server.connect()
    await server.give(connection, wire, GET)
    for now in range(1000):
        connection.sweep(now)
    server.gate.set()
    await server.calm()
    assert statuses(wire.written) == [200]
    assert not wire.closed


async def test_a_connection_without_a_request_is_closed_sooner_before_its_first_than_after() -> None:
    server = SocketlessServer()
    (new, idle), (old, used) = server.connect(), server.connect()
    await server.give(old, used, GET)
    for now in range(75):
        new.sweep(now)
        old.sweep(now)
        assert idle.closed is (now >= 30)
        assert not used.closed
    old.sweep(75)
    assert used.closed


async def test_a_client_that_never_reads_is_cut() -> None:
    server = SocketlessServer(HttpLimits(write_s=30))
    connection, wire = server.connect()
    await server.give(connection, wire, GET)
    connection.pause_writing()
    for now in range(29):
        connection.sweep(now)
    connection.resume_writing()
    connection.pause_writing()
    for now in range(29, 59):
        connection.sweep(now)
        assert not wire.aborted
    connection.sweep(59)
    assert wire.aborted


async def test_a_connection_that_cannot_close_because_nobody_reads_is_cut() -> None:
    connection, wire = SocketlessServer().connect()
    wire.close()
    connection.sweep(0)
    connection.sweep(30)
    assert wire.aborted
