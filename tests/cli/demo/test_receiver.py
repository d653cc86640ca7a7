"""Tests of the demo's receiver: it accepts only deliveries with both signatures."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from heliograph.cli.demo.picture import HEIGHT, WIDTH, sunrise
from heliograph.cli.demo.receiver import Receiver, signed

KEY = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"event":"message.read","queue_id":"q-1"}'


def headers(body: bytes = BODY) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "x-periskope-signature": hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest(),
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(KEY).sign("msg_1", now, body.decode()),
    }


def test_a_delivery_with_both_signatures_is_believed() -> None:
    assert signed(KEY, BODY, headers())


@pytest.mark.parametrize("name", ["x-periskope-signature", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_delivery_that_lacks_or_alters_one_header_is_not(name: str) -> None:
    good = headers()
    assert not signed(KEY, BODY, {key: value for key, value in good.items() if key != name})
    assert not signed(KEY, BODY, good | {name: "x" + good[name][1:]})
    assert not signed(KEY, BODY + b" ", good)


def test_what_comes_before_the_key_is_known_is_judged_by_it_later() -> None:
    receiver = Receiver()
    assert receiver.take(BODY, headers())
    assert receiver.take(b"{}", headers())
    assert receiver.counts() == {}
    receiver.trust(KEY)
    assert receiver.counts() == {"message.read": 1}
    assert receiver.read_ids() == {"q-1"}
    assert receiver.bad == 1


def test_the_picture_is_a_png_of_its_size() -> None:
    picture = sunrise()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(picture[16:20]) == WIDTH
    assert int.from_bytes(picture[20:24]) == HEIGHT
    assert len(picture) < 20_000
