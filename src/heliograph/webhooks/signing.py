"""Signatures of a delivery in both forms: Standard Webhooks and the compatible header.

Promise: during a rotation, a receiver with either key can verify the Standard Webhooks headers. The compatible header
stays with the old key until the overlap ends, and then switches.
Source: interface, "Webhooks"; contract 4, "Signature".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from standardwebhooks import Webhook

from heliograph.domain.webhooks.webhook import OVERLAP_US, new_signing_key

_PIECE = 2000  # bytes; a larger piece releases the interpreter lock, and taking it back costs more than the hash
COMPATIBLE = "x-periskope-signature"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys of an organisation: `previous` is valid until `switch_at_us`."""

    current: str
    previous: str | None = None
    switch_at_us: int = 0

    def overlapping(self, now_us: int) -> bool:
        return self.previous is not None and now_us < self.switch_at_us


def rotate(keys: SigningKeys, now_us: int) -> SigningKeys:
    """Makes a new current key. Within an overlap, the key in force stays the previous one."""
    in_force = keys.previous if keys.overlapping(now_us) and keys.previous else keys.current
    return SigningKeys(new_signing_key(), in_force, now_us + OVERLAP_US)


@lru_cache(maxsize=1024)
def _keyed(key: str) -> hmac.HMAC:
    return hmac.new(key.encode(), digestmod=hashlib.sha256)


@lru_cache(maxsize=1024)
def _standard(key: str) -> Webhook:
    return Webhook(key)


def compatible_signature(key: str, body: bytes) -> str:
    """Signs with the UTF-8 bytes of the whole `whsec_…` text, as receivers of that header do."""
    sum_ = _keyed(key).copy()
    for start in range(0, len(body), _PIECE):
        sum_.update(body[start : start + _PIECE])
    return sum_.hexdigest()


def signature_headers(keys: SigningKeys, body: bytes, *, delivery_id: str, now_us: int) -> Mapping[str, str]:
    at = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    text = body.decode()
    standard = _standard(keys.current).sign(delivery_id, at, text)
    in_force = keys.current
    if keys.overlapping(now_us) and keys.previous:
        in_force = keys.previous
        standard = f"{standard} {_standard(keys.previous).sign(delivery_id, at, text)}"
    return {
        COMPATIBLE: compatible_signature(in_force, body),
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now_us // 1_000_000),
        "webhook-signature": standard,
    }
