"""Markup of the page: a sentence first, then the tables. It has no style or script, as the CSP forbids them."""

from heliograph.dashboard.html import Child, Element, document, el, group
from heliograph.dashboard.snapshot import MessageLine, PhoneLine, Snapshot
from heliograph.domain.explain.status_style import look, phone_look, shown_number

_KINDS = {"chat": "", "poll_creation": "Poll", "ptt": "Voice", "vcard": "Contact"}
_NEEDS_YOU = frozenset({"logged_out", "replaced", "unauthorized"})


def page(snapshot: Snapshot, *, version: str, address: str) -> bytes:
    """Makes the whole page."""
    main = el("main", live(snapshot, address), id="main")
    foot = el(
        "footer",
        el("span", f"Heliograph {version}"),
        el("a", "API", href="/docs"),
        el("a", "Metrics", href="/metrics"),
        el("form", el("button", "Log out", type="submit", class_="plain"), method="post", action="/logout"),
    )
    status = el("p", el("span", class_="dot"), el("span", "live", id="word"), class_="live", id="status", role="status")
    hold = el("button", "Hold still", type="button", id="hold", class_="plain", hidden=True)
    return document(_head("Heliograph", live_script=True), el("body", _top(group(hold, status)), main, foot))


def login_page(problem: str = "") -> bytes:
    """Makes the page for visitors without a session. It shows nothing of the content."""
    form = el(
        "form",
        el("label", "API key", for_="key"),
        el("input", type="password", name="key", id="key", autocomplete="off", required=True),
        el("button", "Look inside", type="submit", class_="primary"),
        method="post",
        action="/login",
        class_="login",
    )
    main = el(
        "main",
        el("h1", "Who is looking?"),
        el("p", problem, class_="problem", role="alert") if problem else None,
        el("p", "Open the link that ", el("code", "heliograph serve"), " printed when it started, or use an API key."),
        form,
    )
    return document(_head("Heliograph: log in"), el("body", _top(None), main))


def link_page(token: str) -> bytes:
    """Behind a login link: a button, because only a person presses one."""
    form = el(
        "form",
        el("input", type="hidden", name="token", value=token),
        el("button", "Open the page", type="submit", class_="primary"),
        method="post",
        action="/login",
        class_="login",
    )
    main = el("main", el("h1", "Look inside?"), el("p", "This link works once, within 15 minutes."), form)
    return document(_head("Heliograph: log in"), el("body", _top(None), main))


def broken_page(problem: str) -> bytes:
    """Makes the page for a store that does not answer."""
    main = el(
        "main", el("h1", "The database does not answer."), el("p", problem), el("p", "This page tries again by itself.")
    )
    return document(_head("Heliograph: waiting for the database", refresh=True), el("body", _top(None), main))


def live(snapshot: Snapshot, address: str) -> Element:
    """Makes the live part. Each section has an id, so that the script replaces only those that differ."""
    if not snapshot.messages and not snapshot.health.waiting:
        first = _first_steps(snapshot, address)
        return group(el("h1", "Nothing has been sent yet.", id="sentence"), first, _phones(snapshot))
    return group(el("h1", *sentence(snapshot), id="sentence"), _phones(snapshot), _messages(snapshot))


def sentence(snapshot: Snapshot) -> list[Child]:
    """`3 messages are waiting, 1 on its way. 2 uncertain. 20 sent. 14 not sent. 1 phone needs you.`"""
    health = snapshot.health
    waiting = health.waiting
    parts: list[Child] = [
        "Nothing is waiting"
        if not waiting
        else group(el("b", f"{waiting:,} message{_s(waiting)}"), f" {_are(waiting)} waiting")
    ]
    sending = health.active - health.uncertain
    if sending:
        parts.append(f", {sending:,} on {_its(sending)} way")
    if health.delayed:
        parts.append(f", {health.delayed:,} {_are(health.delayed)} scheduled")
    parts.append(". ")
    if health.uncertain:
        parts += [el("span", f"{health.uncertain:,} uncertain", class_="uncertain"), ". "]
    if health.completed:
        parts.append(f"{health.completed:,} sent. ")
    if health.failed:
        parts += [el("span", f"{health.failed:,} not sent", class_="bad"), ". "]
    needy = sum(phone.state in _NEEDS_YOU for phone in snapshot.phones)
    if needy:
        parts.append(el("span", f"{needy:,} phone{_s(needy)} need{'s' if needy == 1 else ''} you.", class_="bad"))
    return parts


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _its(count: int) -> str:
    return "its" if count == 1 else "their"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _phones(snapshot: Snapshot) -> Element:
    rows = [_phone(phone) for phone in snapshot.phones]
    more = el("p", f"and {snapshot.more_phones:,} more", class_="mute") if snapshot.more_phones else None
    none = el("p", "No phone yet: ", el("code", "heliograph phones add --provider simulator"), class_="mute")
    numbers = [el("th", name, class_="n") for name in ("Waiting", "On the way", "Uncertain")]
    head = el("tr", el("th", "Phone"), el("th", "State"), *numbers)
    grid = el("table", el("thead", head), el("tbody", *rows), class_="phones")
    body = (grid, more) if rows else (none,)
    return el("section", el("h2", "Phones"), *body, id="phones")


def _phone(phone: PhoneLine) -> Element:
    shown = phone_look(phone.state)
    name = el("b", phone.name) if phone.name else None
    return el(
        "tr",
        el("td", name, " " if name else None, el("span", shown_number(phone.number), class_="id"), class_="who"),
        el(
            "td",
            _state(shown.glyph, shown.word, shown.tone),
            el("span", f" {phone.detail}", class_="mute") if phone.detail else None,
            class_="state",
        ),
        el("td", f"{phone.waiting:,}", class_="n", data_label="waiting"),
        el("td", f"{phone.sending:,}", class_="n", data_label="on the way"),
        el("td", f"{phone.uncertain:,}", class_="n", data_label="uncertain"),
        id=f"p-{phone.phone_id}",
    )


def _messages(snapshot: Snapshot) -> Element:
    heads = (("Time", None), ("To", None), ("Message", None), ("State", None), ("Try", "n"), ("Why", None))
    head = el("tr", *(el("th", name, class_=kind) for name, kind in heads))
    rows = el("tbody", *(_message(line) for line in snapshot.messages), id="rows")
    grid = el("table", el("thead", head), rows, class_="messages")
    return el("section", el("h2", "Newest messages"), grid, id="messages", data_rows=True)


def _message(line: MessageLine) -> Element:
    shown = look(line.state)
    kind = _KINDS.get(line.kind, line.kind.capitalize())
    text = " ".join(line.text.split())[:140]
    return el(
        "tr",
        el("td", el("time", f"{line.at[11:19]} UTC", datetime=line.at), class_="when"),
        el("td", shown_number(line.chat_id), class_="to"),
        el("td", el("span", kind, class_="kind") if kind else None, text, class_="text", title=line.text[:1000]),
        el("td", _state(shown.glyph, shown.word, shown.tone), class_="state"),
        el("td", line.attempts, class_="n try"),
        el("td", line.why, class_="why"),
        id=f"m-{line.key}",
    )


def _state(glyph: str, word: str, tone: str) -> Element:
    return el("span", el("span", glyph, class_="glyph", aria_hidden="true"), word, class_=f"st {tone}")


def _first_steps(snapshot: Snapshot, address: str) -> Element:
    phone = f' -H "x-phone: {snapshot.phones[0].number}"' if snapshot.phones else ""
    curl = (
        f'curl {address}/v1/message/send -H "Authorization: Bearer $HELIOGRAPH_API_KEY"{phone}'
        ' -H "Content-Type: application/json" -d \'{"chat_id": "12025550100", "message": "Hello"}\''
    )
    return el(
        "section",
        el("p", "Send a first one; 12025550100 is a test recipient of the simulated network, and it reads everything:"),
        el("pre", 'heliograph send 12025550100 "Hello" --wait read'),
        el("p", "or by HTTP:"),
        el("pre", curl),
        el("p", "It appears here.", class_="mute"),
        id="first",
    )


def _top(right: Element | None) -> Element:
    mark = el("img", src="/static/mark.svg", width="22", height="22", alt="")
    return el("header", el("a", mark, el("b", "Heliograph"), href="/", class_="mark"), right)


def _head(title: str, *, live_script: bool = False, refresh: bool = False) -> Element:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", http_equiv="refresh", content="3") if refresh else None,
        el("title", title),
        el("link", rel="icon", href="/static/mark.svg", type="image/svg+xml"),
        el("link", rel="stylesheet", href="/static/helio.css"),
        el("script", src="/static/live.js", defer=True) if live_script else None,
    )
