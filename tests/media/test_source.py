"""Tests of files by URL: every attempt gets the same bytes, and each failure has its outcome."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heliograph.clock import SystemClock
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import OutgoingJob
from heliograph.domain.jobs.outcome import NotSent, Outcome, Rejected
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import Content, Kind, Media
from heliograph.egress.addresses import parse_networks
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.media.folder import MediaFolder
from heliograph.media.source import MediaSource
from tests.egress.servers import answering

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
MOST = 100_000


def job(url: str, kind: Kind = Kind.IMAGE, **media: Any) -> OutgoingJob:
    content = Content(kind, media=Media(**({"mimetype": "image/png", "url": url} | media)))
    return OutgoingJob(
        JobId(1), 1, 1, "919537851844@c.us", Priority.NORMAL, 1, content, 1, 1, False, None, 0
    )  # fmt: skip


class Fixed:
    """A callback that records the content fixed for the job, and refuses if another was first."""

    def __init__(self) -> None:
        self.contents: list[Content] = []
        self.first = True

    async def __call__(self, _job: OutgoingJob, content: Content) -> bool:
        if self.first:
            self.contents.append(content)
        return self.first


@pytest.fixture
async def fetch() -> AsyncIterator[GuardedFetch]:
    made = GuardedFetch(clock=SystemClock(), allowed=parse_networks("127.0.0.2/32"))
    yield made
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "media")


def http(body: bytes, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode()
        + body
    )


async def prepared(folder: MediaFolder, fetch: GuardedFetch, answer: bytes, **media: Any) -> tuple[Any, Fixed]:
    fixed = Fixed()
    async with answering(answer) as (port, _):
        source = MediaSource(folder, fetch, fixed, most=MOST)
        return await source.prepare(job(f"http://127.0.0.2:{port}/x", **media)), fixed


async def test_the_bytes_are_kept_and_named_on_the_job_before_the_attempt(
    folder: MediaFolder, fetch: GuardedFetch
) -> None:
    ready, fixed = await prepared(folder, fetch, http(PNG))
    content, path = ready
    assert path.read_bytes() == PNG and fixed.contents == [content]
    assert (content.media.size, content.media.mimetype) == (len(PNG), "image/png")
    # later attempts ask nobody
    again = await MediaSource(folder, fetch, fixed).prepare(job("http://127.0.0.2:1/x", sha256=content.media.sha256))
    assert isinstance(again, tuple) and again[1] == path


async def test_an_undeclared_type_is_taken_from_the_response_or_the_bytes(
    folder: MediaFolder, fetch: GuardedFetch
) -> None:
    answer = http(b"%PDF-1.7 x", headers="Content-Type: application/pdf; x=y\r\n")
    ready, _ = await prepared(folder, fetch, answer, kind=Kind.DOCUMENT, mimetype="application/octet-stream")
    assert ready[0].media.mimetype == "application/pdf"
    ready, _ = await prepared(folder, fetch, http(PNG), mimetype="application/octet-stream")
    assert ready[0].media.mimetype == "image/png"


WRONG: list[tuple[bytes, type[Outcome], str]] = [
    (http(b"", "404 Not Found"), Rejected, "media_url_refused"),
    (http(b"", "403 Forbidden"), Rejected, "media_url_refused"),
    (http(b"", "410 Gone"), Rejected, "media_url_refused"),
    (http(b"", "204 No Content"), Rejected, "media_url_refused"),
    (http(b"", "302 Found", "Location: /y\r\n"), Rejected, "media_url_redirected"),
    (http(b"", "408 Request Timeout"), NotSent, "media_url_failed"),
    (http(b"", "429 Too Many Requests"), NotSent, "media_url_failed"),
    (http(b"", "500 Oops"), NotSent, "media_url_failed"),
    (http(b"", "503 Oops"), NotSent, "media_url_failed"),
    (http(b""), Rejected, "media_empty"),
    (http(PNG, length=1000), NotSent, "media_cut"),
    (http(PNG + b"x" * MOST), Rejected, "media_too_large"),
    (http(PNG, headers="Content-Encoding: gzip\r\n"), Rejected, "media_encoded"),
    (http(b"GIF89a-not-a-png"), Rejected, "media_type"),
    (http(b"<html>please log in</html>"), Rejected, "media_type"),
    (b"nonsense\r\n\r\n", NotSent, "media_bad_answer"),
    (b"", NotSent, "media_closed"),
]


@pytest.mark.parametrize(("answer", "outcome", "code"), WRONG)
async def test_each_way_it_goes_wrong_has_its_outcome_and_leaves_no_file(
    folder: MediaFolder, fetch: GuardedFetch, tmp_path: Path, answer: bytes, outcome: type[Any], code: str
) -> None:
    result, fixed = await prepared(folder, fetch, answer)
    assert isinstance(result, outcome) and result.code == code, result
    assert result.detail.endswith(".") and fixed.contents == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_private_address_and_a_closed_port_are_told_apart(folder: MediaFolder, fetch: GuardedFetch) -> None:
    source = MediaSource(folder, fetch, Fixed())
    refused = await source.prepare(job("http://127.0.0.1:9/x"))
    assert isinstance(refused, Rejected) and refused.code == "media_url_forbidden"
    async with answering(b"") as (port, _):
        pass
    closed = await source.prepare(job(f"http://127.0.0.2:{port}/x"))
    assert isinstance(closed, NotSent) and closed.code == "media_connection_refused"


async def test_bytes_that_changed_since_the_first_attempt_are_not_sent(
    folder: MediaFolder, fetch: GuardedFetch
) -> None:
    result, _ = await prepared(folder, fetch, http(PNG), sha256="0" * 64)
    assert isinstance(result, Rejected) and result.code == "media_changed"


async def test_when_another_process_fetched_first_its_bytes_count(folder: MediaFolder, fetch: GuardedFetch) -> None:
    fixed = Fixed()
    fixed.first = False
    async with answering(http(PNG)) as (port, _):
        result = await MediaSource(folder, fetch, fixed).prepare(job(f"http://127.0.0.2:{port}/x"))
    assert isinstance(result, NotSent) and result.code == "media_fixed_elsewhere"


async def test_a_large_file_goes_to_disk_in_pieces(folder: MediaFolder, fetch: GuardedFetch) -> None:
    body = PNG + bytes(90_000)
    ready, _ = await prepared(folder, fetch, http(body))
    assert ready[1].read_bytes() == body
