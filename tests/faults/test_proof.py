"""Tests of `heliograph prove`, in short: a few kills break nothing, and a broken program is caught."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)


def prove(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "heliograph.cli.main", "prove", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_server_that_is_killed_under_load_keeps_every_promise() -> None:
    code, report = prove("--kills", "6", "--seed", "11")
    assert report["violations"] == []
    assert (code, report["good"], report["kills"]) == (0, True, 6)
    assert report["accepted"] > 100
    assert sum(report["states"].values()) == report["accepted"]
    assert report["states"].keys() <= {"sent", "uncertain"}
    assert report["accepted"] >= report["arrived"] >= report["states"]["sent"]


def test_a_fleet_whose_processes_are_killed_and_frozen_keeps_every_promise(postgres_url: str) -> None:
    code, report = prove("--kills", "4", "--stops", "2", "--seed", "13", "--database-url", postgres_url)
    assert report["violations"] == []
    assert (code, report["good"], report["kills"], report["stops"]) == (0, True, 4, 2)
    assert sum(report["states"].values()) == report["accepted"] >= report["arrived"] > 0
    assert report["states"].keys() <= {"sent", "uncertain"}


def test_a_program_that_makes_a_new_id_at_each_attempt_is_caught() -> None:
    code, report = prove("--kills", "3", "--seed", "12", "--control", "new-id")
    assert (code, report["good"]) == (0, True)
    assert report["broken"].get("I3", 0) > 0


def _children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")
def test_a_proof_that_is_told_to_stop_leaves_no_server_behind() -> None:
    command = [sys.executable, "-m", "heliograph.cli.main", "prove", "--kills", "50"]
    proof = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(started := _children(proof.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    proof.send_signal(signal.SIGTERM)
    _, said = proof.communicate(timeout=60)
    assert proof.returncode == 1
    assert "stopped before its end" in said
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("arguments", [["--stops", "3"], ["--kills", "-1"], ["--control", "luck"]])
def test_a_wish_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "heliograph.cli.main", "prove", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
