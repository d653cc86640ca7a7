"""Whose phone is whose: heartbeats and guarded take-overs."""

from collections.abc import Sequence

from heliograph.ports.sender_store import Fleet, Lease, LeaseRow
from heliograph.store.database.rows import phone_of
from heliograph.store.database.unit import Unit, query, query_batch, query_one


def heartbeat(owner: str, first: bool, now_us: int) -> Unit[Fleet]:
    if first:
        yield from query("sender_join", owner=owner, now=now_us)
        alive = True
    else:
        alive = (yield from query_one("sender_heartbeat", owner=owner, now=now_us)) is not None
    # leases first: one who joins and takes a phone between the two reads must not look like an owner without a beat
    leases = [LeaseRow(*row) for row in (yield from query("leases_seen"))]
    beats = {row["owner"]: row["heartbeat"] for row in (yield from query("senders_seen"))}
    return Fleet(alive=alive, beats=beats, leases=leases)


def claim_leases(owner: str, phones: Sequence[LeaseRow]) -> Unit[list[Lease]]:
    rows = sorted((seen.org_no, seen.phone_no, seen.token) for seen in phones)
    orgs = {seen.phone_no: seen.org_no for seen in phones}
    leases = []
    for row in (yield from query_batch("leases_claim", rows, owner=owner)):
        phone = yield from query_one("phone_by_no", org_no=orgs[row["phone_no"]], phone_no=row["phone_no"])
        if phone is not None:
            leases.append(Lease(phone_of(phone), row["token"]))
    return leases


def release(owner: str, phones: Sequence[LeaseRow]) -> Unit[None]:
    rows = sorted((seen.org_no, seen.phone_no, seen.token) for seen in phones)
    yield from query_batch("leases_release", rows, owner=owner)
