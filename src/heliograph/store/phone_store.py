"""Stores phones: ports.stores.phone_store."""

import msgspec

from heliograph.domain.accounts.phone import NewPhone, PhonePatch, PhoneRow
from heliograph.domain.errors import Conflict, invalid
from heliograph.domain.jobs.job import Idempotency
from heliograph.store.accounts import phones as phone_units
from heliograph.store.database import named
from heliograph.store.database.sql_store import SqlStore, read_by
from heliograph.store.database.unit import Unit, query
from heliograph.store.jobs import cancel, reads
from heliograph.store.jobs.purge import remove_phone_rest


class SqlPhoneStore(SqlStore):
    """Keeps PhoneStore."""

    phones = read_by(phone_units.phones)
    phone = read_by(phone_units.phone)
    phone_row = read_by(phone_units.phone_row)
    device_scope = read_by(phone_units.device_scope)
    phones_of_chat = read_by(reads.phones_of_chat)

    async def create_phone(self, phone: NewPhone, idempotency: Idempotency | None = None) -> tuple[PhoneRow, bool]:
        created = await self.database.write(phone_units.create_phone, phone, idempotency, self._clock.now_us())
        if created is None:
            raise Conflict(
                f"This organisation already has a phone with number {phone.number}.",
                fields={"number": {"message": "already in use", "value": phone.number}},
            )
        if created == "reused":
            raise invalid("Idempotency-Key", "This Idempotency-Key was used for another request.")
        assert not isinstance(created, str)
        return created

    async def update_phone(self, org_no: int, phone_no: int, patch: PhonePatch) -> PhoneRow | None:
        labels = None if patch.labels is None else msgspec.json.encode(patch.labels).decode()
        return await self.database.write(
            phone_units.update_phone,
            org_no,
            phone_no,
            name=patch.name,
            image=patch.image,
            labels=labels,
            pacing=patch.pacing,
            config=patch.config,
            now_us=self._clock.now_us(),
        )

    async def delete_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        now_us = self._clock.now_us()

        def unit() -> Unit[bool]:
            deleted = yield from phone_units.delete_phone(org_no, phone_no, now_us)
            if deleted:
                yield from cancel.orphan_attempts(org_no, phone_no, actor, now_us)
            return deleted

        if not await self.database.write(unit):
            return False
        await remove_phone_rest(self.database, self._clock, org_no, phone_no, actor)
        return True

    async def request_restart(self, org_no: int, phone_no: int) -> None:
        now_us = self._clock.now_us()
        await self.database.write(query, named.phone_restart(org_no=org_no, phone_no=phone_no, now=now_us))
