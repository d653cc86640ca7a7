"""Holds: stop a phone, a chat or a broadcast, and let it go on.

Promise: after the commit of a hold nothing of its target is started, because each start reads the holds in its own
transaction. A lane that was set aside comes back when its hold is removed. Neither touches other lanes.
"""

from collections.abc import Sequence

from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one, query_values
from heliograph.store.jobs.lanes import LaneKey, NextHead, set_lane_heads


def hold(org_no: int, phone_no: int, target: str, actor: str, reason: str, now_us: int) -> Unit[bool]:
    """Stops a target: `phone`, `chat:ID` or `broadcast:NO`. False: it was stopped already."""
    yield from query(named.leases_lock([(org_no, phone_no)]))
    put = yield from query_one(
        named.hold_insert(org_no=org_no, phone_no=phone_no, target=target, actor=actor, reason=reason, now=now_us)
    )
    return put is not None


def pause_phone(org_no: int, phone_no: int, actor: str, reason: str, now_us: int) -> Unit[bool]:
    """Stops a phone; False: it was stopped already."""
    yield from hold(org_no, phone_no, "phone", actor, reason, now_us)
    paused = yield from query_one(named.phone_pause(org_no=org_no, phone_no=phone_no, now=now_us, actor=actor))
    return paused is not None


def resume_phone(org_no: int, phone_no: int, now_us: int) -> Unit[bool]:
    """Lets a phone go on; False: it was not stopped."""
    yield from query(named.hold_delete(org_no=org_no, phone_no=phone_no, target="phone"))
    return (yield from query_one(named.phone_resume(org_no=org_no, phone_no=phone_no, now=now_us))) is not None


def release_chat(org_no: int, phone_no: int, chat_id: str) -> Unit[bool]:
    """Lets a chat go on; False: it was not stopped."""
    yield from query(named.leases_lock([(org_no, phone_no)]))  # waits for a sender that sets its lanes aside now
    if (yield from query_one(named.hold_delete(org_no=org_no, phone_no=phone_no, target=f"chat:{chat_id}"))) is None:
        return False
    found = yield from query_values(named.lanes_held_of_chat(org_no=org_no, phone_no=phone_no, chat_id=chat_id))
    yield from _ready(found)
    return True


def release_broadcast(org_no: int, phone_no: int, broadcast_no: int) -> Unit[None]:
    yield from query(named.leases_lock([(org_no, phone_no)]))
    yield from query(named.hold_delete(org_no=org_no, phone_no=phone_no, target=f"broadcast:{broadcast_no}"))
    yield from _ready(
        (yield from query_values(named.lanes_held_of_broadcast(org_no=org_no, broadcast_no=broadcast_no)))
    )


def _ready(found: Sequence[LaneKey]) -> Unit[None]:
    keys = sorted({(row[0], row[1], row[2], row[3]) for row in found})
    yield from query(named.lanes_lock(keys))
    yield from set_lane_heads({key: NextHead() for key in keys})
