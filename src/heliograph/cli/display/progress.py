"""Progress of a broadcast: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any

from heliograph.cli.display.output import note

LINE_EVERY_S = 5.0


class Progress:
    """`quiet`: shows nothing. Plain lines come when something changed, at most one in five seconds, and at the end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._said = ("", 0.0)

    def __enter__(self) -> "Progress":
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[words]}", style="dim"),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, state: dict[str, Any]) -> None:
        if self._quiet:
            return
        done = state["total_chats"] - state["pending_chats"]
        words = describe(state)
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(state["state"], total=state["total_chats"], words=words)
            self._bar.update(self._task, completed=done, description=state["state"], words=words)
            return
        line = f"{state['state']}: {done:,} of {state['total_chats']:,}; {words}"
        now = time.monotonic()
        ended = state["state"] in ("completed", "cancelled")
        if line != self._said[0] and (ended or now - self._said[1] >= LINE_EVERY_S):
            note(line)
            self._said = (line, now)


def describe(state: dict[str, Any]) -> str:
    """`12 sent, 1 failed, 9 delivered`"""
    parts = [f"{state['sent_chats']:,} sent"]
    for name, word in (
        ("failed_chats", "failed"),
        ("skipped_chats", "left out"),
        ("cancelled_chats", "cancelled"),
        ("total_delivered_count", "delivered"),
        ("total_read_count", "read"),
    ):
        if state.get(name):
            parts.append(f"{state[name]:,} {word}")
    return ", ".join(parts)
