"""Tests of bad receivers: each kind has one outcome, and the reference page names it."""

import asyncio
import re
import socket
import ssl
from pathlib import Path

import pytest

from heliograph.clock import SystemClock
from heliograph.egress.addresses import parse_networks
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.webhooks.attempt import AttemptResult, attempt_of
from tests.egress.servers import FakeResolver
from tests.webhooks.receivers import PLAIN, Certificates, make_certificates, receiving, status

PAGE = Path(__file__).parents[2] / "docs/reference/webhook-outcomes.md"
LIMIT_S = 0.6
TLS = ["good", "expired", "not_yet", "wrong_host", "self_signed"]
SPECIAL = ["nothing listens", "unknown name", "DNS that does not answer", "private address", "plain HTTP on https"]


def documented() -> dict[str, str]:
    rows = re.findall(r"^\| (.+?) \| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    return dict(rows)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def deliver(url: str, *, tls: ssl.SSLContext | None = None, names: FakeResolver | None = None) -> AttemptResult:
    fetch = GuardedFetch(clock=SystemClock(), allowed=parse_networks("127.0.0.0/8"), tls=tls, lookup=names)
    try:
        async with asyncio.timeout(10):
            fetched = await fetch.post(url, body=b'{"a":1}', headers={}, limit_s=LIMIT_S, keep=65_536)
            return attempt_of(fetched, now_us=0)
    finally:
        await fetch.close()


@pytest.mark.parametrize("kind", list(PLAIN))
async def test_a_bad_receiver_has_the_outcome_that_the_page_says(kind: str) -> None:
    async with receiving(PLAIN[kind]) as port:
        attempt = await deliver(f"http://127.0.0.1:{port}/")
    assert attempt.outcome == documented()[kind], attempt
    assert attempt.detail.endswith(".")
    assert len(attempt.answer) <= 65_536
    assert attempt.took_ms <= 1000 * LIMIT_S + 1500


@pytest.mark.parametrize("kind", TLS)
async def test_a_certificate_has_the_outcome_that_the_page_says(kind: str, certificates: Certificates) -> None:
    tls = ssl.create_default_context(cafile=str(certificates.trusted))
    async with receiving(status("200 OK"), getattr(certificates, kind)) as port:
        attempt = await deliver(f"https://127.0.0.1:{port}/", tls=tls)
    assert attempt.outcome == documented()[f"TLS certificate: {kind.replace('_', ' ')}"], attempt


async def test_plain_http_where_tls_is_expected_is_a_tls_failure() -> None:
    async def blunt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(blunt, "127.0.0.1", 0)
    attempt = await deliver(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    assert attempt.outcome == documented()["plain HTTP on https"]


async def test_where_nothing_listens_the_connection_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        attempt = await deliver(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert attempt.outcome == documented()["nothing listens"]


async def test_an_unknown_name_and_a_private_address_have_their_outcomes() -> None:
    assert (await deliver("http://nobody.test/", names=FakeResolver())).outcome == documented()["unknown name"]
    assert (await deliver("http://10.0.0.1/")).outcome == documented()["private address"]


async def test_dns_that_does_not_answer_ends_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.egress.resolver.DNS_LIMIT_S", 0.05)

    class Hanging(FakeResolver):
        async def __call__(self, host: str) -> list[str]:
            await asyncio.Event().wait()
            return []

    attempt = await deliver("http://slow.test/", names=Hanging())
    assert attempt.outcome == documented()["DNS that does not answer"]


async def test_a_retry_after_in_whole_seconds_is_understood() -> None:
    async with receiving(PLAIN["429 with Retry-After"]) as port:
        assert (await deliver(f"http://127.0.0.1:{port}/")).retry_after_s == 7.0


async def test_a_retry_after_that_is_a_date_counts_from_the_date_of_the_answer() -> None:
    async with receiving(PLAIN["503 with Retry-After as a date"]) as port:
        assert (await deliver(f"http://127.0.0.1:{port}/")).retry_after_s == 90.0


def test_the_page_names_every_kind_and_no_other() -> None:
    kinds = {*PLAIN, *(f"TLS certificate: {kind.replace('_', ' ')}" for kind in TLS), *SPECIAL}
    assert set(documented()) == kinds
    assert len(kinds) >= 30
