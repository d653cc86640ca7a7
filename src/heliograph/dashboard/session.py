"""Access: a link that works once, and the cookie it is exchanged for.

Promise: without a valid cookie no message is shown. Both are signed with a key of this process (or one derived from
HELIOGRAPH_SECRET_KEY), so they need no table. A link is good for 15 minutes and one use, a cookie for 12 hours.
Known weakness: only the process that redeemed a link knows of it. A cookie ends early only by a restart (without a
secret key) or a new secret key.
"""

import base64
import hashlib
import hmac
import secrets

from heliograph.ports.clock import Clock

COOKIE = "heliograph_session"
LINK_S = 15 * 60
COOKIE_S = 12 * 3600


class Sessions:
    def __init__(self, clock: Clock, secret_key: str | None = None) -> None:
        self._clock = clock
        source = secret_key.encode() if secret_key else secrets.token_bytes(32)
        self._key = hmac.digest(source, b"heliograph dashboard session 1", "sha256")
        self._used: dict[str, int] = {}

    def link_token(self, org_no: int) -> str:
        return self._signed("link", org_no, LINK_S)

    def redeem(self, token: str) -> str | None:
        """Returns the cookie's value for a link's token, None if the token is wrong, too old, or used."""
        org_no = self._open("link", token)
        now_s = self._now_s()
        self._used = {used: until for used, until in self._used.items() if until > now_s}
        if org_no is None or token in self._used:
            return None
        self._used[token] = now_s + LINK_S
        return self.cookie(org_no)

    def cookie(self, org_no: int) -> str:
        return self._signed("cookie", org_no, COOKIE_S)

    def org_no(self, cookie: str | None) -> int | None:
        return self._open("cookie", cookie) if cookie else None

    def _signed(self, use: str, org_no: int, lasts_s: int) -> str:
        text = f"{org_no}.{self._now_s() + lasts_s}.{secrets.token_hex(4)}"
        return f"{text}.{self._mac(use, text)}"

    def _open(self, use: str, token: str) -> int | None:
        text, _, mac = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(mac, self._mac(use, text)):
            return None
        org_no, until, _ = text.split(".")
        return int(org_no) if int(until) > self._now_s() else None

    def _mac(self, use: str, text: str) -> str:
        made = hmac.digest(self._key, f"{use}:{text}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(made[:18]).decode()  # 144 bits cannot be guessed, and the link stays short

    def _now_s(self) -> int:
        return self._clock.now_us() // 1_000_000
