"""Fanning out: events become deliveries, one for each hook that wants them.

Promise: the flag of an event and its deliveries change in one transaction, so each event is fanned out exactly once.
Numbers are given out under the organisation's lock, so a delivery's number rises with its message's events.
"""

from dataclasses import dataclass
from typing import Any

from heliograph.domain.webhooks.events import Fired, WebhookEvent, fired_by
from heliograph.store.database.unit import Unit, query, query_batch, query_one


@dataclass(frozen=True, slots=True)
class _Told:
    """One name to be told, in order of `at` where that is known."""

    fired: Fired
    stream: str
    source: str
    job_id: int | None = None
    n: int = 0
    phone_no: int | None = None
    ref: str | None = None


def fan_out_due() -> Unit[list[int]]:
    """The organisations with something to tell."""
    return [row["org_no"] for row in (yield from query("fanout_due"))]


def fan_out_org(org_no: int, limit: int, now_us: int) -> Unit[tuple[list[tuple[int, int]], bool]]:
    """The endpoints that got some, and whether more may wait. Nothing where another worker is at it."""
    lock = yield from query_one("fanout_lock", org_no=org_no)
    if lock is None:
        return [], False
    listening: dict[str, list[tuple[int, int]]] = {}
    for row in (yield from query("hooks_listening", org_no=org_no)):
        listening.setdefault(row["event"], []).append((row["hook_no"], row["endpoint_no"]))
    told, taken = yield from _take(org_no, limit)
    no = lock["next_no"]
    rows: list[tuple[Any, ...]] = []
    heads: dict[tuple[int, str], int] = {}
    for one_told in told:
        for hook_no, endpoint_no in listening.get(one_told.fired.name, ()):
            fired = one_told.fired
            rows.append(
                (org_no, no, hook_no, endpoint_no, one_told.stream, fired.name, one_told.source, one_told.job_id,
                 one_told.n, one_told.phone_no, one_told.ref, fired.ack, fired.ack_before, fired.sequence)
            )  # fmt: skip
            heads.setdefault((endpoint_no, one_told.stream), no)
            no += 1
    yield from query_batch("deliveries_insert", rows, now=now_us)
    yield from query_batch(
        "streams_feed", [(org_no, endpoint_no, stream, head) for (endpoint_no, stream), head in sorted(heads.items())]
    )
    if rows:
        yield from query("fanout_advance", org_no=org_no, next_no=no)
    return sorted({(org_no, endpoint_no) for endpoint_no, _ in heads}), taken >= limit


def _take(org_no: int, limit: int) -> Unit[tuple[list[_Told], int]]:
    """Takes flags and gives what they tell, in order of time; of one message never out of its own order."""
    found: list[tuple[int, list[_Told]]] = []
    events = yield from query("events_to_fan", org_no=org_no, limit=limit)
    latest: dict[int, int] = {}  # clocks of several processes differ: a message's own numbers win
    for row in events:
        at = latest[row["job_id"]] = max(row["at"], latest.get(row["job_id"], 0))
        fired = fired_by(n=row["n"], before=row["before"], after=row["after"], ack=row["ack"])
        if fired:
            found.append(
                (at, [_Told(each, row["chat_id"], "job", row["job_id"], row["n"], row["phone_no"]) for each in fired])
            )
    inbound = yield from query("inbound_to_fan", org_no=org_no, limit=limit)
    for row in inbound:
        names = (
            (WebhookEvent.MESSAGE_CREATED, WebhookEvent.REACTION_CREATED)
            if row["type"] == "reaction"
            else (WebhookEvent.MESSAGE_CREATED,)
        )
        told = [
            _Told(Fired(name, 0, 0, n), row["chat_id"], "inbound", phone_no=row["phone_no"], ref=row["message_id"])
            for n, name in enumerate(names, 1)
        ]
        found.append((row["at"], told))
    happened = yield from query("org_events_to_fan", org_no=org_no, limit=limit)
    for row in happened:
        number = row["org_event_no"]
        stream = f"event {number}" if row["phone_no"] is None else f"phone {row['phone_no']}"
        fired_one = Fired(row["name"], 0, 0, number)
        found.append((row["at"], [_Told(fired_one, stream, "org", n=number, phone_no=row["phone_no"])]))
    yield from query_batch("events_fanned", [(org_no, row["job_id"], row["n"]) for row in events])
    yield from query_batch("inbound_fanned", [(org_no, row["phone_no"], row["message_id"]) for row in inbound])
    yield from query_batch("org_events_fanned", [(org_no, row["org_event_no"]) for row in happened])
    found.sort(key=lambda pair: pair[0])  # stable: equal times keep the order they were read in
    return [told for _, group in found for told in group], max(len(events), len(inbound), len(happened))
