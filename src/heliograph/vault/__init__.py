"""Encryption of stored credentials with a key from the environment (AES-256-GCM).

Promise: with a key, a stolen database shows no credential, and sealed text moved to another row does not open.
Known weakness: without `HELIOGRAPH_SECRET_KEY` credentials are stored as plain text; `heliograph doctor` says so. A
lost key means that credentials must be entered again.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from heliograph.ports.secrets import CannotOpen

_PLAIN = "plain:"
_SEALED = "aes1:"
_NONCE_BYTES = 12


class Vault:
    """Seals text. `secret_key`: text with enough randomness, such as 32 random bytes in base64; None: no encryption."""

    def __init__(self, secret_key: str | None) -> None:
        self._cipher = AESGCM(_derive(secret_key)) if secret_key else None

    def __repr__(self) -> str:
        return f"Vault(encrypts={self.encrypts})"

    @property
    def encrypts(self) -> bool:
        return self._cipher is not None

    def seal(self, text: str, *, about: str) -> str:
        if self._cipher is None:
            return _PLAIN + text
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), about.encode())
        return _SEALED + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, about: str) -> str:
        if sealed.startswith(_PLAIN):
            return sealed[len(_PLAIN) :]
        if not sealed.startswith(_SEALED):
            return sealed  # stored before encryption was set up
        if self._cipher is None:
            raise CannotOpen(
                "Credentials are stored encrypted: set HELIOGRAPH_SECRET_KEY to the key they were stored with."
            )
        try:
            raw = base64.urlsafe_b64decode(sealed[len(_SEALED) :])
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen(
                "Stored credentials do not open with this HELIOGRAPH_SECRET_KEY: set the key they were stored with, "
                "or enter the credentials again."
            ) from None


def is_plain(stored: str) -> bool:
    """Returns True for a stored secret that anybody with the database file can read."""
    return bool(stored) and not stored.startswith(_SEALED)


def _derive(secret_key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"heliograph credentials v1").derive(secret_key.encode())
