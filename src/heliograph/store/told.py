"""What is told to webhooks although it is not about one message: pauses, ends of broadcasts, missed runs.

Promise: written in the transaction of what it tells of, and only where somebody listens.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.store.unit import Unit, run


def told(org_no: int, phone_no: int | None, name: str, detail: str, data: Mapping[str, Any], now_us: int) -> Unit[None]:
    text = msgspec.json.encode(data).decode()
    yield from run("told", org_no=org_no, phone_no=phone_no, name=name, detail=detail, data=text, now=now_us)
