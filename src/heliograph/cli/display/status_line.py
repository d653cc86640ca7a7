"""Draws a message's ladder: in place on a terminal, a line a change elsewhere. Always on standard error."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.display.follow import StatusProgress
from heliograph.domain.explain.status_style import LADDER, look

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


def ladder_text(climb: StatusProgress, until: str) -> "Text":
    """`○ waiting · → sending · ✓ sent 0.8 s · ✓✓ delivered 1.9 s`, what is still to come in grey."""
    from rich.text import Text

    shown = Text()
    last = max(LADDER.index(until), LADDER.index(climb.state) if climb.state in LADDER else 0)
    for at, rung in enumerate(LADDER[: last + 1]):
        one = look(rung)
        if at:
            shown.append("  ·  ", "bright_black")
        if rung in climb.rungs:
            shown.append(f"{one.glyph} {one.word}", STYLES[one.tone])
            if at >= 2:
                shown.append(f" {seconds_text(climb.rungs[rung])}", "bold")
        else:
            shown.append(f"{one.glyph} {one.word}", "bright_black")
    if climb.state not in LADDER or _waits(climb):
        one = look(climb.state)
        said = str(climb.status.get("status_description", ""))
        shown.append(f"\n  {one.glyph} {one.word}: ", STYLES[one.tone])
        shown.append(said)
    return shown


def _waits(climb: StatusProgress) -> bool:
    return climb.state == "queued" and (climb.status.get("attempts", 0) > 0 or time.monotonic() - climb.started > 1)


class Ladder:
    """`with Ladder("read") as ladder: follow(..., on_change=ladder.change, on_tick=ladder.tick)`"""

    def __init__(self, until: str) -> None:
        self._until = until
        self._live: Live | None = None

    def __enter__(self) -> "Ladder":
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

    def change(self, climb: StatusProgress) -> None:
        if self._live:
            self._live.update(ladder_text(climb, self._until), refresh=True)
            return
        click.echo(plain_line(climb.status, time.monotonic() - climb.started), err=True)

    def tick(self, climb: StatusProgress) -> None:
        if self._live:
            self._live.update(ladder_text(climb, self._until), refresh=True)


def plain_line(status: dict[str, Any], seconds: float) -> str:
    one = look(str(status.get("status")))
    return f"{seconds:6.1f} s  {one.word:<10} {status.get('status_description', '')}".rstrip()
