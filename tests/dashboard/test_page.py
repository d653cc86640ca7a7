"""Tests of the page's markup: one sentence says the state, everything is escaped, and there is no script."""

import re
from pathlib import Path

import pytest

from heliograph.dashboard.html import el
from heliograph.dashboard.page import broken_page, live, login_page, page
from heliograph.dashboard.snapshot import Snapshot, Watcher
from heliograph.domain.jobs.job import QueueCounts
from tests.dashboard.sample import NOW_US, Store
from tests.kit.clocks import ManualClock

STATIC = Path(__file__).parents[2] / "src" / "heliograph" / "dashboard" / "static"


async def look(store: Store) -> Snapshot:
    return await Watcher(store, store, store, ManualClock(NOW_US)).snapshot(1)  # type: ignore[arg-type]  # only what the page asks for


@pytest.fixture
async def busy() -> str:
    return page(await look(Store()), version="0.1.0", address="http://127.0.0.1:8080").decode()


async def test_the_sentence_comes_first_and_names_what_needs_a_person(busy: str) -> None:
    sentence = re.sub(r"<[^>]+>", "", busy[busy.index("<h1") : busy.index("</h1>")])
    assert sentence == (
        "1,284 messages are waiting, 1 on its way. 2 uncertain. 20,412 sent. 14 not sent. 1 phone needs you."
    )


async def test_a_message_that_an_operator_must_resolve_is_not_shown_as_in_flight() -> None:
    store = Store()
    store.counts = {1: QueueCounts(active=4, uncertain=4), 3: QueueCounts(active=2, uncertain=2)}
    markup = str(live(await look(store), "http://127.0.0.1:8080"))
    assert "on their way" not in markup
    assert '<span class="uncertain">6 uncertain</span>' in markup
    assert re.findall(r'data-label="(on the way|uncertain)">(\d+)<', markup) == [
        ("on the way", "0"), ("uncertain", "4"), ("on the way", "0"), ("uncertain", "0"),
        ("on the way", "0"), ("uncertain", "2"),
    ]  # fmt: skip


async def test_every_state_has_its_word_its_glyph_and_its_reason(busy: str) -> None:
    for word in ("waiting", "sending", "retrying", "uncertain", "read", "delivered", "sent", "failed", "cancelled"):
        assert f"</span>{word}</span>" in busy
    assert "Waits behind 37 others." in busy
    assert "The number is not on WhatsApp." in busy
    assert "paused</span></span>" not in busy
    assert "by asha" in busy


async def test_a_message_that_holds_markup_is_shown_as_text(busy: str) -> None:
    assert "&lt;b&gt;see you&lt;/b&gt;" in busy
    assert "<b>see you" not in busy
    assert str(el("p", '<img onerror="x">', title='"quoted"')) == (
        '<p title="&quot;quoted&quot;">&lt;img onerror=&quot;x&quot;&gt;</p>'
    )


async def test_no_page_carries_code_or_styles_of_its_own(busy: str) -> None:
    empty = page(await look(Store([], [])), version="0.1.0", address="http://x").decode()
    for markup in (busy, empty, login_page("no").decode(), broken_page("away").decode()):
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", markup)
        assert "<style" not in markup
        assert not re.search(r"<script(?![^>]* src=\"/static/)", markup)


async def test_an_empty_gateway_says_how_to_begin() -> None:
    store = Store(jobs=[])
    markup = str(live(await look(store), "http://127.0.0.1:8080"))
    assert "Nothing has been sent yet." in markup
    assert "heliograph send 12025550100" in markup
    assert "curl http://127.0.0.1:8080/v1/message/send" in markup
    assert "919876543210" in markup


async def test_concurrent_viewers_share_one_read() -> None:
    store, clock = Store(), ManualClock(NOW_US)
    watcher = Watcher(store, store, store, clock)  # type: ignore[arg-type]  # only what the page asks for
    await watcher.snapshot(1)
    once = store.asked
    await watcher.snapshot(1)
    assert store.asked == once
    clock.us += 600_000
    await watcher.snapshot(1)
    assert store.asked == 2 * once


@pytest.mark.parametrize("scheme", [0, 1])
def test_every_word_can_be_read_on_every_surface_in_both_schemes(scheme: int) -> None:
    css = (STATIC / "helio.css").read_text()
    colours = {name: pair for name, *pair in re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\)", css)}
    for word in ("ink", "mute", "accent", "ok", "info", "wait", "hold", "uncertain", "bad"):
        for surface in ("paper", "card", "sunk"):
            ratio = contrast(colours[word][scheme], colours[surface][scheme])
            assert ratio >= 4.5, f"{word} on {surface}: {ratio:.2f}"


def contrast(one: str, other: str) -> float:
    """Computes the contrast as WCAG 2 defines it."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)
