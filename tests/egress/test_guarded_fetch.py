"""Tests of the guarded fetch: no URL leads to a connection with a forbidden address."""

import asyncio
import itertools
import os
import random
import threading
from contextlib import AsyncExitStack

import pytest

from heliograph.clock import SystemClock
from heliograph.egress.addresses import may_reach, parse_networks
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.ports.fetch import FetchResponse, Forbidden, NoAnswer
from tests.egress.hostile_urls import FOUR, NAMES, SIX, hostile_urls
from tests.egress.servers import FakeResolver, answering, guarded, listening


def hostile_names() -> FakeResolver:
    names = FakeResolver()
    names.answers.update(NAMES)
    return names


@pytest.mark.parametrize("address", [*FOUR, *SIX])
def test_an_address_of_a_special_range_is_never_reached(address: str) -> None:
    assert not may_reach(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.0.1.1",
     "198.17.0.1", "198.20.0.1", "223.255.255.255", "11.0.0.1", "169.253.1.1", "2606:4700::1111", "2a00:1450:4001::1",
     "2400:cb00::1", "2001:4860:4860::8888", "2620:fe::fe"],
)  # fmt: skip
def test_an_address_of_the_open_internet_is_reached(address: str) -> None:
    assert may_reach(address)


def test_a_text_that_is_no_address_is_never_connected_to() -> None:
    allowed = parse_networks("0.0.0.0/0, ::/0")
    assert not any(may_reach(text, allowed) for text in ("", "localhost", "127.1", "2130706433", "fe80::1%1", "[::1]"))


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    allowed = parse_networks("127.0.0.0/8, fd00::/16")
    assert may_reach("127.0.0.1", allowed) and may_reach("fd00::1", allowed)
    assert not may_reach("10.0.0.1", allowed) and not may_reach("::ffff:127.0.0.1", allowed)


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.0/99"):
        parse_networks("10.0.0.0/8,127.0.0.0/99")


async def test_no_hostile_url_makes_a_connection() -> None:
    async with listening() as listener, guarded(hostile_names()) as fetch:
        urls = hostile_urls(listener.port)
        assert len(urls) >= 300
        for url in urls:
            outcome = await fetch.post(url, body=b"{}", headers={}, limit_s=5, keep=100)
            refused = isinstance(outcome, Forbidden) or (isinstance(outcome, NoAnswer) and outcome.code == "dns_failed")
            assert refused, (url, outcome)
        assert listener.connections == 0


async def test_a_hostile_url_is_refused_at_accept_with_a_reason() -> None:
    async with guarded(hostile_names()) as fetch:
        for url in hostile_urls(8080):
            refused = await fetch.check(url)
            if refused is None:  # a name nobody knows today is asked again at each fetch
                outcome = await fetch.post(url, body=b"{}", headers={}, limit_s=5, keep=100)
                assert isinstance(outcome, NoAnswer) and outcome.code == "dns_failed", url
            else:
                assert refused.code and refused.detail.endswith("."), url


async def test_a_redirect_to_a_hostile_url_is_shown_and_not_followed() -> None:
    async with listening() as listener, guarded(hostile_names(), allow="127.0.0.2/32") as fetch:
        for status, url in itertools.product((301, 302, 303, 307, 308), hostile_urls(listener.port)[::40]):
            where = "".join(ch for ch in url if " " < ch < "\x7f") or "/"
            answer = f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
            async with answering(answer) as (port, seen):
                outcome = await fetch.post(f"http://127.0.0.2:{port}/", body=b"{}", headers={}, limit_s=5, keep=100)
                assert isinstance(outcome, FetchResponse) and outcome.status == status
                assert outcome.headers["location"] == where and len(seen) == 1
        assert listener.connections == 0


@pytest.mark.parametrize("seed", range(4))
async def test_a_name_that_changes_its_mind_is_connected_to_only_where_it_was_checked(seed: int) -> None:
    """50 rounds for each seed: between two questions the name moves from an open address to a closed one."""
    chance = random.Random(seed)
    names = FakeResolver()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    closed = ["127.0.0.1", "::1", "127.0.0.3", "::ffff:127.0.0.2", "0.0.0.0"]
    async with AsyncExitStack() as stack:
        fetch = await stack.enter_async_context(guarded(names, allow="127.0.0.2/32"))
        port, seen = await stack.enter_async_context(answering(answer))
        _, forbidden = await stack.enter_async_context(answering(answer, host="127.0.0.1", port=port))
        _, forbidden_too = await stack.enter_async_context(answering(answer, host="127.0.0.3", port=port))
        passed = 0
        for n in range(50):
            script = [["127.0.0.2"], [chance.choice(closed)], ["127.0.0.2", chance.choice(closed)], ["127.0.0.2"]]
            chance.shuffle(script)
            turn = itertools.cycle(script)
            names.answers[f"r{n}.test"] = lambda turn=turn: next(turn)  # type: ignore[misc]
            url = f"http://r{n}.test:{port}/"
            await fetch.check(url)
            for _ in range(4):
                outcome = await fetch.post(url, body=b"{}", headers={}, limit_s=5, keep=10)
                assert isinstance(outcome, FetchResponse | Forbidden)
                passed += isinstance(outcome, FetchResponse)
        assert len(forbidden) + len(forbidden_too) == 0
        assert passed == len(seen) > 0


async def test_good_urls_pass_and_are_reached_by_their_own_name() -> None:
    names = FakeResolver()
    known = [
        "hooks.example",
        "a.b.c.d.example",
        "xn--bcher-kva.example",
        "x-y.example",
        "my_host.example",
        "1and1.example",
        "127.0.0.1.example",
        "localhost.example",
    ]
    good = [*known, "HOOKS.example", "bücher.example", "hooks.example."]
    names.answers.update({host: ["127.0.0.2"] for host in known})
    answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    async with answering(answer) as (port, seen), guarded(names, allow="127.0.0.2/32") as fetch:
        urls = [f"http://{host}:{port}{path}" for host in (*good, "127.0.0.2") for path in ("", "/a/b%20c?d=e&f=g#h")]
        urls += [f"HTTP://hooks.example:{port}/", f"http://hooks.example:{port}/?u=http://10.0.0.1/",
                 f"http://hooks.example:{port}/a@b", f"http://hooks.example:{port}/ünï/😀",
                 f"http://hooks.example:{port}/" + "x" * 1900, f"http://hooks.example:{port}/a//b/../c"]  # fmt: skip
        assert len(urls) >= 30
        for url in urls:
            assert await fetch.check(url) is None, url
            outcome = await fetch.post(url, body=b"{}", headers={}, limit_s=5, keep=100)
            assert isinstance(outcome, FetchResponse) and outcome.status == 204, (url, outcome)
        assert len(seen) == len(urls)
        assert b"Host: hooks.example:" in seen[0]


async def test_public_literals_are_accepted_without_a_dns_query() -> None:
    names = FakeResolver()
    async with guarded(names) as fetch:
        for url in ("https://93.184.216.34/x", "http://8.8.8.8:8080", "https://[2606:4700::1111]/", "https://1.1.1.1"):
            assert await fetch.check(url) is None
    assert names.asked == []


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as listener:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        async with answering(answer) as (port, seen), guarded(allow="127.0.0.2/32") as fetch:
            outcome = await fetch.post(f"http://127.0.0.2:{port}/", body=b"", headers={}, limit_s=5, keep=10)
        assert isinstance(outcome, FetchResponse) and len(seen) == 1
        assert listener.connections == 0 and os.environ["http_proxy"]


async def test_those_who_wait_for_a_name_that_hangs_hold_one_thread_together(monkeypatch: pytest.MonkeyPatch) -> None:
    hold, asked = threading.Event(), []

    def slow(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host == "slow.example":
            hold.wait(10)
        return [(2, 1, 6, "", ("93.184.216.34", 0))]

    monkeypatch.setattr("heliograph.egress.resolver.DNS_LIMIT_S", 0.05)
    monkeypatch.setattr("heliograph.egress.resolver.socket.getaddrinfo", slow)
    fetch = GuardedFetch(clock=SystemClock())
    try:
        checks = [fetch.check("http://slow.example/") for _ in range(100)]
        assert await asyncio.gather(*checks) == [None] * 100
        assert asked == ["slow.example"]
        assert await fetch.check("http://quick.example/") is None
        assert asked == ["slow.example", "quick.example"]
    finally:
        hold.set()
        await fetch.close()
