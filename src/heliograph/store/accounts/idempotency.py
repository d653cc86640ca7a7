"""Idempotency keys: which request has a key, and what it created.

Promise: a key is claimed in the transaction that creates the thing, so neither exists without the other.
"""

from dataclasses import dataclass

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued, Idempotency, KeyReused
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """The earlier request with a key. `same`: it asked for the same. `job_id`, `position`: the message it enqueued;
    `response`: what else it created, None while it is not done.
    """

    same: bool
    job_id: JobId | None
    position: int | None
    response: str | None


def claim_key(org_no: int, key: Idempotency, now_us: int) -> Unit[IdempotencyRecord | None]:
    """None: the key is ours, and `save_response` or `release` must follow."""
    if (yield from query(named.idempotency_claim([(org_no, key.key, key.fingerprint.hex(), None)], now=now_us))):
        return None
    return (yield from find(org_no, key)) or IdempotencyRecord(False, None, None, None)


def find(org_no: int, key: Idempotency) -> Unit[IdempotencyRecord | None]:
    row = yield from query_one(named.idempotency_find(org_no=org_no, key=key.key))
    if row is None:
        return None
    same = row["fingerprint"] == key.fingerprint.hex()
    return IdempotencyRecord(same, row["job_id"], row["position"], row["response"])


def save_response(org_no: int, key: Idempotency, response: str) -> Unit[None]:
    yield from query(named.idempotency_save_response(org_no=org_no, key=key.key, response=response))


def release(org_no: int, key: Idempotency) -> Unit[None]:
    yield from query(named.idempotency_release(org_no=org_no, key=key.key))


def find_enqueued(org_no: int, key: Idempotency) -> Unit[Enqueued | KeyReused | None]:
    """Gives the answer to the message that was sent with this key; None: the key is free."""
    earlier = yield from find(org_no, key)
    if earlier is None:
        return None
    if not earlier.same or earlier.job_id is None or earlier.position is None:
        return KeyReused()
    return Enqueued(earlier.job_id, earlier.position, replayed=True)
