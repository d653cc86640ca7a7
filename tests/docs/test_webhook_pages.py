"""The receivers that the page shows verify what this gateway signs, and refuse everything else."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from heliograph.clock import SystemClock
from heliograph.domain.webhooks.events import event_table
from heliograph.domain.webhooks.retry_policy import SCHEDULE_S
from heliograph.domain.webhooks.webhook import new_signing_key
from heliograph.webhooks.js_json import encode_body
from heliograph.webhooks.signing import COMPATIBLE, SigningKeys, signature_headers
from tests.webhooks.test_signing import node

DOCS = Path(__file__).parents[2] / "docs"


def block(language: str) -> str:
    page = (DOCS / "how-to/verify-webhooks.md").read_text()
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return str(found)


def signed() -> tuple[str, bytes, dict[str, str]]:
    key = new_signing_key()
    body = encode_body({"event": "message.sent", "text": "Grüße 😀", "n": 2**60})
    headers = signature_headers(SigningKeys(key), body, delivery_id="dlv_1", now_us=SystemClock().now_us())
    return key, body, dict(headers)


def test_the_python_receiver_verifies_and_refuses() -> None:
    names: dict[str, Any] = {}
    exec(compile(block("python"), "verify-webhooks.md", "exec"), names)
    key, body, headers = signed()
    received = names["received"]
    assert received(body, headers, key)["text"] == "Grüße 😀"
    assert received(body + b" ", headers, key) is None
    assert received(body, headers, new_signing_key()) is None
    assert received(body, {**headers, "webhook-signature": "nonsense"}, key) is None
    assert received(body, {}, key) is None


def test_the_node_receiver_verifies_the_raw_and_the_parsed_body_and_refuses(tmp_path: Path) -> None:
    (tmp_path / "verify.js").write_text(block("javascript"))
    key, body, headers = signed()
    case = {"key": key, "body": body.decode(), "signature": headers[COMPATIBLE]}
    script = """
        const { verified } = require('./verify.js');
        const { key, body, signature } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        console.log(JSON.stringify([
          verified(Buffer.from(body), signature, key), verified(JSON.stringify(JSON.parse(body)), signature, key),
          verified(body + ' ', signature, key), verified(body, 'zz', key), verified(body, undefined, key),
        ]));
    """
    ran = subprocess.run(
        [node(), "-e", script], input=json.dumps(case), capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(ran.stdout) == [True, True, False, False, False]


def test_the_pages_show_the_real_retry_schedule() -> None:
    page = (DOCS / "explain/webhooks.md").read_text()
    words = [f"{s:g} s" if s < 60 else f"{s / 60:g} min" if s < 3600 else f"{s / 3600:g} h" for s in SCHEDULE_S]
    for text in (page, (DOCS / "reference/webhook-outcomes.md").read_text()):
        told = " ".join(text.replace(" and ", ", ").split())
        assert ", ".join(words) in told


def test_the_table_of_events_is_the_one_that_the_program_writes() -> None:
    page = (DOCS / "explain/webhooks.md").read_text()
    assert event_table() in page, "put what heliograph.domain.webhooks.events.event_table() gives into the page"
