"""What is told to webhooks although it is not about one message: pauses, ends of broadcasts, missed runs.

And who did what by hand. Promise: written in the transaction of what it tells of; to webhooks only where somebody
listens.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.domain.jobs.ids import JobId
from heliograph.store.database.unit import Unit, query


def emit_org_event(
    org_no: int, phone_no: int | None, name: str, detail: str, data: Mapping[str, Any], now_us: int
) -> Unit[None]:
    text = msgspec.json.encode(data).decode()
    yield from query(
        "org_event_insert", org_no=org_no, phone_no=phone_no, name=name, detail=detail, data=text, now=now_us
    )


def record_audit(
    org_no: int, phone_no: int | None, act: str, what: str, detail: str, actor: str, act_no: JobId, now_us: int
) -> Unit[None]:
    """Who did what to a queue, for its history."""
    yield from query(
        "audit_log_insert",
        org_no=org_no,
        act_no=act_no,
        phone_no=phone_no,
        act=act,
        target=what,
        detail=detail,
        actor=actor,
        now=now_us,
    )
