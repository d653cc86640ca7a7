"""Follows one message through its states: queued, sending, sent, delivered, read.

Promise: it says what the server said, in that order, and never that something arrived before the server knew.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from heliograph.cli.client import ApiClient, segment
from heliograph.cli.exit_codes import Exit
from heliograph.domain.explain.status_style import ENDED, STATUS_ORDER

_FIRST_PAUSE_S = 0.03
_MAX_PAUSE_S = 0.25
_UNCERTAIN = "pending"


@dataclass
class StatusProgress:
    """States that were seen so far. `reached`: state → seconds since the send was answered."""

    started: float = field(default_factory=time.monotonic)
    reached: dict[str, float] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return str(self.status.get("status", "queued"))

    def see(self, status: dict[str, Any]) -> bool:
        """Takes the server's word; True if it is news. Rungs passed between two looks are filled from the timeline."""
        before = (self.state, self.status.get("status_description"), self.status.get("attempts"))
        self.status = status
        now = time.monotonic() - self.started
        queued = _seconds(status, "queued_at")
        for state in (*self._passed(), self.state):
            at = _seconds(status, f"{state}_at")
            self.reached.setdefault(state, at - queued if at is not None and queued is not None else now)
        return before != (self.state, status.get("status_description"), status.get("attempts"))

    def _passed(self) -> tuple[str, ...]:
        return STATUS_ORDER[: STATUS_ORDER.index(self.state)] if self.state in STATUS_ORDER[:5] else ()


def follow(
    gateway: ApiClient,
    unique_id: str,
    *,
    until: str,
    timeout_s: float,
    on_change: Callable[[StatusProgress], None],
    on_tick: Callable[[StatusProgress], None] | None = None,
    progress: StatusProgress | None = None,
) -> Exit:
    """Asks until the message reaches `until`, ends, or time is up. The answer is the command's exit code."""
    seen = progress or StatusProgress()
    pause_s = _FIRST_PAUSE_S
    while True:
        if seen.see(gateway.get(f"/message/{segment(unique_id)}/status")):
            on_change(seen)
            pause_s = _FIRST_PAUSE_S
        if reached(seen.state, until):
            return Exit.OK
        if seen.state in ENDED:
            return Exit.REFUSED if refused_by_policy(seen.status) else Exit.FAILED
        if time.monotonic() - seen.started >= timeout_s:
            return Exit.UNCERTAIN if seen.state == _UNCERTAIN else Exit.TIMED_OUT
        if on_tick:
            on_tick(seen)
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.4, _MAX_PAUSE_S)


def reached(state: str, until: str) -> bool:
    return state in STATUS_ORDER and STATUS_ORDER.index(state) >= STATUS_ORDER.index(until)


def refused_by_policy(status: dict[str, Any]) -> bool:
    """The gateway's own rules ended it, not the network."""
    said = str(status.get("status_description", "")).lower()
    return any(word in said for word in ("opted out", "suppress", "quota"))


def _seconds(status: dict[str, Any], stamp: str) -> float | None:
    from datetime import datetime

    text = (status.get("timeline") or {}).get(stamp)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None
