"""Tests of a disk that fills while the server runs: metrics show it, and sending resumes when there is room."""

import json
import re
from pathlib import Path

import pytest

from tests.acceptance.serving import Answer, Server, serving
from tests.kit.full_disk import fill
from tests.kit.until import wait_for

pytestmark = pytest.mark.timeout(120)


def send(server: Server) -> Answer:
    return server.call("POST", "/v1/message/send", {"chat_id": "919537851844", "message": "x" * 3000})


def store_up(server: Server) -> str:
    found = re.search(r"^heliograph_store_up (\S+)", server.call("GET", "/metrics").body.decode(), re.MULTILINE)
    assert found
    return found[1]


def test_a_full_disk_shows_in_metrics_and_readiness_at_once_and_is_over_by_itself(
    small_disk: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, DATABASE_URL=f"sqlite:///{small_disk / 'heliograph.db'}") as server:
        assert send(server).status == 200
        assert store_up(server) == "1.0"
        filler = fill(small_disk)
        wait_for(lambda: send(server).status == 503)
        for _ in range(5):  # however often one looks: what can be read is no reason to say that all is well
            assert store_up(server) == "0.0"
            ready = server.call("GET", "/readyz")
            assert ready.status == 503
            assert "cannot write" in ready.json()["checks"]["database"]
            assert send(server).status == 503
        assert "heliograph_jobs" in server.call("GET", "/metrics").body.decode()
        filler.unlink()
        wait_for(lambda: store_up(server) == "1.0", limit_s=5)
        wait_for(lambda: server.call("GET", "/readyz").status == 200, limit_s=10)
        assert send(server).status == 200


def test_what_goes_wrong_is_in_the_log_of_those_who_ask_for_warnings(small_disk: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{small_disk / 'heliograph.db'}"
    with serving(tmp_path, LOG_LEVEL="warning", DATABASE_URL=url) as server:
        fill(small_disk)
        wait_for(lambda: "heartbeat_failed" in server.log(), limit_s=15)
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        assert {line["level"] for line in lines} == {"warning"}
