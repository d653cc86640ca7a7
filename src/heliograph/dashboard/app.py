"""The ASGI app at `/`: login, the page, its live part, and three files.

Promise: without a session every path but the login and the files answers with the login page. Viewing stores nothing.
The CSP allows no inline code at all.
"""

import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from heliograph.dashboard.page import broken_page, link_page, live, login_page, page
from heliograph.dashboard.session import COOKIE, COOKIE_S, Sessions
from heliograph.dashboard.snapshot import Watcher
from heliograph.domain.accounts.api_key import KeyRow, digest
from heliograph.domain.accounts.client_address import client_address
from heliograph.domain.accounts.guess_limit import BURST, INTERVAL_S, GuessLimit
from heliograph.domain.errors import RateLimited, Refusal, Unauthorized, Unavailable
from heliograph.ports.clock import Clock
from heliograph.ports.stores.account_store import AccountStore, PageSessionStore
from heliograph.ports.stores.job_store import JobStore
from heliograph.ports.stores.phone_store import PhoneStore

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_FILES = {"helio.css": "text/css", "live.js": "text/javascript", "mark.svg": "image/svg+xml"}
_MAX_FORM_BYTES = 4096
_HTML = "text/html; charset=utf-8"
_JSON = "application/json"
_USED = "This link was used already, or is older than 15 minutes. `heliograph login-link` makes a new one."

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Dashboard:
    """The dashboard. `public_url`: its public address; None = the Host header."""

    def __init__(
        self,
        jobs: JobStore,
        phones: PhoneStore,
        accounts: AccountStore,
        sessions: PageSessionStore,
        *,
        clock: Clock,
        version: str,
        secret_key: str | None = None,
        public_url: str | None = None,
        guesses: GuessLimit | None = None,
    ) -> None:
        self._watcher = Watcher(jobs, phones, accounts, clock)
        self._accounts = accounts
        self._sessions = Sessions(sessions, clock, secret_key)
        self._clock = clock
        self._guesses = guesses or GuessLimit()
        self._version = version
        self._public_url = public_url
        folder = files("heliograph.dashboard") / "static"
        self._files = {f"/static/{name}": ((folder / name).read_bytes(), kind) for name, kind in _FILES.items()}

    def login_path(self, org_no: int, key_no: int | None = None) -> str:
        """Returns the path of a login link, good for one use within 15 minutes."""
        return f"/login?token={self._sessions.link_token(org_no, key_no)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = _Call(scope, receive, send, self._public_url)
        try:
            await self._route(call)
        except Unavailable as problem:
            await call.answer(503, broken_page(problem.message), headers=[(b"retry-after", b"3")])
        except RateLimited as refused:
            again = [(b"retry-after", b"%d" % math.ceil(refused.retry_after_s or 1))]
            if call.path == "/login":
                await call.answer(429, login_page(refused.message), headers=again)
            else:
                await call.answer(429, _refusal(refused), kind=_JSON, headers=again)

    async def _route(self, call: "_Call") -> None:
        if call.path in self._files and call.reads:
            await self._file(call)
        elif call.path == "/login":
            await (self._login_form(call) if call.method == "POST" else self._login_link(call))
        elif call.path == "/login/link" and call.method == "POST":
            await self._new_link(call)
        elif call.path == "/logout" and call.method == "POST":
            await self._log_out(call)
        elif call.path in ("/", "/live") and call.reads:
            await self._show(call)
        else:
            await call.answer(404, b"Not found. The page is at /.\n", kind="text/plain; charset=utf-8")

    async def _log_out(self, call: "_Call") -> None:
        if call.same_origin:
            await self._sessions.end(call.cookie)
        await call.go("/login", cookie=_cookie("", 0, secure=call.secure) if call.same_origin else None)

    async def _show(self, call: "_Call") -> None:
        org_no = await self._sessions.org_no(call.cookie)
        if org_no is None:
            await call.answer(401, login_page() if call.path == "/" else b"", headers=[])
            return
        snapshot = await self._watcher.snapshot(org_no)
        if call.path == "/":
            await call.answer(200, page(snapshot, version=self._version, address=call.address))
            return
        part = str(live(snapshot, call.address)).encode()
        tag = f'"{hashlib.sha256(part).hexdigest()[:20]}"'.encode()
        if call.header(b"if-none-match") == tag:
            await call.answer(304, b"", headers=[(b"etag", tag)])
        else:
            await call.answer(200, part, headers=[(b"etag", tag)])

    async def _login_link(self, call: "_Call") -> None:
        """A look at a link spends nothing: mail scanners and browsers look before a person does."""
        token = parse_qs(call.query).get("token", [""])[0]
        if token:
            good = self._sessions.is_link(token)
            await call.answer(200 if good else 401, link_page(token) if good else login_page(_USED))
            return
        known = await self._sessions.org_no(call.cookie) is not None
        await (call.go("/") if known else call.answer(200, login_page()))

    async def _login_form(self, call: "_Call") -> None:
        body = await call.body(_MAX_FORM_BYTES)
        if body is None or not call.same_origin:
            await call.answer(400, login_page("That was not understood. Please try again."))
            return
        form = parse_qs(body.decode("latin-1"))
        if token := form.get("token", [""])[0]:
            cookie, problem = await self._sessions.redeem(token), _USED
        else:
            key = await self._key(form.get("key", [""])[0], call.client)
            cookie = await self._sessions.cookie(key.org_no, key.key_no) if key else None
            problem = "This server does not know that key."
        if cookie is None:
            await call.answer(401, login_page(problem))
            return
        await call.go("/", cookie=_cookie(cookie, COOKIE_S, secure=call.secure))

    async def _new_link(self, call: "_Call") -> None:
        """For programs: the holder of a key gets the path of a link for a person."""
        key = await self._key(call.header(b"authorization").decode("latin-1"), call.client)
        if key is None:
            await call.answer(401, _refusal(Unauthorized("Invalid bearer auth token")), kind=_JSON)
        else:
            path = self.login_path(key.org_no, key.key_no)
            await call.answer(200, msgspec.json.encode({"path": path}), kind=_JSON)

    async def _key(self, text: str, client: str) -> KeyRow | None:
        """Raises RateLimited after many wrong ones of an address."""
        secret = text.strip().removeprefix("Bearer ").strip()
        if not secret:
            return None
        given = digest(secret)
        wait_s = self._guesses.wait_s(client, given, self._clock.monotonic())
        if wait_s is None:
            raise _too_many()
        if wait_s:
            await self._clock.sleep(wait_s)
        row = await self._accounts.key_by_digest(given)
        if row is not None:
            self._guesses.right(client, given)
            return row
        self._guesses.wrong(given)
        if wait_s:
            raise _too_many()
        return None

    async def _file(self, call: "_Call") -> None:
        content, kind = self._files[call.path]
        await call.answer(200, content, kind=kind, headers=[(b"cache-control", b"no-cache")])


class _Call:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, public_url: str | None) -> None:
        self._scope = scope
        self._public_url = public_url
        self._receive = receive
        self._send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD")

    @property
    def secure(self) -> bool:
        """True if the public address begins with https, also behind a proxy that ends TLS."""
        return self.address.startswith("https://")

    @property
    def address(self) -> str:
        return self._public_url or self._typed

    @property
    def _typed(self) -> str:
        return f"{self._scope.get('scheme', 'http')}://{self.header(b'host').decode('latin-1')}"

    @property
    def same_origin(self) -> bool:
        """True if a form of this page sent the request, not that of another site."""
        origin = self.header(b"origin").decode("latin-1")
        site = self.header(b"sec-fetch-site")
        own = {urlsplit(address).netloc for address in (self.address, self._typed)}
        return site in (b"", b"same-origin") and (not origin or urlsplit(origin).netloc in own)

    @property
    def cookie(self) -> str | None:
        for part in self.header(b"cookie").decode("latin-1").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
        return None

    @property
    def client(self) -> str:
        client = self._scope.get("client")
        return client_address(client[0]) if client else ""

    def header(self, name: bytes) -> bytes:
        return self._headers.get(name, b"")

    async def body(self, most: int) -> bytes | None:
        """Reads the body. None if it is longer than `most`, or the client is gone."""
        found = b""
        while True:
            event = await self._receive()
            if event["type"] != "http.request":
                return None
            found += bytes(event.get("body", b""))
            if len(found) > most:
                return None
            if not event.get("more_body"):
                return found

    async def go(self, path: str, *, cookie: bytes | None = None) -> None:
        headers = [(b"location", path.encode())] + ([(b"set-cookie", cookie)] if cookie else [])
        await self.answer(303, b"", headers=headers)

    async def answer(
        self, status: int, content: bytes, *, kind: str = _HTML, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        own = list(headers or [])
        if not any(name == b"cache-control" for name, _ in own):
            own.append((b"cache-control", b"no-store"))
        own += [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode()), *_HEADERS]
        await self._send({"type": "http.response.start", "status": status, "headers": own})
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else content})


def _too_many() -> RateLimited:
    return RateLimited("Too many wrong keys came from your address.", retry_after_s=BURST * INTERVAL_S)


def _refusal(refusal: Refusal) -> bytes:
    said = {"code": refusal.code, "name": refusal.name, "status": refusal.status, "message": refusal.message}
    return msgspec.json.encode(said | {"fields": {}})


def _cookie(value: str, lasts_s: int, *, secure: bool) -> bytes:
    mark = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{mark}".encode()
