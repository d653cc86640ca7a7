"""Tests that need a real server on a real socket: bodies beyond the limit, waiting calls, and a stop during both."""

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import KEY, Server, serving
from tests.kit.until import wait_for

CHAT = "12025550100"
LIMIT = 300_000

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, MAX_BODY_BYTES=str(LIMIT)) as running:
        yield running


def waiting(server: Server) -> int:
    return sum(server.call("GET", "/v1/message/queues/health").json().values())


def test_a_body_beyond_the_limit_is_a_413_on_the_wire_and_the_connection_lives(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    for body in (b"x" * (LIMIT + 1), b"y" * (20 * LIMIT)):
        connection.request("POST", "/v1/message/send", body, headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (413, "PAYLOAD_TOO_LARGE_ERROR")
    pieces = (b"z" * 50_000 for _ in range(20))
    connection.request("POST", "/v1/message/send", pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "PAYLOAD_TOO_LARGE_ERROR")
    connection.request("POST", "/v1/message/send", json.dumps({"chat_id": CHAT, "message": "Hi"}), headers)
    answer = connection.getresponse()
    assert (answer.status, len(json.loads(answer.read()))) == (200, 4)
    connection.close()
    assert waiting(server) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/phones HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /v1/message/%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/message/send HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ],
)
def test_odd_requests_get_a_4xx_and_never_a_5xx(server: Server, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(raw)
        status = int(wire.recv(4096).split(b" ", 2)[1])
    assert 400 <= status < 500
    assert "a request ended in a defect" not in server.log()


def test_send_sync_comes_back_when_whatsapp_has_taken_the_message(server: Server) -> None:
    began = time.monotonic()
    answer = server.call("POST", "/v1/message/send-sync", {"chat_id": CHAT, "message": "Hi"})
    assert time.monotonic() - began < 10
    body = answer.json()
    assert (answer.status, body["status"]) == (200, "sent")
    assert body["message"]["unique_id"] == body["unique_id"]
    assert int(body["message"]["ack"]) >= 1


def test_send_sync_of_a_message_that_fails_for_good_says_so_at_once(server: Server) -> None:
    body = server.call("POST", "/v1/message/send-sync", {"chat_id": "12025550140", "message": "Hi"}).json()
    assert body["status"] == "failed"
    status = server.call("GET", f"/v1/message/{body['unique_id']}/status").json()
    assert (status["status"], status["ack"], status["attempts"]) == ("failed", -1, 1)


def test_a_server_that_is_asked_to_stop_answers_waiting_calls(server: Server) -> None:
    server.call("PUT", "/simulator/faults", {"offline": True})
    answers: list[Any] = []

    def wait() -> None:
        body = {"chat_id": CHAT, "message": "Hi", "sync_timeout": 60}
        answers.append(server.call("POST", "/v1/message/send-sync", body))

    caller = threading.Thread(target=wait)
    caller.start()
    wait_for(lambda: waiting(server) == 1, why="accepted")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    caller.join(15)
    assert server.process.wait(10) == 0
    assert time.monotonic() - began < 10
    [answer] = answers
    assert (answer.status, answer.json()["status"]) == (200, "queued")


def test_many_callers_at_once_are_all_answered_and_counted(server: Server) -> None:
    statuses: list[int] = []

    def send(n: int) -> None:
        for k in range(20):
            body = {"chat_id": f"9195378{n:02d}{k:03d}", "message": f"{n}.{k}"}
            statuses.append(server.call("POST", "/v1/message/send", body).status)

    callers = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert statuses == [200] * 160
    assert waiting(server) == 160
