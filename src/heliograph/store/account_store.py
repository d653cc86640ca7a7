"""Stores organisations, API keys and logins: ports.stores.account_store."""

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import NewPhone
from heliograph.domain.errors import Conflict
from heliograph.domain.jobs.ids import JobIds, new_uuid
from heliograph.ports.clock import Clock
from heliograph.ports.stores.account_store import NewPageSession
from heliograph.store.accounts import api_keys, page_sessions
from heliograph.store.accounts import orgs as org_units
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.sql_store import SqlStore, read_by
from heliograph.store.database.unit import query

ENDED_SESSION_US = 3600 * 1_000_000  # a login that ended is kept so long, so that its link stays used


class SqlAccountStore(SqlStore):
    """Keeps AccountStore and PageSessionStore. Uses of keys wait in memory for `write_key_uses`."""

    def __init__(self, database: Database, clock: Clock, ids: JobIds) -> None:
        super().__init__(database, clock, ids)
        self._key_uses: dict[int, int] = {}  # by key_no, until they are written

    orgs = read_by(org_units.orgs)
    keys = read_by(api_keys.keys)

    async def create_org(self, name: str) -> OrgRow:
        org = await self.database.write(org_units.create_org, new_uuid(), name, self._clock.now_us())
        if org is None:
            raise Conflict(f"There is an organisation named {name} already.")
        return org

    async def seed(self, digest: bytes, prefix: str, phone: NewPhone | None) -> bool:
        """Fills an empty database; tells whether the key was created now."""
        now_us = self._clock.now_us()
        return await self.database.write(org_units.seed, new_uuid(), digest.hex(), prefix, phone, now_us)

    async def create_key(self, org_no: int, name: str, digest: bytes, prefix: str) -> KeyRow:
        now_us = self._clock.now_us()
        return await self.database.write(api_keys.create_key, org_no, name, digest.hex(), prefix, now_us)

    async def revoke_key(self, org_no: int, prefix: str) -> KeyRow | None:
        return await self.database.write(api_keys.revoke_key, org_no, prefix, self._clock.now_us())

    async def key_by_digest(self, digest: bytes) -> KeyRow | None:
        found = await self.database.read(api_keys.key_by_digest, digest.hex())
        if found is not None:
            self._key_uses[found.key_no] = self._clock.now_us()
        return found

    async def write_key_uses(self) -> None:
        uses, self._key_uses = self._key_uses, {}
        if not uses:
            return
        try:
            await self.database.write(query, named.keys_used(sorted(uses.items())))
        except BaseException:
            self._key_uses = uses | self._key_uses
            raise

    async def begin_page_session(self, new: NewPageSession) -> bool:
        return await self.database.write(page_sessions.begin, new, self._clock.now_us() - ENDED_SESSION_US)

    async def page_session(self, digest: str) -> int | None:
        return await self.database.read(page_sessions.find, digest, self._clock.now_us())

    async def end_page_session(self, digest: str) -> None:
        await self.database.write(page_sessions.end, digest, self._clock.now_us())
