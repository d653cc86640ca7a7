"""Tests of each test recipient through a real server: the state for the caller, and the journal of the network."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.serving import NUMBER, Server, serving
from tests.kit.until import wait_for

pytestmark = pytest.mark.timeout(180)
# suffix → (status, ack, attempts, shown): where each message comes to rest
RESTS: dict[str, tuple[str, int, int, int]] = {
    "00": ("read", 4, 1, 1),
    "01": ("delivered", 3, 1, 1),
    "02": ("sent", 2, 1, 1),
    "04": ("played", 5, 1, 1),
    "05": ("read", 4, 1, 1),
    "06": ("read", 4, 1, 1),
    "07": ("read", 4, 1, 1),
    "10": ("read", 4, 2, 1),
    "11": ("read", 4, 3, 1),
    "12": ("failed", -1, 4, 0),
    "13": ("read", 4, 1, 1),
    "14": ("read", 4, 1, 1),
    "40": ("failed", -1, 1, 0),
    "41": ("failed", -1, 1, 0),
    "42": ("failed", -1, 1, 0),
    "45": ("failed", -1, 1, 0),
    "60": ("read", 4, 1, 1),
    "61": ("read", 4, 1, 1),
    "62": ("pending", 0, 1, 1),
    "63": ("sent", 2, 1, 1),
    "65": ("read", 4, 2, 1),
    "66": ("pending", 0, 1, 1),
}
# suffix → words of its description; each has a phone of its own, which it stops
STOPS = {
    "43": "no new chat",
    "44": "restricted",
    "80": "logged out",
    "81": "offline",
    "82": "taken over",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("recipients")
    with serving(folder, ACK_TIMEOUT_SECONDS="2", RETRY_BASE_SECONDS="0.2") as running:
        yield running


def send(server: Server, suffix: str, text: str, phone: str = NUMBER) -> str:
    body = {"chat_id": f"120255501{suffix}", "message": text}
    answer = server.call("POST", "/v1/message/send", body, headers={"x-phone": phone})
    assert answer.status == 200, answer.body
    name: str = answer.json()["unique_id"]
    return name


def status(server: Server, name: str) -> Any:
    return server.call("GET", f"/v1/message/{name}/status").json()


@pytest.fixture(scope="module")
def names(server: Server) -> dict[str, tuple[str, str]]:
    """Sends two messages to each recipient at once; the second shows that the chat goes on."""
    return {suffix: (send(server, suffix, "first"), send(server, suffix, "second")) for suffix in [*RESTS, "64"]}


@pytest.mark.parametrize("suffix", RESTS)
def test_both_messages_to_a_recipient_end_as_its_behaviour_says(
    server: Server, names: dict[str, tuple[str, str]], suffix: str
) -> None:
    expected, ack, attempts, shown = RESTS[suffix]
    for name in names[suffix]:
        wait_for(lambda: status(server, name)["status"] == expected, why=f"{suffix} is {expected}", limit_s=40)  # noqa: B023
        job = status(server, name)
        assert (job["status"], job["ack"], job["attempts"]) == (expected, ack, attempts)
        journal = server.call("GET", f"/simulator/messages?chat_id=120255501{suffix}@c.us").json()
        assert sum(one["shown"] for one in journal if one["message_id"] == name) == shown
    assert server.call("GET", f"/v1/message/{names[suffix][0]}").json()["body"] == "first"


def test_a_lost_answer_ends_read_and_is_shown_once(server: Server, names: dict[str, tuple[str, str]]) -> None:
    for name in names["64"]:
        wait_for(lambda: status(server, name)["status"] == "read", why="64 is read", limit_s=20)  # noqa: B023
        (seen,) = [
            one
            for one in server.call("GET", "/simulator/messages?chat_id=12025550164@c.us").json()
            if one["message_id"] == name
        ]
        assert seen["shown"] == 1
        assert seen["transmissions"] in (1, 2)


@pytest.mark.parametrize("suffix", STOPS)
def test_a_recipient_that_stops_the_phone_leaves_its_message_queued_with_the_reason_and_no_attempt(
    server: Server, suffix: str
) -> None:
    number = f"4477009001{suffix}"
    assert server.call("POST", "/v1/phones/create", {"provider": "simulator", "number": number}).status == 200
    name = send(server, suffix, "stop", number)
    wait_for(lambda: STOPS[suffix] in status(server, name)["status_description"], why=f"{suffix} is explained")
    job = status(server, name)
    assert (job["status"], job["ack"], job["attempts"]) == ("queued", 0, 0)


@pytest.mark.parametrize("suffix", ["80", "82"])
def test_a_restart_reconnects_a_lost_phone_and_its_message_is_sent(server: Server, suffix: str) -> None:
    number = f"4477009002{suffix}"
    assert server.call("POST", "/v1/phones/create", {"provider": "simulator", "number": number}).status == 200
    name = send(server, suffix, "later", number)
    wait_for(lambda: STOPS[suffix] in status(server, name)["status_description"], why="the phone is down")
    assert server.call("POST", "/v1/phones/restart", headers={"x-phone": number}).status == 204
    wait_for(lambda: status(server, name)["status"] == "read", why="read after the restart", limit_s=20)
