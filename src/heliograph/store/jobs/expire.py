"""What waits beyond its time ends, wherever it stands in the queue.

Promise: an expired message has its event and was not sent; one that may have been sent already is left to its receipt.
"""

from heliograph.store.database.unit import Unit, query
from heliograph.store.jobs.cancel import end_rows

STEP = 200


def phones_expiring(now_us: int) -> Unit[list[tuple[int, int]]]:
    return [(row["org_no"], row["phone_no"]) for row in (yield from query("phones_expiring", now=now_us))]


def expire_step(org_no: int, phone_no: int, now_us: int) -> Unit[int]:
    """Ends the next of the phone's messages that are past their time; 0: there are none left."""
    rows = yield from query("expired_of_phone", org_no=org_no, phone_no=phone_no, now=now_us, limit=STEP)
    said = "Expired before it was sent."
    return len((yield from end_rows(org_no, rows, "expired", "gateway", "expired", said, now_us)))
