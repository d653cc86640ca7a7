"""The account half of the store: organisations, keys and phones, one transaction for each method."""

from collections.abc import Sequence

import msgspec

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import NewPhone, PhonePatch, PhoneRow
from heliograph.domain.errors import Conflict, invalid
from heliograph.domain.jobs.ids import new_uuid
from heliograph.domain.jobs.job import Idempotency
from heliograph.ports.clock import Clock
from heliograph.ports.job_store import NewPageSession
from heliograph.ports.simulated_network import DeviceScope
from heliograph.store.accounts import api_keys, orgs, page_sessions
from heliograph.store.accounts import phones as phone_rows
from heliograph.store.database import named
from heliograph.store.database.database import Database
from heliograph.store.database.unit import query
from heliograph.store.jobs import reads

ENDED_SESSION_US = 3600 * 1_000_000  # a login that ended is kept so long, so that its link stays used


class AccountStore:
    """What is deleted with a phone concerns its messages: that is in `store.py`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._key_uses: dict[int, int] = {}  # by key_no, until they are written

    async def create_org(self, name: str) -> OrgRow:
        now_us = self._clock.now_us()
        made = await self.database.write(orgs.create_org, new_uuid(), name, now_us)
        if made is None:
            raise Conflict(f"There is an organisation named {name} already.")
        return made

    async def seed(self, digest: bytes, prefix: str, phone: NewPhone | None) -> bool:
        """Fills an empty database; whether the key was made now."""
        now_us = self._clock.now_us()
        return await self.database.write(orgs.seed, new_uuid(), digest.hex(), prefix, phone, now_us)

    async def orgs(self) -> list[OrgRow]:
        return await self.database.read(orgs.orgs)

    async def create_key(self, org_no: int, name: str, digest: bytes, prefix: str) -> KeyRow:
        now_us = self._clock.now_us()
        return await self.database.write(api_keys.create_key, org_no, name, digest.hex(), prefix, now_us)

    async def keys(self, org_no: int | None) -> list[KeyRow]:
        return await self.database.read(api_keys.keys, org_no)

    async def revoke_key(self, org_no: int, prefix: str) -> KeyRow | None:
        now_us = self._clock.now_us()
        return await self.database.write(api_keys.revoke_key, org_no, prefix, now_us)

    async def key_by_digest(self, digest: bytes) -> KeyRow | None:
        found = await self.database.read(api_keys.key_by_digest, digest.hex())
        if found is not None:
            self._key_uses[found.key_no] = self._clock.now_us()
        return found

    async def begin_page_session(self, new: NewPageSession) -> bool:
        before_us = self._clock.now_us() - ENDED_SESSION_US
        return await self.database.write(page_sessions.begin, new, before_us)

    async def page_session(self, digest: str) -> int | None:
        now_us = self._clock.now_us()
        return await self.database.read(page_sessions.find, digest, now_us)

    async def end_page_session(self, digest: str) -> None:
        now_us = self._clock.now_us()
        await self.database.write(page_sessions.end, digest, now_us)

    async def write_key_uses(self) -> None:
        uses, self._key_uses = self._key_uses, {}
        if not uses:
            return
        try:
            await self.database.write(query, named.keys_used(sorted(uses.items())))
        except BaseException:
            self._key_uses = uses | self._key_uses
            raise

    async def create_phone(self, phone: NewPhone, idempotency: Idempotency | None = None) -> tuple[PhoneRow, bool]:
        now_us = self._clock.now_us()
        made = await self.database.write(phone_rows.create_phone, phone, idempotency, now_us)
        if made is None:
            raise Conflict(
                f"This organisation already has a phone with number {phone.number}.",
                fields={"number": {"message": "already in use", "value": phone.number}},
            )
        if made == "reused":
            raise invalid("Idempotency-Key", "This Idempotency-Key was used for another request.")
        assert not isinstance(made, str)
        return made

    async def phones(self, org_no: int | None) -> list[PhoneRow]:
        return await self.database.read(phone_rows.phones, org_no)

    async def share(self, org_no: int, provider: str) -> DeviceScope:
        return await self.database.read(phone_rows.share, org_no, provider)

    async def phone(self, org_no: int, number_or_id: str) -> PhoneRow | None:
        return await self.database.read(phone_rows.phone, org_no, number_or_id)

    async def phones_of_chat(self, org_no: int, phone_nos: Sequence[int], chat_id: str) -> set[int]:
        return await self.database.read(reads.phones_of_chat, org_no, phone_nos, chat_id)

    async def update_phone(self, org_no: int, phone_no: int, patch: PhonePatch) -> PhoneRow | None:
        now_us = self._clock.now_us()
        labels = None if patch.labels is None else msgspec.json.encode(patch.labels).decode()
        return await self.database.write(
            phone_rows.update_phone,
            org_no,
            phone_no,
            name=patch.name,
            image=patch.image,
            labels=labels,
            pacing=patch.pacing,
            config=patch.config,
            now_us=now_us,
        )

    async def phone_row(self, org_no: int, phone_no: int) -> PhoneRow | None:
        return await self.database.read(phone_rows.phone_row, org_no, phone_no)

    async def request_restart(self, org_no: int, phone_no: int) -> None:
        now_us = self._clock.now_us()
        await self.database.write(query, named.phone_restart(org_no=org_no, phone_no=phone_no, now=now_us))
