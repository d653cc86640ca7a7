"""The store of providers: webhooks that are not applied yet, and the ids of uploaded files.

Promise: a webhook is on disk before its sender gets an answer, and stays until it was applied.
"""

from collections.abc import Sequence

from heliograph.ports.provider_inbox import InboxItem, NewInboxItem
from heliograph.store.database import named
from heliograph.store.database.sql_store import SqlStore
from heliograph.store.database.unit import Unit, query, query_one


class SqlProviderInbox(SqlStore):
    """Keeps ports.provider_inbox.ProviderInbox."""

    async def keep_deliveries(self, deliveries: Sequence[NewInboxItem]) -> None:
        rows = [
            (d.org_no, d.phone_no, self._ids.make(), d.received_at_us, d.payload.decode(errors="replace"))
            for d in deliveries
        ]
        await self.database.write(query, named.inbox_insert(rows))

    async def deliveries(self, phones: Sequence[tuple[int, int]], limit: int) -> list[InboxItem]:
        return await self.database.read(_oldest, sorted(phones), limit)

    async def drop_deliveries(self, deliveries: Sequence[InboxItem]) -> None:
        rows = sorted((d.org_no, d.phone_no, d.inbox_no) for d in deliveries)
        await self.database.write(query, named.inbox_delete(rows))

    async def prune_deliveries(self, before_us: int) -> None:
        await self.database.write(query, named.inbox_prune(before=before_us))


class SqlUploadStore(SqlStore):
    """Keeps ports.uploads.UploadStore."""

    async def uploaded(self, phone_no: int, sha256: str, mimetype: str, *, now_us: int) -> str | None:
        return await self.database.read(_find, phone_no, sha256, mimetype, now_us)

    async def keep_upload(
        self, phone_no: int, sha256: str, mimetype: str, *, media_id: str, expires_at_us: int
    ) -> None:
        now_us = self._clock.now_us()
        await self.database.write(_keep, phone_no, sha256, mimetype, media_id, expires_at_us, now_us)

    async def forget_upload(self, phone_no: int, sha256: str, mimetype: str) -> None:
        await self.database.write(query, named.upload_delete(phone_no=phone_no, sha256=sha256, mimetype=mimetype))


def _oldest(phones: Sequence[tuple[int, int]], limit: int) -> Unit[list[InboxItem]]:
    rows = yield from query(named.inbox_oldest(phones, limit=limit))
    return [InboxItem(r["org_no"], r["phone_no"], r["inbox_no"], r["received_at"], r["payload"].encode()) for r in rows]


def _find(phone_no: int, sha256: str, mimetype: str, now_us: int) -> Unit[str | None]:
    row = yield from query_one(named.upload_find(phone_no=phone_no, sha256=sha256, mimetype=mimetype, now=now_us))
    return None if row is None else row["media_id"]


def _keep(phone_no: int, sha256: str, mimetype: str, media_id: str, expires_at_us: int, now_us: int) -> Unit[None]:
    yield from query(named.uploads_prune(phone_no=phone_no, now=now_us))
    yield from query(
        named.upload_upsert(
            phone_no=phone_no,
            sha256=sha256,
            mimetype=mimetype,
            media_id=media_id,
            expires_at=expires_at_us,
        )
    )
