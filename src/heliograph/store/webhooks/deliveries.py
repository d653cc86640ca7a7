"""Deliveries as people list them, replay them and send tests.

Promise: a replay keeps the delivery's id and bytes, and has a stream of its own, so that it delays nothing.
"""

from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt, WebhookRow
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one, query_row, query_values
from heliograph.store.webhooks.sources import delivery_of

STEP = 500
_TOP = 2**63 - 1


def list_deliveries(
    hook: WebhookRow, *, state: str | None = None, below: int | None = None, limit: int = 100
) -> Unit[list[Delivery]]:
    rows = yield from query(
        named.deliveries_of_hook(
            org_no=hook.org_no, hook_no=hook.hook_no, state=state, below=_TOP if below is None else below, limit=limit
        )
    )
    return [delivery_of(row, row["org_id"]) for row in rows]


def delivery(org_no: int, no: int) -> Unit[tuple[Delivery, str | None, list[DeliveryAttempt]] | None]:
    row = yield from query_one(named.delivery_by_no(org_no=org_no, no=no))
    if row is None:
        return None
    attempts = yield from query_values(named.delivery_attempts_of(org_no=org_no, no=no))
    return delivery_of(row, row["org_id"]), row["body"], [DeliveryAttempt(*each) for each in attempts]


def replay(org_no: int, no: int) -> Unit[bool]:
    row = yield from query_one(named.delivery_by_no(org_no=org_no, no=no))
    if row is None:
        return False
    if row["state"] == "pending":
        promoted = yield from query_one(
            named.stream_promote(org_no=org_no, endpoint_no=row["endpoint_no"], stream=f"#{no}")
        )
        return promoted is not None
    return (yield from _again([(org_no, no, row["endpoint_no"])])) == 1


def replay_step(
    hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int, above: int
) -> Unit[tuple[int, int | None]]:
    """Gives how many are to be tried again, and where to go on; None: that was all."""
    between = named.deliveries_dead_between if dead_only else named.deliveries_ended_between
    rows = yield from query(
        between(org_no=hook.org_no, hook_no=hook.hook_no, since=since_us, until=until_us, above=above, limit=STEP)
    )
    again = yield from _again([(row["org_no"], row["no"], row["endpoint_no"]) for row in rows])
    return again, rows[-1]["no"] if len(rows) == STEP else None


def _again(deliveries: list[tuple[int, int, int]]) -> Unit[int]:
    rows = [(org_no, no, f"#{no}", endpoint_no) for org_no, no, endpoint_no in deliveries]
    changed = yield from query(named.deliveries_replay(rows))
    org_no = deliveries[0][0] if deliveries else 0
    yield from query(
        named.streams_upsert(sorted((org_no, row["endpoint_no"], f"#{row['no']}", row["no"]) for row in changed))
    )
    return len(changed)


def add_test(hook: WebhookRow, body: str, now_us: int) -> Unit[Delivery]:
    no = (yield from query_row(named.fanout_number(org_no=hook.org_no)))["no"]
    row = (hook.org_no, no, hook.hook_no, hook.endpoint_no, f"#{no}", hook.event, "test", None, 0, None, None, 0, 0, 0)
    yield from query(named.deliveries_insert([row], now=now_us))
    found = yield from query_row(named.delivery_by_no(org_no=hook.org_no, no=no))
    made = delivery_of(found, hook.org_id)
    yield from query(named.delivery_bodies_insert([(hook.org_no, no, body.replace("{delivery_id}", made.delivery_id))]))
    yield from query(named.streams_upsert([(hook.org_no, hook.endpoint_no, f"#{no}", no)]))
    return made
