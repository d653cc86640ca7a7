"""Tests with thousands of requests generated from /openapi.json: no 5xx, and every response matches the description.

One worker, a fixed seed and a bound on time. The phone is fixed by header, and not deleted, so that sends go through.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.serving import KEY, NUMBER, serving

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
)
SECONDS = 45
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

pytestmark = pytest.mark.timeout(240)


def test_no_generated_request_gets_a_5xx_or_an_answer_that_is_not_described(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        command = [str(SCHEMATHESIS), "run", f"http://127.0.0.1:{server.port}/openapi.json"]
        command += ["--workers", "1", "--seed", "1", "--max-time", str(SECONDS), "--max-examples", "25", "--no-color"]
        command += ["--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), "--request-timeout", "30"]
        for header in (f"Authorization: Bearer {KEY}", f"x-phone: {NUMBER}"):
            command += ["--header", header]
        command += ["--exclude-path", "/phones/delete"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 120)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert "a request ended in a defect" not in server.log()
        assert server.call("GET", "/v1/phones", headers={"x-phone": NUMBER}).status == 200
