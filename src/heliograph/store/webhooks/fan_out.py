"""Fan-out: creates one delivery of an event for each hook that wants it.

Promise: the flag of an event and its deliveries change in one transaction, so each event is fanned out exactly once.
Numbers are given out under the organisation's lock, so a delivery's number rises with its message's events.
"""

from dataclasses import dataclass

from heliograph.domain.webhooks.events import Fired, WebhookEvent, fired_by
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one


@dataclass(frozen=True, slots=True)
class _Source:
    """An event name and what its delivery reports."""

    fired: Fired
    stream: str
    source: str
    job_id: int | None = None
    n: int = 0
    phone_no: int | None = None
    ref: str | None = None


def fan_out_due() -> Unit[list[int]]:
    """Lists the organisations with something to fan out."""
    return [row["org_no"] for row in (yield from query(named.fanout_due()))]


def fan_out_org(org_no: int, limit: int, now_us: int) -> Unit[tuple[list[tuple[int, int]], bool]]:
    """Gives the endpoints that got deliveries, and whether more may wait; nothing if another worker has the lock."""
    lock = yield from query_one(named.fanout_lock_or_skip(org_no=org_no))
    if lock is None:
        return [], False
    listening: dict[str, list[tuple[int, int]]] = {}
    for row in (yield from query(named.hooks_subscribed(org_no=org_no))):
        listening.setdefault(row["event"], []).append((row["hook_no"], row["endpoint_no"]))
    sources, taken = yield from _take(org_no, limit)
    no = lock["next_no"]
    rows = []
    heads: dict[tuple[int, str], int] = {}
    for source in sources:
        for hook_no, endpoint_no in listening.get(source.fired.name, ()):
            fired = source.fired
            rows.append(
                (org_no, no, hook_no, endpoint_no, source.stream, fired.name, source.source, source.job_id,
                 source.n, source.phone_no, source.ref, fired.ack, fired.ack_before, fired.sequence)
            )  # fmt: skip
            heads.setdefault((endpoint_no, source.stream), no)
            no += 1
    yield from query(named.deliveries_insert(rows, now=now_us))
    yield from query(
        named.streams_upsert(
            [(org_no, endpoint_no, stream, head) for (endpoint_no, stream), head in sorted(heads.items())]
        )
    )
    if rows:
        yield from query(named.fanout_advance(org_no=org_no, next_no=no))
    return sorted({(org_no, endpoint_no) for endpoint_no, _ in heads}), taken >= limit


def _take(org_no: int, limit: int) -> Unit[tuple[list[_Source], int]]:
    """Marks events as fanned out and gives them by time; those of one message stay in their own order."""
    found: list[tuple[int, list[_Source]]] = []
    events = yield from query(named.events_to_fan_out(org_no=org_no, limit=limit))
    latest: dict[int, int] = {}  # clocks of several processes differ: a message's own numbers win
    for row in events:
        at = latest[row["job_id"]] = max(row["at"], latest.get(row["job_id"], 0))
        fired = fired_by(n=row["n"], before=row["before"], after=row["after"], ack=row["ack"])
        if fired:
            found.append(
                (at, [_Source(each, row["chat_id"], "job", row["job_id"], row["n"], row["phone_no"]) for each in fired])
            )
    inbound = yield from query(named.inbound_to_fan_out(org_no=org_no, limit=limit))
    for message in inbound:
        names = (
            (WebhookEvent.MESSAGE_CREATED, WebhookEvent.REACTION_CREATED)
            if message["type"] == "reaction"
            else (WebhookEvent.MESSAGE_CREATED,)
        )
        sources = [
            _Source(
                Fired(name, 0, 0, n),
                message["chat_id"],
                "inbound",
                phone_no=message["phone_no"],
                ref=message["message_id"],
            )
            for n, name in enumerate(names, 1)
        ]
        found.append((message["at"], sources))
    happened = yield from query(named.org_events_to_fan_out(org_no=org_no, limit=limit))
    for event in happened:
        number = event["org_event_no"]
        stream = f"event {number}" if event["phone_no"] is None else f"phone {event['phone_no']}"
        fired_one = Fired(event["name"], 0, 0, number)
        found.append((event["at"], [_Source(fired_one, stream, "org", n=number, phone_no=event["phone_no"])]))
    yield from query(named.events_set_fanned_out([(org_no, row["job_id"], row["n"]) for row in events]))
    yield from query(named.inbound_set_fanned_out([(org_no, row["phone_no"], row["message_id"]) for row in inbound]))
    yield from query(named.org_events_set_fanned_out([(org_no, row["org_event_no"]) for row in happened]))
    found.sort(key=lambda pair: pair[0])  # stable: equal times keep the order they were read in
    return [source for _, group in found for source in group], max(len(events), len(inbound), len(happened))
