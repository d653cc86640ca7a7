"""Tests of a small benchmark run: each case checks its own work and prints figures."""

import json
import subprocess
import sys

import pytest

FIGURES = {
    "accept": {"accepted/s", "p50 ms", "p99 ms", "RSS MB"},
    "drain": {"drained/s", "RSS MB"},
    "latency": {"answer p50 ms", "answer p99 ms", "network p50 ms", "network p99 ms"},
    "hanging": {"ratio of p99", "95 % from", "to", "p99 ms beside one that answers", "that hangs"},
    "webhooks": {"deliveries/s", "CPU µs a delivery", "RSS MB"},
    "backlog": {"send ÷ empty", "look-up ÷ empty", "status ÷ empty", "health ÷ empty", "start s", "RSS MB per 100,000"},
}


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "heliograph.cli.main", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize("case", FIGURES)
def test_a_case_measures_and_checks_its_work(case: str) -> None:
    done = bench("--small", "--rounds", "1", "--only", f"^{case}$", "--json")
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(done.stdout)["results"][case]["SQLite"]
    assert figures.keys() >= FIGURES[case]
    assert all(figures[name] > 0 for name in FIGURES[case] - {"RSS MB per 100,000"})


def test_a_case_that_does_not_exist_is_refused_with_those_that_do() -> None:
    done = bench("--only", "speed")
    assert done.returncode == 2
    assert "accept, drain, latency, backlog" in done.stderr


def test_a_fleet_is_measured_on_postgresql_only() -> None:
    done = bench("--small", "--rounds", "1", "--only", "^senders$")
    assert done.returncode == 0, done.stderr
    assert "needs PostgreSQL" in done.stdout
