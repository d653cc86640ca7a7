"""The Idempotency-Key header: the same key and request within a day get the same answer, and make one thing.

The store writes the key in the transaction of the thing that is made, so neither exists without the other.
Source: interface, "HTTP" (same body = SHA-256 of path, phone and raw body).
"""

import hashlib

from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.jobs.job import Idempotency

FIELD = "Idempotency-Key"
REPLAYED = (b"idempotent-replayed", b"true")
MAX_KEY = 255


def idempotency(header: bytes | None, *, path: str, phone_id: str, body: bytes | bytearray) -> Idempotency | None:
    """Returns the key and the fingerprint of the request, None without the header. `path` is the canonical one."""
    if header is None:
        return None
    key = header.decode("latin-1").strip()
    if not 1 <= len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise invalid(FIELD, f"{FIELD} must have 1 to {MAX_KEY} printable ASCII characters")
    digest = hashlib.sha256(f"{path}\n{phone_id}\n".encode())
    digest.update(body)
    return Idempotency(key, digest.digest())


def headers_if(replayed: bool) -> dict[str, str]:
    return {REPLAYED[0].decode(): REPLAYED[1].decode()} if replayed else {}


def reused() -> Invalid:
    return invalid(FIELD, f"This {FIELD} was used for another request within the last 24 hours")
