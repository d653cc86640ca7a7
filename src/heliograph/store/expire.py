"""What waits beyond its time ends, wherever it stands in the queue.

Promise: an expired message has its event and was not sent; one that may have been sent already is left to its receipt.
"""

from heliograph.domain.job import Event
from heliograph.store.lanes import INTAKE, Counts, Relink, relink, tally
from heliograph.store.rows import event_row
from heliograph.store.unit import Unit, batch, run

STEP = 200


def phones_expiring(now_us: int) -> Unit[list[tuple[int, int]]]:
    return [(row["org_no"], row["phone_no"]) for row in (yield from run("phones_expiring", now=now_us))]


def expire_step(org_no: int, phone_no: int, now_us: int) -> Unit[int]:
    """Ends the next of the phone's messages that are past their time; 0: there are none left."""
    rows = yield from run("expired_of_phone", org_no=org_no, phone_no=phone_no, now=now_us, limit=STEP)
    if not rows:
        return 0
    yield from batch("owners_lock", [(org_no, phone_no)])
    yield from batch("intake_lock", sorted({(org_no, phone_no, row["lane"], INTAKE) for row in rows}))
    yield from batch("lanes_lock", sorted({(org_no, phone_no, row["chat_id"], row["lane"]) for row in rows}))
    counts, events, heads = Counts(), [], []
    ended = yield from batch("jobs_expire", sorted((org_no, row["job_id"]) for row in rows), now=now_us)
    for row in ended:
        counts.add((org_no, phone_no, row["lane"]), waiting=-1, failed=1)
        counts.broadcast(org_no, row["broadcast_no"], failed=1)
        heads.append((org_no, phone_no, row["chat_id"], row["lane"], row["job_id"]))
        event = Event(
            row["job_id"], row["events"], now_us, "expired", "queued", "expired", row["ack"], row["attempts"], 0,
            "gateway", "expired", "Expired before it was sent.",
        )  # fmt: skip
        events.append(event_row(org_no, event))
    lanes = {}
    gone = {row["job_id"] for row in ended}
    for org, phone, chat, lane, not_before, waits_for in (yield from batch("lanes_headed_by", sorted(heads))):
        keeps = waits_for is not None and waits_for not in gone
        lanes[org, phone, chat, lane] = Relink(not_before, waits_for) if keeps else Relink()
    yield from relink(lanes)
    yield from batch("events_insert", events)
    yield from tally(INTAKE, counts)
    return len(ended)
