"""API keys, stored as digests of their secrets."""

from heliograph.domain.accounts.api_key import KeyRow
from heliograph.store.database import named
from heliograph.store.database.rows import key_of
from heliograph.store.database.unit import Unit, query, query_one, query_row


def create_key(org_no: int, name: str, digest: str, prefix: str, now_us: int) -> Unit[KeyRow]:
    key = yield from query_row(named.key_insert(org_no=org_no, name=name, prefix=prefix, digest=digest, now=now_us))
    return (yield from _key(org_no, key["key_no"]))


def keys(org_no: int | None) -> Unit[list[KeyRow]]:
    return [key_of(row) for row in (yield from query(named.keys_all(org_no=org_no or 0)))]


def revoke_key(org_no: int, prefix: str, now_us: int) -> Unit[KeyRow | None]:
    key = yield from query_one(named.key_revoke(org_no=org_no, prefix=prefix, now=now_us))
    return None if key is None else (yield from _key(org_no, key["key_no"]))


def key_by_digest(digest: str) -> Unit[KeyRow | None]:
    row = yield from query_one(named.key_by_digest(digest=digest))
    return None if row is None else key_of(row)


def _key(org_no: int, key_no: int) -> Unit[KeyRow]:
    return next(key for key in (yield from keys(org_no)) if key.key_no == key_no)
