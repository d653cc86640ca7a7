"""API keys: how one is made, and the little of it that is kept.

Promise: the secret has 190 random bits and is not stored; only its SHA-256 and how it begins are.
"""

import hashlib
import secrets
import string
from dataclasses import dataclass, field

_LETTERS = string.ascii_letters + string.digits
_SHOWN = 11  # `hg_` and 8 letters: enough to tell keys apart, useless to guess the rest


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`prefix` is what lists show and what a key is revoked by."""

    secret: str = field(repr=False)
    digest: bytes
    prefix: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as it is stored: never the secret itself."""

    key_no: int
    org_no: int
    org_id: str
    org_name: str
    name: str
    prefix: str
    created_at_us: int
    revoked_at_us: int | None
    last_used_at_us: int | None


def new_key() -> ApiKey:
    secret = "hg_" + "".join(secrets.choice(_LETTERS) for _ in range(32))
    return ApiKey(secret, digest(secret), secret[:_SHOWN])


def given_key(secret: str) -> ApiKey:
    """A key that a person chose: lists show its fingerprint, because its beginning might be half of it."""
    made = digest(secret)
    return ApiKey(secret, made, f"given-{made.hex()[:8]}")


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
