"""Tests of the first lines of a start: the address it listens on, and the public address."""

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.serving import COMMAND

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("public", [None, "https://wa.example.org"])
def test_a_start_says_the_address_it_listens_on_and_the_public_one_beside_it(
    public: str | None, tmp_path: Path
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    environ = clean | ({"HELIOGRAPH_URL": public} if public else {})
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"], cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(5 if public else 4)]
        found = re.search(r"listens on (http://127\.0\.0\.1:(\d+))$", said[0].rstrip())
        assert found, said
        assert int(found[2]) > 0
        with urllib.request.urlopen(f"{found[1]}/healthz") as answer:
            assert answer.status == 200
        told = "".join(said[1:])
        assert ("public" in told) is (public is not None)
        assert f"{public or found[1]}/login?token=" in told
        assert f"{public or found[1]}/docs" in told
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
