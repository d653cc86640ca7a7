"""The ASGI app at `/`: login, the page, its live part, and three files.

Promise: without a session every path but the login and the files answers with the login page. Viewing stores nothing.
The CSP allows no inline code at all.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from heliograph.dashboard.page import broken_page, live, login_page, page, welcome_page
from heliograph.dashboard.session import COOKIE, COOKIE_S, Sessions
from heliograph.dashboard.snapshot import Explainer, Watcher
from heliograph.domain.accounts.api_key import digest
from heliograph.domain.errors import Unavailable
from heliograph.ports.clock import Clock
from heliograph.ports.job_store import Accounts, JobStore

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

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Dashboard:
    """The dashboard. `public_url`: its public address; None = the Host header. `explain_jobs`: see snapshot.py."""

    def __init__(
        self,
        intake: JobStore,
        accounts: Accounts,
        *,
        clock: Clock,
        version: str,
        secret_key: str | None = None,
        public_url: str | None = None,
        explain_jobs: Explainer | None = None,
    ) -> None:
        self._watcher = Watcher(intake, accounts, clock, explain_jobs)
        self._accounts = accounts
        self._sessions = Sessions(clock, secret_key)
        self._version = version
        self._public_url = public_url
        folder = files("heliograph.dashboard") / "static"
        self._files = {f"/static/{name}": ((folder / name).read_bytes(), kind) for name, kind in _FILES.items()}

    def login_path(self, org_no: int) -> str:
        """Returns the path of a login link, good for one use within 15 minutes."""
        return f"/login?token={self._sessions.link_token(org_no)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = _Call(scope, receive, send, self._public_url)
        try:
            await self._route(call)
        except Unavailable as problem:
            await call.answer(503, broken_page(problem.message), headers=[(b"retry-after", b"3")])

    async def _route(self, call: "_Call") -> None:
        if call.path in self._files and call.reads:
            await self._file(call)
        elif call.path == "/login":
            await (self._login_form(call) if call.method == "POST" else self._login_link(call))
        elif call.path == "/login/link" and call.method == "POST":
            await self._new_link(call)
        elif call.path == "/logout" and call.method == "POST":
            await call.go("/login", cookie=_cookie("", 0, secure=call.secure) if call.same_origin else None)
        elif call.path in ("/", "/live") and call.reads:
            await self._show(call)
        else:
            await call.answer(404, b"Not found. The page is at /.\n", kind="text/plain; charset=utf-8")

    async def _show(self, call: "_Call") -> None:
        org_no = self._sessions.org_no(call.cookie)
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
        token = parse_qs(call.query).get("token", [""])[0]
        if not token:
            known = self._sessions.org_no(call.cookie) is not None
            await (call.go("/") if known else call.answer(200, login_page()))
            return
        cookie = self._sessions.redeem(token)
        if cookie is None:
            message = (
                "This link was used already, or is older than 15 minutes. `heliograph login-link` makes a new one."
            )
            await call.answer(401, login_page(message))
            return
        set_cookie = (b"set-cookie", _cookie(cookie, COOKIE_S, secure=call.secure))
        await call.answer(200, welcome_page(), headers=[set_cookie])

    async def _login_form(self, call: "_Call") -> None:
        body = await call.body(_MAX_FORM_BYTES)
        if body is None or not call.same_origin:
            await call.answer(400, login_page("That was not understood. Please try again."))
            return
        org_no = await self._org_of_key(parse_qs(body.decode("latin-1")).get("key", [""])[0])
        if org_no is None:
            await call.answer(401, login_page("This server does not know that key."))
            return
        await call.go("/", cookie=_cookie(self._sessions.cookie(org_no), COOKIE_S, secure=call.secure))

    async def _new_link(self, call: "_Call") -> None:
        """Answers the holder of an API key with the path of a login link."""
        org_no = await self._org_of_key(call.header(b"authorization").decode("latin-1"))
        if org_no is None:
            error = {"code": "UNAUTHORIZED_ERROR", "name": "Unauthorized Error", "status": 401, "fields": {}}
            await call.answer(401, msgspec.json.encode(error | {"message": "Invalid bearer auth token"}), kind=_JSON)
        else:
            await call.answer(200, msgspec.json.encode({"path": self.login_path(org_no)}), kind=_JSON)

    async def _org_of_key(self, text: str) -> int | None:
        key = text.strip().removeprefix("Bearer ").strip()
        row = await self._accounts.key_by_digest(digest(key)) if key else None
        return row.org_no if row else None

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


def _cookie(value: str, lasts_s: int, *, secure: bool) -> bytes:
    mark = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{mark}".encode()
