"""Tests of sends over one HTTP/1.1 connection: pipelined or in pieces, each gets its response in order."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.serving import KEY, Answer, Server, serving

CHAT = "12025550100"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as running:
        assert send(running).status == 200  # from now on the key is remembered
        yield running


def send(server: Server) -> Answer:
    return server.call("POST", "/v1/message/send", {"chat_id": CHAT, "message": "Hi"})


def raw(text: str = "Hi", *headers: str, version: str = "1.1") -> bytes:
    body = json.dumps({"chat_id": CHAT, "message": text}).encode()
    head = ["Host: x", f"Authorization: Bearer {KEY}", f"Content-Length: {len(body)}", *headers]
    return f"POST /v1/message/send HTTP/{version}\r\n".encode() + "\r\n".join([*head, "", ""]).encode() + body


def open_database(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    found = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            status = int(stream.readline().split()[1])
            headers: dict[str, str] = {}
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            found.append((status, headers, stream.read(int(headers["content-length"]))))
    return found


def positions(found: list[tuple[int, dict[str, str], bytes]]) -> list[str]:
    return [json.loads(body)["queue_id"] for _, _, body in found]


def test_pipelined_sends_are_answered_in_their_order(server: Server) -> None:
    get = f"GET /v1/message/queues/health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    with open_database(server) as connection:
        connection.sendall(raw("1") + raw("2") + get + raw("") + raw("3"))
        found = answers(connection, 5)
        connection.sendall(raw("4"))
        found += answers(connection, 1)
    assert [status for status, _, _ in found] == [200, 200, 200, 422, 200, 200]
    assert "waiting" in found[2][2].decode()
    asked = [server.call("GET", f"/v1/message/{name}").json()["body"] for name in positions([*found[:2], *found[4:]])]
    assert asked == ["1", "2", "3", "4"]


def test_a_send_that_comes_in_pieces_is_one_send(server: Server) -> None:
    with open_database(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in (text := raw("piece by piece"))[:-40], *(bytes([one]) for one in text[-40:]):
            connection.sendall(byte)
        assert answers(connection, 1)[0][0] == 200


@pytest.mark.parametrize(
    ("request_", "stays"),
    [
        (raw(), True),
        (raw("Hi", "Connection: close"), False),
        (raw(version="1.0"), False),
        (raw("", "Connection: close"), False),
    ],
)
def test_the_connection_stays_open_unless_the_client_wants_it_closed(
    server: Server, request_: bytes, stays: bool
) -> None:
    with open_database(server) as connection:
        connection.sendall(request_)
        (_, headers, _) = answers(connection, 1)[0]
        assert ("connection" in headers) is not stays
        if stays:
            connection.sendall(raw())
            assert answers(connection, 1)[0][0] == 200
        else:
            assert headers["connection"] == "close"
            assert connection.recv(1) == b""


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(server: Server) -> None:
    head, _, body = raw("Hi", "Expect: 100-continue").partition(b"\r\n\r\n")
    with open_database(server) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answers(connection, 1)[0][0] == 200


def test_a_body_without_a_length_and_a_large_one_are_taken(server: Server) -> None:
    body = json.dumps({"chat_id": CHAT, "message": "x" * 60_000, "unknown": "y" * 90_000}).encode()
    head = f"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n".encode()
    with open_database(server) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert answers(connection, 1)[0][0] == 200
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 40_000):
            piece = body[start : start + 40_000]
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert answers(connection, 1)[0][0] == 200


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(server: Server) -> None:
    head = f"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n".encode()
    with open_database(server) as connection:
        connection.sendall(head + b"Content-Length: 99999999\r\n\r\n")
        ((status, _, body),) = answers(connection, 1)
    assert (status, json.loads(body)["code"]) == (413, "PAYLOAD_TOO_LARGE_ERROR")


@pytest.mark.parametrize("wrong", [b"HELLO\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"])
def test_bytes_that_are_no_http_are_refused_in_json(server: Server, wrong: bytes) -> None:
    with open_database(server) as connection:
        connection.sendall(wrong)
        ((status, headers, body),) = answers(connection, 1)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body)["code"] == "BAD_REQUEST_ERROR"


def test_a_client_that_goes_before_its_body_is_whole_stores_nothing(server: Server) -> None:
    for cut in (10, 100, 160, len(raw()) - 1):
        with open_database(server) as connection:
            connection.sendall(raw()[:cut])
    for _ in range(3):
        with open_database(server) as connection:  # this one is whole, and nobody waits for its answer
            connection.sendall(raw("left"))
    deadline = time.monotonic() + 20
    while (listed := server.call("GET", "/v1/message/queues/health").json())["waiting"] + listed["completed"] < 4:
        assert time.monotonic() < deadline
    assert send(server).status == 200


def test_a_server_that_stops_answers_what_is_whole_and_ends_on_time(server: Server) -> None:
    half, whole = open_database(server), open_database(server)
    half.sendall(raw()[:-5])
    whole.sendall(raw())
    assert answers(whole, 1)[0][0] == 200
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(15) == 0
    half.close()
    whole.close()
