"""A real server under requests that are too large, too slow, too many, or readable in two ways."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.serving import KEY, Server, serving

pytestmark = pytest.mark.timeout(180)

HEALTH = b"GET /v1/message/queues/health HTTP/1.1\r\nHost: x\r\n"
SEND = b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\n"
BEARER = f"Authorization: Bearer {KEY}\r\n".encode()
BODY = json.dumps({"chat_id": "12025550100", "message": "Hi"}).encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("edge"),
        HEAD_TIMEOUT_SECONDS="2",
        BODY_TIMEOUT_SECONDS="2",
        MAX_CONNECTIONS_PER_ADDRESS="60",
    ) as running:
        yield running


def opened(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def told(server: Server, *pieces: bytes) -> tuple[int, bytes]:
    """The status of the first answer to these bytes, and all that came until the server closed or went quiet."""
    with opened(server) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        connection.settimeout(30)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while b"\r\n\r\n" not in answer and (more := connection.recv(65_536)):
                answer += more
    return int(answer.split()[1]) if answer else 0, answer


def healthy(connection: socket.socket) -> bool:
    """Asks once more on a connection, and reads the whole answer."""
    connection.sendall(HEALTH + BEARER + b"\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        more = connection.recv(65_536)
        assert more, "the server closed the connection"
        answer += more
    return answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "pieces",
    [
        [HEALTH + BEARER, *[b"A: b\r\n" * 10_000] * 20],
        [HEALTH + BEARER + b"A: ", *[b"a" * 50_000] * 20],
        [HEALTH + BEARER + b"A: b\r\n" * 101 + b"\r\n"],
        [SEND + BEARER + CHUNKED, *[b"A: b\r\n" * 10_000] * 20],
    ],
    ids=["many fields", "one field", "101 fields", "trailers"],
)
def test_a_head_or_trailers_without_end_are_refused_with_431(server: Server, pieces: list[bytes]) -> None:
    assert told(server, *pieces)[0] == 431


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEALTH + BEARER + b"\r\n", 200),
        (SEND + BEARER + CHUNKED + b"X-Checksum: 1\r\n\r\n", 200),
        (SEND + CHUNKED + BEARER + b"\r\n", 400),
        (SEND + BEARER + CHUNKED + b"x-phone: 1\r\n\r\n", 400),
        (SEND + BEARER + CHUNKED + b"Idempotency-Key: 1\r\n\r\n", 400),
        (HEALTH + BEARER + BEARER + b"\r\n", 400),
        (HEALTH + BEARER + b"x-phone: 919876543210\r\nX-Phone: 919876543210\r\n\r\n", 400),
        (SEND + BEARER + b"Idempotency-Key: 1\r\nIdempotency-Key: 1\r\n" + CHUNKED + b"\r\n", 400),
        (HEALTH + BEARER + b"Host: y\r\n\r\n", 400),
        (SEND + BEARER + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEALTH.replace(b"Host: x\r\n", b"") + BEARER + b"\r\n", 400),
        (HEALTH.replace(b"1.1", b"2.0") + BEARER + b"\r\n", 400),
        (HEALTH.replace(b"1.1", b"0.9") + BEARER + b"\r\n", 400),
        (HEALTH.replace(b" HTTP/1.1", b"") + BEARER + b"\r\n", 400),
        (HEALTH.replace(b"GET ", b"GET  ") + BEARER + b"\r\n", 400),
        (SEND + BEARER + b"Content-Length: " + b"0" * 5000 + b"2\r\n\r\n{}", 413),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(server: Server, request_: bytes, status: int) -> None:
    assert told(server, request_)[0] == status


def test_a_body_behind_an_upgrade_that_is_not_followed_is_that_requests_body(server: Server) -> None:
    body = b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    assert told(server, SEND + BEARER + upgrade + body)[0] == 200


@pytest.mark.parametrize("half", [HEALTH, SEND + BEARER + b"Content-Length: 50\r\n\r\n{"])
def test_a_request_that_does_not_come_in_time_is_refused_with_408(server: Server, half: bytes) -> None:
    status, answer = told(server, half)
    assert status == 408
    assert b"connection: close" in answer


def test_connections_of_one_address_are_bounded_and_those_that_stand_go_on(server: Server) -> None:
    connections = [opened(server) for _ in range(59)]
    try:
        assert all(healthy(connection) for connection in connections)
        connections.append(opened(server))
        connections[-1].sendall(HEALTH)  # half a request takes a place too
        deadline = time.monotonic() + 20
        while True:
            with opened(server) as refused:
                answer = refused.recv(65_536)
            if answer.startswith(b"HTTP/1.1 503 ") or time.monotonic() > deadline:
                break
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\n" in answer
        assert healthy(connections[0])
    finally:
        for connection in connections:
            connection.close()
    deadline = time.monotonic() + 20
    while told(server, HEALTH + BEARER + b"\r\n")[0] != 200:
        assert time.monotonic() < deadline
