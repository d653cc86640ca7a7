"""Stopping a phone, a chat or a broadcast, and letting it go on.

Promise: after the commit of a hold nothing of it is started (each start looks here in its own transaction); a lane that
was put aside comes back when its hold is dropped. Neither touches more rows than the lanes that were met meanwhile.
"""

from heliograph.store.database.unit import Rows, Unit, query, query_batch, query_one
from heliograph.store.jobs.lanes import NextHead, set_lane_heads


def hold(org_no: int, phone_no: int, what: str, actor: str, reason: str, now_us: int) -> Unit[bool]:
    """`what`: `phone`, `chat:ID` or `broadcast:NO`. False: it was stopped already."""
    yield from query_batch("owners_lock", [(org_no, phone_no)])
    put = yield from query_one(
        "hold_put", org_no=org_no, phone_no=phone_no, target=what, actor=actor, reason=reason, now=now_us
    )
    return put is not None


def release_chat(org_no: int, phone_no: int, chat_id: str) -> Unit[bool]:
    """False: it was not stopped."""
    yield from query_batch("owners_lock", [(org_no, phone_no)])  # who puts its lanes aside now is waited for
    if (yield from query_one("hold_drop", org_no=org_no, phone_no=phone_no, target=f"chat:{chat_id}")) is None:
        return False
    found = yield from query("lanes_held_of_chat", org_no=org_no, phone_no=phone_no, chat_id=chat_id)
    yield from _ready(found)
    return True


def release_broadcast(org_no: int, phone_no: int, broadcast_no: int) -> Unit[None]:
    yield from query_batch("owners_lock", [(org_no, phone_no)])
    yield from query("hold_drop", org_no=org_no, phone_no=phone_no, target=f"broadcast:{broadcast_no}")
    yield from _ready((yield from query("lanes_held_of_broadcast", org_no=org_no, broadcast_no=broadcast_no)))


def _ready(found: Rows) -> Unit[None]:
    keys = sorted({(row[0], row[1], row[2], row[3]) for row in found})
    yield from query_batch("lanes_lock", keys)
    yield from set_lane_heads({key: NextHead() for key in keys})
