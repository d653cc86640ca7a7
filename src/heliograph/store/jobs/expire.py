"""Ends waiting messages that are past their expiry, wherever they are in the queue.

Promise: an expired message has its event and was not sent. One that may have been sent is left to its receipt.
"""

from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query
from heliograph.store.jobs.cancel import end_rows

STEP = 200


def phones_expiring(now_us: int) -> Unit[list[tuple[int, int]]]:
    return [(row["org_no"], row["phone_no"]) for row in (yield from query(named.phones_expiring(now=now_us)))]


def expire_step(org_no: int, phone_no: int, now_us: int) -> Unit[int]:
    """Ends the next expired messages of the phone; 0: there are none left."""
    rows = yield from query(named.jobs_expired_of_phone(org_no=org_no, phone_no=phone_no, now=now_us, limit=STEP))
    detail = "Expired before it was sent."
    return len((yield from end_rows(org_no, rows, "expired", "gateway", "expired", detail, now_us)))
