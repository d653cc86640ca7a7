"""Logins of the page: a link that works once, and the cookie it is exchanged for.

Promise: without a valid cookie nothing of a message is shown. A link is good for 15 minutes and one use, a cookie for
12 hours; a logout ends it, and so does the end of the key that let in, in every process. Only digests are stored.
A link is signed with a key of this process, or one made from HELIOGRAPH_SECRET_KEY; it is not stored before its use.
"""

import base64
import hashlib
import hmac
import secrets

from heliograph.ports.clock import Clock
from heliograph.ports.stores.account_store import NewPageSession, PageSessionStore

COOKIE = "heliograph_session"
LINK_S = 15 * 60
COOKIE_S = 12 * 3600


class Sessions:
    def __init__(self, kept: PageSessionStore, clock: Clock, secret_key: str | None = None) -> None:
        self._kept = kept
        self._clock = clock
        source = secret_key.encode() if secret_key else secrets.token_bytes(32)
        self._key = hmac.digest(source, b"heliograph dashboard session 1", "sha256")

    def link_token(self, org_no: int, key_no: int | None = None) -> str:
        """`key_no`: the key whose holder asked for it."""
        text = f"{org_no}.{key_no or 0}.{self._now_s() + LINK_S}.{secrets.token_hex(4)}"
        return f"{text}.{self._mac(text)}"

    def is_link(self, token: str) -> bool:
        """Says whether the link may be used, if it was not used before."""
        return self._open(token) is not None

    async def redeem(self, token: str) -> str | None:
        """The cookie's value for a link's token; None if it is wrong, too old, or was used."""
        opened = self._open(token)
        return None if opened is None else await self._begin(*opened, link=_digest(token))

    async def cookie(self, org_no: int, key_no: int) -> str:
        """The cookie's value for the holder of a key."""
        made = await self._begin(org_no, key_no, link=None)
        assert made is not None
        return made

    async def org_no(self, cookie: str | None) -> int | None:
        return await self._kept.page_session(_digest(cookie)) if cookie else None

    async def end(self, cookie: str | None) -> None:
        if cookie:
            await self._kept.end_page_session(_digest(cookie))

    async def _begin(self, org_no: int, key_no: int | None, *, link: str | None) -> str | None:
        cookie = secrets.token_urlsafe(24)
        ends_at_us = self._clock.now_us() + COOKIE_S * 1_000_000
        begun = await self._kept.begin_page_session(NewPageSession(_digest(cookie), link, org_no, key_no, ends_at_us))
        return cookie if begun else None

    def _open(self, token: str) -> tuple[int, int | None] | None:
        text, _, mac = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(mac, self._mac(text)):
            return None
        org_no, key_no, until, _ = text.split(".")
        return (int(org_no), int(key_no) or None) if int(until) > self._now_s() else None

    def _mac(self, text: str) -> str:
        made = hmac.digest(self._key, f"link:{text}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(made[:18]).decode()  # 144 bits: out of reach, and a link one can read

    def _now_s(self) -> int:
        return self._clock.now_us() // 1_000_000


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
