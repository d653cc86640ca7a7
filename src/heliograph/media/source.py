"""Media of a message before its first attempt: from the folder, or fetched once from its url.

Promise: all attempts send the same bytes: a fetched file is in the folder and its hash is on the job before the network
is called. A file that cannot be fetched is an outcome of the attempt, transient or permanent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from heliograph.domain.jobs.job import OutgoingJob
from heliograph.domain.jobs.outcome import NotSent, Outcome, Rejected
from heliograph.domain.messages.content import Content, Media
from heliograph.domain.messages.media_type import ANY, disagreement, is_mimetype, plain
from heliograph.ports.fetch import Fetch, FetchResponse, Forbidden, NoAnswer
from heliograph.ports.media import Incoming, MediaStore

MAX_BYTES = 100 * 1024 * 1024
LIMIT_S = 60.0
_CHUNK = 256 * 1024
_AGAIN = frozenset({408, 425, 429})

# stores the content with the file's hash on the job; False: the job has one already
Fix = Callable[[OutgoingJob, Content], Awaitable[bool]]


class MediaSource:
    """Provides files. The sender calls `prepare` for each attempt of a message with a file."""

    def __init__(self, store: MediaStore, fetch: Fetch, fix: Fix, *, most: int = MAX_BYTES) -> None:
        self._store = store
        self._fetch = fetch
        self._fix = fix
        self._most = most

    async def prepare(self, job: OutgoingJob) -> tuple[Content, Path | None] | Outcome:
        media = job.content.media
        if media is None:
            return job.content, None
        if media.sha256 is not None:
            path = self._store.path(media.sha256)
            if await asyncio.to_thread(path.exists):
                return job.content, path
            if media.url is None:
                return NotSent("media_missing", "The file of this message is not in the media folder.")
        if media.url is None:
            return Rejected("media_missing", "This message has neither a file nor a url to fetch it from.")
        fetched = await self._fetched(job.content, media, media.url)
        if not isinstance(fetched, Media):
            return fetched
        if media.sha256 is not None and fetched.sha256 != media.sha256:
            return Rejected("media_changed", "The file at the url is not the one of the first attempt any more.")
        content = msgspec.structs.replace(job.content, media=fetched)
        if media.sha256 is None and not await self._fix(job, content):
            return NotSent("media_fixed_elsewhere", "Another process fetched the file first; its bytes are taken.")
        assert fetched.sha256 is not None
        return content, self._store.path(fetched.sha256)

    async def _fetched(self, content: Content, media: Media, url: str) -> Media | Outcome:
        incoming = await asyncio.to_thread(self._store.incoming)
        try:
            sink = _Sink(incoming)
            answer = await self._fetch.get(url, write=sink.write, limit_s=LIMIT_S, most=self._most)
            await sink.flush()
            failure = self._failure(answer, sink.size)
            shown = incoming.looks_like()
            if failure is None and (wrong := disagreement(content.type, _declared(media, answer), shown)):
                failure = Rejected("media_type", f"The file at the url does not fit: {wrong.message}.")
        except BaseException:
            await asyncio.to_thread(incoming.drop)
            raise
        if failure is not None:
            await asyncio.to_thread(incoming.drop)
            return failure
        stored = await asyncio.to_thread(incoming.keep)
        declared = _declared(media, answer)
        mimetype = (shown or ANY) if declared == ANY else declared
        return msgspec.structs.replace(media, mimetype=mimetype, size=stored.size, sha256=stored.sha256)

    def _failure(self, answer: object, size: int) -> Outcome | None:
        match answer:
            case Forbidden():
                return Rejected("media_url_forbidden", answer.detail)
            case NoAnswer():
                return NotSent(f"media_{answer.code}", f"The file could not be fetched: {answer.detail}")
            case FetchResponse(status=200):
                return self._incomplete(answer, size)
            case FetchResponse(status=status) if status >= 500 or status in _AGAIN:
                return NotSent("media_url_failed", f"The file could not be fetched: its server answered {status}.")
            case FetchResponse(status=status) if 300 <= status < 400:
                return Rejected("media_url_redirected", "The url leads elsewhere, and redirects are not followed.")
            case FetchResponse(status=status):
                return Rejected("media_url_refused", f"The file could not be fetched: its server answered {status}.")
            case _:
                raise TypeError(f"{answer!r} is no answer")

    def _incomplete(self, answer: FetchResponse, size: int) -> Outcome | None:
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            return Rejected("media_encoded", "The file's server sent it compressed, which was not asked for.")
        if size > self._most:
            return Rejected("media_too_large", f"The file at the url has more than {self._most} bytes.")
        if answer.cut:
            return NotSent("media_cut", "The file could not be fetched: it broke off.")
        return Rejected("media_empty", "The file at the url is empty.") if size == 0 else None


def _declared(media: Media, answer: object) -> str:
    """Returns the type given by the caller, otherwise that given by the server, if any."""
    if media.mimetype != ANY or not isinstance(answer, FetchResponse):
        return media.mimetype
    said = plain(answer.headers.get("content-type", ANY))
    return said if is_mimetype(said) and said not in ("application/octet-stream", "binary/octet-stream") else ANY


class _Sink:
    """Collects small pieces into few large writes, in a thread."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._pieces = bytearray()
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        self._pieces += chunk
        self.size += len(chunk)
        if len(self._pieces) >= _CHUNK:
            await self.flush()

    async def flush(self) -> None:
        if self._pieces:
            pieces, self._pieces = bytes(self._pieces), bytearray()
            await asyncio.to_thread(self._incoming.write, pieces)
