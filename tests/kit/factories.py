"""Organisations, phones, leases, jobs and recipients, made in one call each."""

from typing import Any

import msgspec

from heliograph.domain.accounts.phone import NewPhone, PhoneRow
from heliograph.domain.broadcasts.csv_recipients import Recipient, recipient
from heliograph.domain.jobs.ids import JobIds, new_phone_id
from heliograph.domain.jobs.job import NewJob
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.stores.lease_store import Lease
from heliograph.store.stores import Stores

NUMBER = "919876543210"


async def create_phone(stores: Stores, org_no: int, number: str = NUMBER, provider: str = "simulator") -> PhoneRow:
    return (await stores.phones.create_phone(NewPhone(org_no, new_phone_id(), number, provider)))[0]


async def create_org(stores: Stores, name: str = "an organisation", number: str = NUMBER) -> PhoneRow:
    """An organisation with one phone of the simulator, known by that phone."""
    org = await stores.accounts.create_org(name)
    return await create_phone(stores, org.org_no, number)


async def claim_phone(stores: Stores, phone: PhoneRow, owner: str, *, first: bool = False) -> Lease:
    """A lease for the owner, whoever had it before. `first`: the owner has just started."""
    fleet = await stores.leases.heartbeat(owner, first=first)
    (seen,) = [lease for lease in fleet.leases if lease.phone_no == phone.phone_no]
    (lease,) = await stores.leases.claim_leases(owner, [seen])
    return lease


def new_job(ids: JobIds, phone: PhoneRow, chat: str, text: str = "hi", **changes: Any) -> NewJob:
    """A text message. `chat`: a chat id, or the name of a person's chat."""
    chat_id = chat if "@" in chat else f"{chat}@c.us"
    made = NewJob(ids.make(), phone.org_no, phone.phone_no, chat_id, Content(Kind.TEXT, text))
    return msgspec.structs.replace(made, **changes)


def recipients(count: int, first: int = 0) -> list[Recipient]:
    return [recipient(f"9195{n:08d}@c.us", {"name": f"N{n}"}) for n in range(first, first + count)]
