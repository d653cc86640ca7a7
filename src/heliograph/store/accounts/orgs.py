"""Organisations, and the first contents of an empty database."""

from dataclasses import replace

from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import NewPhone
from heliograph.store.accounts.phones import create_phone
from heliograph.store.database import named
from heliograph.store.database.rows import org_of
from heliograph.store.database.unit import Unit, query, query_one

SEED_LOCK = 0x48454C494F5345  # "HELIOSE"


def create_org(org_id: str, name: str, now_us: int) -> Unit[OrgRow | None]:
    """None: the name is taken."""
    row = yield from query_one(named.org_insert(org_id=org_id, name=name, now=now_us))
    return None if row is None else org_of(row)


def orgs() -> Unit[list[OrgRow]]:
    return [org_of(row) for row in (yield from query(named.orgs_all()))]


def seed(org_id: str, digest: str, prefix: str, phone: NewPhone | None, now_us: int) -> Unit[bool]:
    """Fills an empty database with an organisation, a key and a phone; tells whether the key was created now.

    Processes of a fleet that start together do this one after the other.
    """
    yield from query(named.seed_lock(lock=SEED_LOCK))
    found = yield from orgs()
    org = found[0] if found else (yield from create_org(org_id, "default", now_us))
    assert org is not None  # there is none, so its name is free
    is_first = not (yield from query(named.keys_all(org_no=0)))
    if is_first:
        yield from query(named.key_insert(org_no=org.org_no, name="first", prefix=prefix, digest=digest, now=now_us))
    if phone is not None and not (yield from query(named.phones_all(org_no=0))):
        yield from create_phone(replace(phone, org_no=org.org_no), None, now_us)
    return is_first
