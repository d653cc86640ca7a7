"""The caller and the phone of a request, from the bearer key and the `x-phone` header.

A key is looked up by the SHA-256 of its secret and cached for `KEY_TTL_S`, so a revoked key works at most that much
longer (in every process). A phone is cached for sends only: the store refuses a phone that was deleted meanwhile.
Source: contract section 1 ("Auth", "Phone selection") and 6.9.
"""

import asyncio
import hashlib
from dataclasses import dataclass

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.guess_limit import BURST, INTERVAL_S, GuessLimit
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Invalid, NotFound, RateLimited, Unauthorized
from heliograph.domain.messages.chat import is_group
from heliograph.ports.clock import Clock
from heliograph.ports.stores.account_store import AccountStore
from heliograph.ports.stores.phone_store import PhoneStore

KEY_TTL_S = 3.0
PHONE_TTL_S = 2.0
AHEAD_S = 0.5  # this long before an entry ends, one request renews it; the others still use it
MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A known key. `org_header` is the response header with the organisation's id."""

    key: KeyRow
    org_header: tuple[bytes, bytes]

    @property
    def org_no(self) -> int:
        return self.key.org_no


class ApiKeyCache:
    """Cache of callers by their Authorization header."""

    def __init__(self, accounts: AccountStore, clock: Clock, guesses: GuessLimit | None = None) -> None:
        self._accounts = accounts
        self._clock = clock
        self._guesses = guesses or GuessLimit()
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._asked: dict[bytes, asyncio.Future[KeyRow | None]] = {}

    async def caller(self, authorization: bytes | None, address: str = "") -> Caller:
        """Raises Unauthorized for a missing, unknown or revoked key; RateLimited after many of one address."""
        digest = _digest(authorization)
        if (fresh := self._fresh(digest)) is not None:
            return fresh
        wait_s = self._guesses.wait_s(address, digest, self._clock.monotonic())
        if wait_s is None:
            raise too_many_guesses()
        if wait_s:
            await self._clock.sleep(wait_s)
        try:
            found = await self._look_up(digest)
        except Unauthorized:
            self._guesses.wrong(digest)
            if wait_s:
                raise too_many_guesses() from None
            raise
        self._guesses.right(address, digest)
        return found

    def cached(self, authorization: bytes | None) -> Caller | None:
        """Returns what `caller` returns, or None if the store would have to be asked."""
        return self._fresh(_digest(authorization))

    def _fresh(self, digest: bytes) -> Caller | None:
        found = self._known.get(digest)
        if found is None:
            return None
        left_s = found[0] - self._clock.monotonic()
        return found[1] if left_s > AHEAD_S or (left_s > 0 and digest in self._asked) else None

    async def _look_up(self, digest: bytes) -> Caller:
        asked_at = self._clock.monotonic()
        row = await self._ask_once(digest)
        if row is None:
            self._known.pop(digest, None)
            raise unauthorized()
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        found = Caller(row, (b"x-periskope-org-id", row.org_id.encode()))
        # counted from before the look-up, so that an entry is never older than KEY_TTL_S
        self._known[digest] = (asked_at + KEY_TTL_S, found)
        return found

    async def _ask_once(self, digest: bytes) -> KeyRow | None:
        """Shares one look-up between requests that arrive together."""
        if waiting := self._asked.get(digest):
            return await asyncio.shield(waiting)
        answer: asyncio.Future[KeyRow | None] = asyncio.get_running_loop().create_future()
        self._asked[digest] = answer
        try:
            row = await self._accounts.key_by_digest(digest)
        except BaseException as error:
            answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            answer.exception()  # marked as retrieved, even if no other request waits
            raise
        else:
            answer.set_result(row)
            return row
        finally:
            del self._asked[digest]


def _digest(authorization: bytes | None) -> bytes:
    return hashlib.sha256(bearer_token(authorization)).digest()


def bearer_token(authorization: bytes | None) -> bytes:
    """Returns the secret without stray spaces and without a prefix that was pasted twice."""
    token = (authorization or b"").strip()
    if token[:7].lower() != b"bearer ":
        raise unauthorized()
    while token[:7].lower() == b"bearer ":
        token = token[7:].strip()
    if not token:
        raise unauthorized()
    return token


def too_many_guesses() -> RateLimited:
    return RateLimited("Too many requests with a wrong key came from your address", retry_after_s=BURST * INTERVAL_S)


def unauthorized() -> Unauthorized:
    return Unauthorized("Invalid bearer auth token")


class PhoneCache:
    """Cache of the phones that requests name."""

    def __init__(self, phones: PhoneStore, clock: Clock) -> None:
        self._phones = phones
        self._clock = clock
        self._known: dict[tuple[int, bytes | None], tuple[float, PhoneRow]] = {}
        self._asked: set[tuple[int, bytes | None]] = set()

    async def for_send(self, org_no: int, header: bytes | None, chat_id: str) -> PhoneRow:
        """Returns what `required` returns, from the cache if possible: the state may be `PHONE_TTL_S` old."""
        if (cached := self.cached(org_no, header)) is not None:
            return cached
        name = (org_no, header)
        self._asked.add(name)
        try:
            named = await self._named_or_all(org_no, header)
        except NotFound:
            self._known.pop(name, None)
            raise
        finally:
            self._asked.discard(name)
        if len(named) != 1:
            return await self._of_group(org_no, named, chat_id)
        [found] = named
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[name] = (self._clock.monotonic() + PHONE_TTL_S, found)
        return found

    def cached(self, org_no: int, header: bytes | None) -> PhoneRow | None:
        """Returns what `for_send` returns, or None if the store would have to be asked."""
        name = (org_no, header)
        found = self._known.get(name)
        if found is None:
            return None
        left_s = found[0] - self._clock.monotonic()
        return found[1] if left_s > AHEAD_S or (left_s > 0 and name in self._asked) else None

    async def required(self, org_no: int, header: bytes | None, chat_id: str | None = None) -> PhoneRow:
        """Returns the phone of x-phone. Raises NotFound or Invalid.

        Without the header: the organisation's only phone, or the only one that knows the group of `chat_id`.
        """
        found = await self._named_or_all(org_no, header)
        return found[0] if len(found) == 1 else await self._of_group(org_no, found, chat_id)

    async def _named_or_all(self, org_no: int, header: bytes | None) -> list[PhoneRow]:
        if header is not None and header.strip():
            return [await self.named(org_no, header)]
        return await self._phones.phones(org_no)

    async def _of_group(self, org_no: int, phones: list[PhoneRow], chat_id: str | None) -> PhoneRow:
        message = "Missing Header: {x-phone}"
        if phones and chat_id is not None and is_group(chat_id):
            known = await self._phones.phones_of_chat(org_no, [phone.phone_no for phone in phones], chat_id)
            if len(known) == 1:
                return next(phone for phone in phones if phone.phone_no in known)
            how_many = f"{len(known)} phones" if known else "no phone"
            message += f". It may be left out for a group that one phone knows; {how_many} of this organisation"
            message += " sent to this group or heard from it"
        raise Invalid(message, fields={"x-phone": {"message": message, "value": None}})

    async def optional(self, org_no: int, header: bytes | None) -> PhoneRow | None:
        """Returns the phone of x-phone, or None (the whole organisation) without the header."""
        return await self.named(org_no, header) if header is not None and header.strip() else None

    async def named(self, org_no: int, header: bytes) -> PhoneRow:
        wanted = phone_name(header)
        found = await self._phones.phone(org_no, wanted) if wanted else None
        if found is None:
            message = "There is no such phone; see GET /v1/phones/all for the phones of this organisation"
            shown = header.decode("latin-1")[:100]
            raise NotFound(message, fields={"x-phone": {"message": message, "value": shown}})
        return found

    def forget(self, org_no: int) -> None:
        """Drops the phones of an organisation after one of them was added, changed or deleted here."""
        self._known = {name: row for name, row in self._known.items() if name[0] != org_no}


def phone_name(header: bytes) -> str | None:
    """Returns digits or a phone_id, without `+`, spaces and `@c.us`. None for what can be neither."""
    text = header.decode("latin-1").strip()
    if text.startswith("phone-"):
        return text if text.isascii() and text.isprintable() else None
    text = text.removesuffix("@c.us").replace(" ", "").replace("-", "").removeprefix("+")
    return text if text.isascii() and text.isdigit() and len(text) <= 20 else None
