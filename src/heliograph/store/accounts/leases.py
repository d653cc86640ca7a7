"""Leases of phones: heartbeats of senders, guarded take-overs, release."""

from collections.abc import Sequence

from heliograph.ports.stores.lease_store import Fleet, Lease, LeaseRow
from heliograph.store.database import named
from heliograph.store.database.rows import phone_of
from heliograph.store.database.unit import Unit, query, query_one, query_values


def heartbeat(owner: str, first: bool, now_us: int) -> Unit[Fleet]:
    if first:
        yield from query(named.sender_join(owner=owner, now=now_us))
        alive = True
    else:
        alive = (yield from query_one(named.sender_heartbeat(owner=owner, now=now_us))) is not None
    # leases first: a sender that joins and takes a phone between the reads must not look like one without heartbeat
    leases = [LeaseRow(*row) for row in (yield from query_values(named.leases_seen()))]
    beats = {row["owner"]: row["heartbeat"] for row in (yield from query(named.senders_seen()))}
    return Fleet(alive=alive, beats=beats, leases=leases)


def claim_leases(owner: str, phones: Sequence[LeaseRow]) -> Unit[list[Lease]]:
    rows = sorted((seen.org_no, seen.phone_no, seen.token) for seen in phones)
    orgs = {seen.phone_no: seen.org_no for seen in phones}
    leases = []
    for row in (yield from query(named.leases_claim(rows, owner=owner))):
        phone = yield from query_one(named.phone_by_no(org_no=orgs[row["phone_no"]], phone_no=row["phone_no"]))
        if phone is not None:
            leases.append(Lease(phone_of(phone), row["token"]))
    return leases


def release_leases(owner: str, phones: Sequence[LeaseRow]) -> Unit[None]:
    rows = sorted((seen.org_no, seen.phone_no, seen.token) for seen in phones)
    yield from query(named.leases_release(rows, owner=owner))
