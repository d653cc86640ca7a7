"""Settles ended deliveries and claims the next ones, in one transaction for many endpoints.

Promise: a stream has one delivery in flight at a time; a worker whose claim was taken over settles nothing. A delivery
that a receiver may have seen and that we could not settle is sent again with the same id.
Order of locks: endpoints, then streams, then deliveries, each sorted by key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.domain.webhooks.retry_policy import ATTEMPT_LIMIT_S, EndpointHealth, probe_wait_s
from heliograph.domain.webhooks.webhook import SigningKeyRow
from heliograph.ports.stores.delivery_store import BatchResult, ClaimRequest, ClaimResult, DeliveryBatch, DeliveryResult
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one, query_values
from heliograph.store.webhooks.sources import read_runs

StreamKey = tuple[int, int, str]  # org_no, endpoint_no, stream
PROBE_LEASE_US = round(2 * ATTEMPT_LIMIT_S * 1_000_000)  # after this a probe may be made again
DUE_AT_ONCE = 500
FREE_AT_ONCE = 500


def settle_and_claim(
    worker: str,
    finished: Sequence[BatchResult],
    wants: Sequence[ClaimRequest],
    *,
    at_once: int,
    claim: int,
    probe_s: float,
    now_us: int,
) -> Unit[ClaimResult]:
    lost, disabled = yield from _settle(worker, finished, probe_s, now_us)
    runs, keys = yield from _claim(worker, wants, at_once, claim, now_us)
    return ClaimResult(runs, keys, lost, disabled)


@dataclass(slots=True)
class _Changes:
    """The rows for the queries of one settlement."""

    deliveries: list[tuple[int, int, str, int, int, str | None, str, int | None]] = field(default_factory=list)
    attempts: list[tuple[int, int, int, int, int, str, int, str, str]] = field(default_factory=list)
    bodies: list[tuple[int, int, str]] = field(default_factory=list)
    parked: list[tuple[int, int, str, int, int | None]] = field(default_factory=list)
    waits: dict[StreamKey, int] = field(default_factory=dict)


def _key(of: DeliveryBatch) -> StreamKey:
    return (of.org_no, of.endpoint_no, of.stream)


def _settle(worker: str, finished: Sequence[BatchResult], probe_s: float, now_us: int) -> Unit[tuple[int, list[str]]]:
    if not finished:
        return 0, []
    touched = sorted({_key(each.batch)[:2] for each in finished})
    troubled = {_key(each.batch)[:2] for each in finished if each.failed or each.gone}
    troubled |= {(row[0], row[1]) for row in (yield from query_values(named.endpoints_failures(touched))) if row[2]}
    endpoints = yield from query(named.endpoints_lock(sorted(troubled)))
    claims = sorted((*_key(each.batch), each.batch.claim) for each in finished)
    held = {(row[0], row[1], row[2]) for row in (yield from query_values(named.streams_fence(claims, worker=worker)))}
    ours = [each for each in finished if _key(each.batch) in held]
    changes = _Changes()
    for each in ours:
        for done in each.done:
            _note(changes, _key(each.batch), done, now_us)
    yield from query(named.deliveries_settle(sorted(changes.deliveries), now=now_us))
    yield from query(named.delivery_attempts_insert(changes.attempts))
    yield from query(named.delivery_bodies_insert(changes.bodies))
    yield from query(named.streams_park(sorted(changes.parked)))
    yield from set_stream_heads(sorted(held), changes.waits)
    disabled = yield from _judge(endpoints, ours, probe_s, now_us)
    return len(finished) - len(ours), disabled


def _note(changes: _Changes, stream: StreamKey, done: DeliveryResult, now_us: int) -> None:
    was = done.delivery
    own = stream[2]
    until = None if done.wait_s is None else now_us + round(done.wait_s * 1_000_000)
    if done.park:
        own = f"#{was.no}"
        changes.parked.append((was.org_no, stream[1], own, was.no, until))
    elif done.state == "pending" and until is not None:
        changes.waits[stream] = until
    tried = 0 if done.attempt is None else 1
    outcome = was.outcome if done.attempt is None else done.attempt.outcome
    changes.deliveries.append(
        (was.org_no, was.no, done.state, was.tries + tried, was.attempts + tried, outcome, own, until)
    )
    if done.attempt is not None:
        a = done.attempt
        changes.attempts.append(
            (was.org_no, was.no, a.attempt, a.at_us, a.took_ms, a.outcome, a.status, a.detail, a.answer)
        )
    if done.body is not None:
        changes.bodies.append((was.org_no, was.no, done.body))


def set_stream_heads(streams: Sequence[StreamKey], waits: dict[StreamKey, int]) -> Unit[None]:
    """Gives each stream its next delivery, or deletes it; the streams must be locked.

    The next one is looked for by a query of its own after the lock. In one query with it, a delivery that is being
    fanned out at the same time would be missed, and its stream would be blocked for ever.
    """
    sets, drops = [], []
    for row in (yield from query(named.streams_heads(streams))):
        key = (row["org_no"], row["endpoint_no"], row["stream"])
        if row["head_no"] is None:
            drops.append(key)
            continue
        until = waits.get(key)
        sets.append((*key, row["head_no"], "ready" if until is None else "delayed", until))
    yield from query(named.streams_set(sets))
    yield from query(named.streams_delete(drops))


def _judge(
    endpoints: "Sequence[named.EndpointsLockColumns]", finished: Sequence[BatchResult], probe_s: float, now_us: int
) -> Unit[list[str]]:
    """Updates circuits, and disables endpoints that are gone or hopeless; gives the URLs that were disabled."""
    updates, disabled = [], []
    for row in endpoints:
        mine = [each for each in finished if _key(each.batch)[:2] == (row["org_no"], row["endpoint_no"])]
        before = EndpointHealth(row["failures"], row["failing_since"])
        health = before.after(
            delivered=sum(each.delivered for each in mine),
            failed=sum(each.failed for each in mine),
            probed=any(each.batch.probing and each.failed for each in mine),
            now_us=now_us,
        )
        if health != before:
            wait_us = round(probe_wait_s(health.failures, first_s=probe_s) * 1_000_000)
            probe_at = now_us + wait_us if health.tripped else None
            updates.append((row["org_no"], row["endpoint_no"], health.failures, health.failing_since_us, probe_at))
        elif health.tripped and any(each.batch.probing and not each.failed for each in mine):
            # a probe that sent nothing (its hook was deleted): the next one need not wait
            updates.append((row["org_no"], row["endpoint_no"], health.failures, health.failing_since_us, now_us))
        gone = any(each.gone for each in mine)
        failed = any(each.failed for each in mine)  # a batch that ended without an attempt says nothing
        if gone or (failed and health.hopeless(now_us)):
            reason = "The receiver answered 410." if gone else "Nothing but failures for five days."
            disabled += yield from _disable(row["org_no"], row["endpoint_no"], reason, now_us)
    yield from query(named.endpoints_health(updates))
    return disabled


def _disable(org_no: int, endpoint_no: int, reason: str, now_us: int) -> Unit[list[str]]:
    row = yield from query_one(
        named.endpoint_disable(org_no=org_no, endpoint_no=endpoint_no, reason=reason, now=now_us)
    )
    if row is None:
        return []
    hooks = yield from query(named.hooks_unsubscribe_endpoint(org_no=org_no, endpoint_no=endpoint_no))
    data = {
        "hook_url": row["url"],
        "reason": reason,
        "webhooks": [{"id": hook["hook_id"], "integration_name": hook["event"]} for hook in hooks],
    }
    yield from query(
        named.hook_event_insert(
            org_no=org_no,
            name=WebhookEvent.WEBHOOK_DISABLED,
            detail=reason,
            data=msgspec.json.encode(data).decode(),
            now=now_us,
        )
    )
    # orgs.hooks stays too high, which costs one look at each event; a count here would need the organisation's lock
    return [row["url"]]


def _claim(
    worker: str, wants: Sequence[ClaimRequest], at_once: int, claim: int, now_us: int
) -> Unit[tuple[list[DeliveryBatch], dict[int, SigningKeyRow]]]:
    asked = {(want.org_no, want.endpoint_no): want.streams for want in wants if want.streams > 0}
    limits: list[tuple[int, int, int]] = []
    probes = []
    for row in (yield from query(named.endpoints_available(sorted(asked), now=now_us))):
        place = (row["org_no"], row["endpoint_no"])
        if row["probe_at"] is None:
            limits.append((*place, asked[place]))
        else:
            probes.append(place)
    until = now_us + PROBE_LEASE_US
    probing = {
        (r[0], r[1]) for r in (yield from query_values(named.endpoints_probe(sorted(probes), until=until, now=now_us)))
    }
    limits += [(*place, 1) for place in probing]
    found = yield from query(named.streams_ready(sorted(limits)))
    unused = probing - {(row["org_no"], row["endpoint_no"]) for row in found}
    yield from query(named.endpoints_return_probe(sorted(unused), now=now_us))
    keys = sorted((row["org_no"], row["endpoint_no"], row["stream"]) for row in found)
    yield from query(named.streams_claim(keys, worker=worker, claim=claim))
    takes = [(*key, 1 if key[:2] in probing else at_once) for key in keys]
    rows = yield from query(named.deliveries_of_streams(takes))
    return (yield from read_runs(keys, rows, probing, claim))


def due(now_us: int) -> Unit[list[tuple[int, int]]]:
    return [(row["org_no"], row["endpoint_no"]) for row in (yield from query(named.endpoints_due(now=now_us)))]


def waits_over(now_us: int) -> Unit[list[StreamKey]]:
    """Lists streams whose wait is over, without locks; `promote` locks them by organisation."""
    return sorted(
        (row[0], row[1], row[2]) for row in (yield from query_values(named.streams_due(now=now_us, limit=DUE_AT_ONCE)))
    )


def promote(streams: Sequence[StreamKey], now_us: int) -> Unit[None]:
    rows = yield from query_values(named.streams_due_lock(streams, now=now_us))
    yield from query(named.streams_promote(sorted((row[0], row[1], row[2]) for row in rows)))


def beat(worker: str, alive_until_us: int, now_us: int) -> Unit[list[str]]:
    """Writes our heartbeat, and gives the workers that are dead."""
    yield from query(named.worker_heartbeat(worker=worker, alive_until=alive_until_us))
    return [row["worker"] for row in (yield from query(named.workers_dead(worker=worker, now=now_us)))]


def release_claims(worker: str, claims: Sequence[int]) -> Unit[int]:
    """Releases the streams of claims that the worker never heard of; gives their number."""
    rows = yield from query_values(named.streams_of_claims([(claim,) for claim in claims], worker=worker))
    yield from query(named.streams_release(sorted((row[0], row[1], row[2]) for row in rows), worker=worker))
    return len(rows)


def free_step(worker: str) -> Unit[bool]:
    """Releases some of a worker's claims; False when none are left and the worker is deleted."""
    rows = yield from query_values(named.streams_of_worker(worker=worker, limit=FREE_AT_ONCE))
    yield from query(named.streams_release(sorted((row[0], row[1], row[2]) for row in rows), worker=worker))
    if rows:
        return True
    yield from query(named.worker_delete(worker=worker))
    return False
