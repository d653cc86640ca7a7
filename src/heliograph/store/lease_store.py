"""Stores leases and heartbeats: ports.stores.lease_store."""

from heliograph.ports.stores.lease_store import Fleet
from heliograph.store.accounts import leases
from heliograph.store.database import named
from heliograph.store.database.sql_store import SqlStore, write_by
from heliograph.store.database.unit import query


class SqlLeaseStore(SqlStore):
    """Keeps LeaseStore."""

    claim_leases = write_by(leases.claim_leases)
    release_leases = write_by(leases.release_leases)

    async def heartbeat(self, owner: str, *, first: bool = False) -> Fleet:
        return await self.database.write(leases.heartbeat, owner, first, self._clock.now_us())

    async def remove_sender(self, owner: str) -> None:
        await self.database.write(query, named.sender_delete(owner=owner))
