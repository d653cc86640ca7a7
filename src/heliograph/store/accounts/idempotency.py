"""Idempotency keys: which request has a key, and what it made.

Promise: a key is taken in the transaction that makes the thing, so neither is there without the other.
"""

from dataclasses import dataclass

from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Enqueued, Idempotency, KeyReused
from heliograph.store.database.unit import Unit, query, query_batch, query_one


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """Another request has the key. `same`: it asked for the same. `job_id`, `position`: the message it queued;
    `response`: what else it made, None while it is not done.
    """

    same: bool
    job_id: JobId | None
    position: int | None
    response: str | None


def claim_key(org_no: int, key: Idempotency, now_us: int) -> Unit[IdempotencyRecord | None]:
    """None: the key is ours, and `made` or `release` must follow."""
    if (yield from query_batch("idempotency_claim", [(org_no, key.key, key.fingerprint.hex(), None)], now=now_us)):
        return None
    return (yield from find(org_no, key)) or IdempotencyRecord(False, None, None, None)


def find(org_no: int, key: Idempotency) -> Unit[IdempotencyRecord | None]:
    row = yield from query_one("idempotency_find", org_no=org_no, key=key.key)
    if row is None:
        return None
    job_id = None if row["job_id"] is None else JobId(row["job_id"])
    return IdempotencyRecord(row["fingerprint"] == key.fingerprint.hex(), job_id, row["position"], row["response"])


def save_response(org_no: int, key: Idempotency, response: str) -> Unit[None]:
    yield from query("idempotency_save_response", org_no=org_no, key=key.key, response=response)


def release(org_no: int, key: Idempotency) -> Unit[None]:
    yield from query("idempotency_release", org_no=org_no, key=key.key)


def find_enqueued(org_no: int, key: Idempotency) -> Unit[Enqueued | KeyReused | None]:
    """What a message sent with this key was answered; None: the key is free."""
    earlier = yield from find(org_no, key)
    if earlier is None:
        return None
    if not earlier.same or earlier.job_id is None or earlier.position is None:
        return KeyReused()
    return Enqueued(earlier.job_id, earlier.position, replayed=True)
