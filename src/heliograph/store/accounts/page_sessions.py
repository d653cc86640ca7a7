"""Logins of the page, one row each, found by the digest of their cookie."""

from heliograph.ports.stores.account_store import NewPageSession
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one


def begin(new: NewPageSession, ended_before_us: int) -> Unit[bool]:
    """Stores a login and removes what ended long ago. False: the link was used before."""
    yield from query(named.page_sessions_prune(before=ended_before_us))
    row = yield from query_one(
        named.page_session_insert(
            digest=new.digest, link=new.link, org_no=new.org_no, key_no=new.key_no, ends_at=new.ends_at_us
        )
    )
    return row is not None


def find(digest: str, now_us: int) -> Unit[int | None]:
    row = yield from query_one(named.page_session_find(digest=digest, now=now_us))
    return None if row is None else row["org_no"]


def end(digest: str, now_us: int) -> Unit[None]:
    yield from query(named.page_session_end(digest=digest, now=now_us))
