"""Organisation events for webhooks: pauses, finished broadcasts, missed runs, changes of phones.

Promise: an event is written in the transaction of its change, and only if the organisation has hooks.
"""

from collections.abc import Mapping

import msgspec

from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query


def emit_org_event(
    org_no: int, phone_no: int | None, name: str, detail: str, data: Mapping[str, object], now_us: int
) -> Unit[None]:
    text = msgspec.json.encode(data).decode()
    yield from query(
        named.org_event_insert(org_no=org_no, phone_no=phone_no, name=name, detail=detail, data=text, now=now_us)
    )
