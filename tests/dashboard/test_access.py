"""Tests of access to the dashboard: nothing is shown without a login."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from heliograph.dashboard import Dashboard
from heliograph.dashboard.session import COOKIE, COOKIE_S, LINK_S, Sessions
from heliograph.domain.accounts.guess_limit import BURST
from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.job import QueueCounts
from tests.dashboard.sample import KEY, NOW_US, Store
from tests.kit.clocks import ManualClock


class Browser:
    """Calls the app as a server would, and keeps its cookie."""

    def __init__(self, app: Dashboard) -> None:
        self.app = app
        self.cookie = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""
        self.client = ("192.0.2.1", 5000)

    async def enter(self, link: str) -> int:
        """Follows a login link as a person does: opens it and presses its button."""
        status = await self.go("GET", link)
        found = re.search(r'name="token" value="([^"]+)"', self.text)
        return await self.go("POST", "/login", urlencode({"token": found[1]})) if found else status

    async def go(self, method: str, target: str, body: str = "", **headers: str) -> int:
        path, _, query = target.partition("?")
        sent = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            sent["cookie"] = f"other=1; {COOKIE}={self.cookie}"
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "scheme": "http",
            "client": self.client,
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        events: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body.encode()}

        async def send(event: dict[str, Any]) -> None:
            events.append(event)

        await self.app(scope, receive, send)
        self.status = events[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in events[0]["headers"]}
        self.text = events[1]["body"].decode()
        if cookie := self.headers.get("set-cookie"):
            self.cookie = cookie.split(";")[0].partition("=")[2]
        return self.status


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_US)


@pytest.fixture
def browser(clock: ManualClock) -> Browser:
    store = Store()
    store.clock = clock
    return Browser(Dashboard(store, store, store, store, clock=clock, version="0.1.0"))  # type: ignore[arg-type]  # only what it asks


@pytest.mark.parametrize("path", ["/", "/live"])
async def test_a_stranger_sees_no_number_and_no_message(path: str, browser: Browser) -> None:
    assert await browser.go("GET", path) == 401
    assert "202-555" not in browser.text
    assert "Order" not in browser.text
    assert "First" not in browser.text


async def test_a_link_lets_in_once_and_its_cookie_stays_out_of_reach_of_scripts_and_other_sites(
    browser: Browser,
) -> None:
    path = browser.app.login_path(1)
    assert await browser.enter(path) == 303
    assert "HttpOnly" in browser.headers["set-cookie"]
    assert "SameSite=Strict" in browser.headers["set-cookie"]
    assert await browser.go("GET", "/") == 200
    assert "+1 202-555-0100" in browser.text
    other = Browser(browser.app)
    assert await other.enter(path) == 401
    assert other.cookie == ""


async def test_a_link_ends_after_a_quarter_of_an_hour_and_a_cookie_after_half_a_day(
    browser: Browser, clock: ManualClock
) -> None:
    late = browser.app.login_path(1)
    await browser.enter(browser.app.login_path(1))
    clock.advance(LINK_S)
    assert await Browser(browser.app).enter(late) == 401
    assert await browser.go("GET", "/live") == 200
    clock.advance(COOKIE_S)
    assert await browser.go("GET", "/live") == 401


@pytest.mark.parametrize("forged", ["", "1", "1.9999999999.00.x", "1.9999999999.00", "é.1.2.3", "...", "2" * 5000])
async def test_a_forged_cookie_or_link_opens_nothing(forged: str, browser: Browser) -> None:
    browser.cookie = forged.encode("ascii", "replace").decode()
    assert await browser.go("GET", "/") == 401
    assert await browser.go("GET", f"/login?{urlencode({'token': forged})}") in (200, 401)
    assert "202-555" not in browser.text


async def test_a_links_token_is_no_cookie_and_another_process_knows_no_link_without_a_secret_key(
    clock: ManualClock,
) -> None:
    store = Store()
    store.clock = clock
    sessions = Sessions(store, clock)
    link = sessions.link_token(1)
    assert await sessions.org_no(link) is None
    assert await sessions.redeem(await sessions.cookie(1, 1)) is None
    assert await Sessions(store, clock).redeem(link) is None
    shared = Sessions(store, clock, "the same secret").link_token(7)
    cookie = await Sessions(store, clock, "the same secret").redeem(shared)
    assert await Sessions(store, clock, "the same secret").redeem(shared) is None
    assert await sessions.org_no(cookie) == 7


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_look_at_a_link_spends_nothing(method: str, browser: Browser) -> None:
    path = browser.app.login_path(1)
    for _ in range(3):
        assert await browser.go(method, path) == 200
        assert browser.cookie == ""
    assert await browser.go("GET", "/") == 401
    assert await browser.enter(path) == 303


async def test_a_link_that_another_site_presses_is_not_spent(browser: Browser) -> None:
    path = browser.app.login_path(1)
    form = urlencode({"token": path.partition("=")[2]})
    assert await browser.go("POST", "/login", form, sec_fetch_site="cross-site") == 400
    assert await browser.enter(path) == 303


async def test_a_cookie_kept_from_before_the_logout_opens_nothing(browser: Browser) -> None:
    path = browser.app.login_path(1)
    await browser.enter(path)
    kept = browser.cookie
    assert await browser.go("POST", "/logout", origin="https://evil.example") == 303
    assert await browser.go("GET", "/") == 200
    await browser.go("POST", "/logout", origin="http://127.0.0.1:8080")
    browser.cookie = kept
    assert await browser.go("GET", "/") == 401
    assert await browser.enter(path) == 401


async def test_wrong_keys_of_an_address_are_limited_and_a_right_one_is_not(browser: Browser) -> None:
    met = [await browser.go("POST", "/login", urlencode({"key": f"hg_wrong_{n}"})) for n in range(BURST + 5)]
    assert met == [401] * BURST + [429] * 5
    assert int(browser.headers["retry-after"]) >= 1
    assert await browser.go("POST", "/login/link", authorization="Bearer hg_wrong") == 429
    assert await browser.go("POST", "/login", urlencode({"key": KEY})) == 303
    other = Browser(browser.app)
    other.client = ("192.0.2.2", 1)
    assert await other.go("POST", "/login", urlencode({"key": "hg_wrong"})) == 401


async def test_an_api_key_lets_in_and_a_wrong_one_does_not(browser: Browser) -> None:
    assert await browser.go("POST", "/login", urlencode({"key": "hg_wrong"})) == 401
    assert browser.cookie == ""
    assert await browser.go("POST", "/login", urlencode({"key": f" Bearer {KEY} "})) == 303
    assert await browser.go("GET", "/") == 200


async def test_the_holder_of_a_key_gets_a_link_for_a_person(browser: Browser) -> None:
    assert await browser.go("POST", "/login/link") == 401
    assert "UNAUTHORIZED_ERROR" in browser.text
    assert await browser.go("POST", "/login/link", authorization="Bearer hg_wrong") == 401
    assert await browser.go("POST", "/login/link", authorization=f"Bearer {KEY}") == 200
    person = Browser(browser.app)
    assert await person.enter(json.loads(browser.text)["path"]) == 303
    assert await person.go("GET", "/") == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}]
)
async def test_a_form_of_another_site_is_refused(headers: dict[str, str], browser: Browser) -> None:
    assert await browser.go("POST", "/login", urlencode({"key": KEY}), **headers) == 400
    assert browser.cookie == ""


async def test_behind_a_proxy_with_tls_the_cookie_is_secure_and_the_login_works(clock: ManualClock) -> None:
    store = Store()
    app = Dashboard(store, store, store, store, clock=clock, version="0", public_url="https://gw.example")  # type: ignore[arg-type]
    person = Browser(app)
    assert await person.go("POST", "/login", urlencode({"key": KEY}), origin="https://gw.example") == 303
    assert person.headers["set-cookie"].endswith("; Secure")
    stranger = Browser(app)
    assert await stranger.go("POST", "/login", urlencode({"key": KEY}), origin="https://evil.example") == 400


async def test_a_form_that_never_ends_is_cut_off(browser: Browser) -> None:
    assert await browser.go("POST", "/login", "key=" + "x" * 100_000) == 400


async def test_logging_out_takes_the_cookie_back(browser: Browser) -> None:
    await browser.enter(browser.app.login_path(1))
    assert await browser.go("POST", "/logout", origin="http://127.0.0.1:8080") == 303
    assert "Max-Age=0" in browser.headers["set-cookie"]
    assert await browser.go("GET", "/") == 401


async def test_what_has_not_changed_is_not_sent_again(browser: Browser) -> None:
    await browser.enter(browser.app.login_path(1))
    assert await browser.go("GET", "/live") == 200
    assert await browser.go("GET", "/live", if_none_match=browser.headers["etag"]) == 304
    assert browser.text == ""


async def test_every_answer_forbids_inline_code_framing_and_storing(browser: Browser) -> None:
    link = browser.app.login_path(1)
    await browser.enter(link)
    for path in ("/", browser.app.login_path(1), link, "/login", "/static/helio.css", "/nothing"):
        await browser.go("GET", path)
        policy = browser.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert browser.headers["x-content-type-options"] == "nosniff"
        assert browser.headers["referrer-policy"] == "no-referrer"
        assert browser.headers["cache-control"] in ("no-store", "no-cache")
    assert await browser.go("GET", "/static/../app.py") == 404
    assert await browser.go("HEAD", "/") == 200
    assert browser.text == ""


async def test_an_unreachable_database_is_named_as_the_cause(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_self: Store, _org_no: int) -> dict[int, QueueCounts]:
        raise Unavailable("The disk is full.")

    await browser.enter(browser.app.login_path(1))
    monkeypatch.setattr(Store, "health_of_phones", away)
    assert await browser.go("GET", "/") == 503
    assert "The disk is full." in browser.text
