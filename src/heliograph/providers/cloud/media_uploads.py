"""A file's id at WhatsApp: uploaded once for a phone, used again until it runs out.

Promise: an upload that was lost is no message lost: nothing was sent, and the next attempt uploads again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, Unknown
from heliograph.domain.messages.content import Media
from heliograph.ports.provider import Phone
from heliograph.ports.uploads import UploadStore
from heliograph.providers.cloud.account import Account
from heliograph.providers.cloud.capabilities import bare_mimetype
from heliograph.providers.cloud.graph_client import Graph, Lost
from heliograph.providers.cloud.responses import outcome_of, read_json

LIFETIME_US = 29 * 24 * 3600 * 1_000_000  # Meta keeps uploads 30 days; a day is left for a job that waits


@dataclass(frozen=True, slots=True)
class Uploaded:
    """`cached`: from an earlier upload, so a refusal of the message may mean that it is no longer there."""

    media_id: str
    cached: bool


class MediaDesk:
    def __init__(self, graph: Graph, uploads: UploadStore, now_us: Callable[[], int]) -> None:
        self._graph = graph
        self._uploads = uploads
        self._now_us = now_us
        self._under_way: dict[tuple[int, str, str], asyncio.Lock] = {}

    async def media_id(self, phone: Phone, account: Account, media: Media, path: Path) -> Uploaded | Outcome:
        """The id to name in a message, or why there is none: an outcome that means "not sent" in every case."""
        mimetype = bare_mimetype(media.mimetype)
        key = (phone.phone_no, media.sha256 or "", mimetype)
        if not media.sha256:
            return await self._upload(phone, account, media, path)
        lock = self._under_way.setdefault(key, asyncio.Lock())  # a broadcast of one picture uploads it once
        try:
            async with lock:
                found = await self._uploads.uploaded(*key, now_us=self._now_us())
                if found is not None:
                    return Uploaded(found, cached=True)
                return await self._upload(phone, account, media, path)
        finally:
            if not lock.locked():
                self._under_way.pop(key, None)

    async def forget(self, phone: Phone, media: Media) -> None:
        if media.sha256:
            await self._uploads.forget_upload(phone.phone_no, media.sha256, bare_mimetype(media.mimetype))

    async def _upload(self, phone: Phone, account: Account, media: Media, path: Path) -> Uploaded | Outcome:
        mimetype = bare_mimetype(media.mimetype)
        try:
            answer = await self._graph.upload(account, path, mimetype=mimetype, filename=media.filename or path.name)
        except FileNotFoundError:
            return Rejected("media_missing", "The file is no longer in the media folder.")
        if isinstance(answer, Lost):
            return NotSent("upload_failed", f"The file could not be uploaded to WhatsApp: {answer.detail}.")
        media_id = (read_json(answer.body) or {}).get("id") if 200 <= answer.status < 300 else None
        if isinstance(media_id, str) and media_id:
            if media.sha256:
                await self._uploads.keep_upload(
                    phone.phone_no,
                    media.sha256,
                    mimetype,
                    media_id=media_id,
                    expires_at_us=self._now_us() + LIFETIME_US,
                )
            return Uploaded(media_id, cached=False)
        outcome = outcome_of(answer)
        if isinstance(outcome, Unknown | Accepted):
            return NotSent("upload_failed", "The file could not be uploaded to WhatsApp: its answer could not be read.")
        return outcome
