"""Tests of the page in a real Chromium: it fits, logs no error, and follows changes by itself."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from heliograph.dashboard import Dashboard
from heliograph.domain.jobs.job import QueueCounts
from heliograph.domain.jobs.states import State
from tests.dashboard.browser import Tab, chromium, open_tab
from tests.dashboard.sample import Store, job
from tests.kit.clocks import ManualClock
from tests.kit.replace import replace

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="no Chromium here: install the package chromium"),
    pytest.mark.timeout(120),
]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[Tab, ManualClock, Store]]:
    store = Store()
    store.job_rows = list(store.job_rows)
    clock = store.clock
    app = Dashboard(store, store, store, store, clock=clock, version="0.1.0")  # type: ignore[arg-type]  # only what it asks
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, loop="none", access_log=False))
    serving = asyncio.create_task(server._serve([listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with open_tab(tmp_path / "profile") as tab:
            await tab.go(address + app.login_path(1))
            await tab.js("document.querySelector('button').click()")
            await tab.until("document.getElementById('rows') !== null")
            yield tab, clock, store
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        listener.close()


async def test_the_page_fits_and_follows_and_says_nothing_on_the_console(
    gateway: tuple[Tab, ManualClock, Store],
) -> None:
    tab, clock, store = gateway
    for width in (1240, 390):
        for scheme in ("light", "dark"):
            await tab.view(width, scheme)
            assert await tab.js("document.documentElement.scrollWidth") == width
    background = await tab.js("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 23, 26)"

    row = "document.getElementById('m-' + document.querySelector('#rows tr').id.slice(2))"
    assert await tab.js(f"{row}.querySelector('.st').textContent") == "○waiting"
    await tab.until("document.querySelector('time').textContent.length < 12")
    first = store.job_rows[0]
    store.job_rows[0] = replace(first, state=State.SENT, ack=4, attempts=1)
    store.job_rows.insert(0, job(10, "12025550100@c.us", "<img src=x onerror=alert(1)>", State.QUEUED, 0.1))
    store.counts = {1: QueueCounts(waiting=2)}
    clock.us += 1_000_000  # readings are shared for half a second
    tab_now = "[...document.querySelectorAll('#rows .st')].slice(0, 2).map(e => e.textContent).join()"
    await tab.until(f"{tab_now} === '○waiting,✓✓read'")
    assert await tab.js("document.querySelectorAll('#rows tr').length") == 10
    assert await tab.js("document.querySelectorAll('#rows img').length") == 0
    assert "2 messages are waiting" in await tab.js("document.getElementById('sentence').textContent")
    assert tab.said == []


async def test_holding_still_stops_the_page_and_going_on_brings_it_up_to_date(
    gateway: tuple[Tab, ManualClock, Store],
) -> None:
    tab, clock, store = gateway
    await tab.until("!document.getElementById('hold').hidden")
    await tab.js("document.getElementById('hold').click()")
    assert (await tab.js("document.getElementById('word').textContent")).startswith("held at")
    store.counts = {1: QueueCounts(waiting=77)}
    clock.us += 1_000_000
    await tab.js("new Promise(done => setTimeout(done, 2500))")
    assert "77" not in await tab.js("document.getElementById('sentence').textContent")
    await tab.js("document.getElementById('hold').click()")
    await tab.until("document.getElementById('sentence').textContent.startsWith('77 messages')")
