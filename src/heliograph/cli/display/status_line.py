"""Draws a message's progress: in place on a terminal, a line a change elsewhere. Always on standard error."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.display.follow import StatusProgress
from heliograph.domain.explain.status_style import STATUS_ORDER, look

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

STYLES = {
    "mute": "bright_black",
    "wait": "yellow",
    "info": "blue",
    "ok": "green",
    "hold": "magenta",
    "uncertain": "dark_orange3",
    "bad": "red",
}


def seconds_text(seconds: float) -> str:
    """
    >>> seconds_text(0.004), seconds_text(1.94), seconds_text(75)
    ('4 ms', '1.9 s', '1 m 15 s')
    """
    if seconds < 0.1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} m {int(seconds % 60):02d} s"


def status_text(progress: StatusProgress, until: str) -> "Text":
    """`○ waiting · → sending · ✓ sent 0.8 s · ✓✓ delivered 1.9 s`, what is still to come in grey."""
    from rich.text import Text

    shown = Text()
    last = max(STATUS_ORDER.index(until), STATUS_ORDER.index(progress.state) if progress.state in STATUS_ORDER else 0)
    for at, status in enumerate(STATUS_ORDER[: last + 1]):
        one = look(status)
        if at:
            shown.append("  ·  ", "bright_black")
        if status in progress.reached:
            shown.append(f"{one.glyph} {one.word}", STYLES[one.tone])
            if at >= 2:
                shown.append(f" {seconds_text(progress.reached[status])}", "bold")
        else:
            shown.append(f"{one.glyph} {one.word}", "bright_black")
    if progress.state not in STATUS_ORDER or _waits(progress):
        one = look(progress.state)
        said = str(progress.status.get("status_description", ""))
        shown.append(f"\n  {one.glyph} {one.word}: ", STYLES[one.tone])
        shown.append(said)
    return shown


def _waits(progress: StatusProgress) -> bool:
    return progress.state == "queued" and (
        progress.status.get("attempts", 0) > 0 or time.monotonic() - progress.started > 1
    )


class LiveStatus:
    """`with LiveStatus("read") as line: follow(..., on_change=line.change, on_tick=line.tick)`"""

    def __init__(self, until: str) -> None:
        self._until = until
        self._live: Live | None = None

    def __enter__(self) -> "LiveStatus":
        if sys.stderr.isatty():
            from rich.live import Live

            from heliograph.cli.display.output import console

            self._live = Live(console=console(err=True), refresh_per_second=12, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, problem, trace)

    def change(self, progress: StatusProgress) -> None:
        if self._live:
            self._live.update(status_text(progress, self._until), refresh=True)
            return
        click.echo(plain_line(progress.status, time.monotonic() - progress.started), err=True)

    def tick(self, progress: StatusProgress) -> None:
        if self._live:
            self._live.update(status_text(progress, self._until), refresh=True)


def plain_line(status: dict[str, Any], seconds: float) -> str:
    one = look(str(status.get("status")))
    return f"{seconds:6.1f} s  {one.word:<10} {status.get('status_description', '')}".rstrip()
