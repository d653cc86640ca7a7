"""Display of the demonstration: one line a message, redrawn on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from heliograph.cli.display.follow import StatusProgress
from heliograph.cli.display.output import console
from heliograph.cli.display.status_line import STYLES, seconds_text
from heliograph.domain.explain.status_style import LADDER, look

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_RUNGS = LADDER[:5]
_MOMENT_S = 0.09
_WITH_WHAT = 110  # columns; on a narrower terminal the ladder alone fits a line


class DemoScreen:
    def __init__(self) -> None:
        self.out = console()

    def title(self, text: str, small: str) -> None:
        from rich.text import Text

        self.out.print()
        self.out.print(Text.assemble(("☼ ", "yellow"), (text, "bold"), ("   " + small, "bright_black")), soft_wrap=True)
        self.out.print()

    def fact(self, name: str, text: str, small: str = "") -> None:
        from rich.text import Text

        line = Text.assemble((f"  {name:<10}", "bright_black"), text, ("  " + small if small else "", "bright_black"))
        self.out.print(line, soft_wrap=True)

    def words(self, text: str = "", style: str = "") -> None:
        self.out.print(text, style=style, soft_wrap=True, markup=False)

    @contextlib.contextmanager
    def climbing(self, name: str, what: str) -> Iterator["StatusLine"]:
        if not self.out.is_terminal:
            self.words(f"  {name:<10}{what}")
            yield StatusLine(name, what, self, None)
            return
        from rich.live import Live

        with Live(console=self.out, auto_refresh=False) as live:
            yield StatusLine(name, what, self, live)


class StatusLine:
    """One message on its way. On a terminal the first rungs stay for a moment, so that the eye can follow what took a
    millisecond; the times are the true ones.
    """

    def __init__(self, name: str, what: str, stage: DemoScreen, live: "Live | None") -> None:
        self._name = name
        self._what = what
        self._stage = stage
        self._live = live
        self._shown: dict[str, float] = {}
        self._trouble = ""

    def change(self, climb: StatusProgress) -> None:
        fresh = [rung for rung in _RUNGS if rung in climb.rungs and rung not in self._shown]
        for rung in fresh:
            self._shown[rung] = climb.rungs[rung]
            if self._live is None:
                self._stage.words(f"              {rung:<10} {seconds_text(climb.rungs[rung]):>7}")
                continue
            self._live.update(self._text(), refresh=True)
            if rung in ("queued", "sending"):
                time.sleep(_MOMENT_S)
        if climb.state not in LADDER:
            self._trouble = str(climb.status.get("status_description", climb.state))
            if self._live is None:
                self._stage.words(f"              {self._trouble}")
            else:
                self._live.update(self._text(), refresh=True)

    def _text(self) -> "Text":
        from rich.text import Text

        shown = Text.assemble(
            (f"  {self._name:<10}", "bright_black"), f"{self._what:<30}" if self._stage.out.width >= _WITH_WHAT else ""
        )
        for rung in _RUNGS:
            seen = rung in self._shown
            shown.append("" if rung == "queued" else " → ", "bright_black")
            shown.append(rung, STYLES[look(rung).tone] if seen else "grey30")
            if seen and rung not in ("queued", "sending"):
                shown.append(f" {seconds_text(self._shown[rung])}", "bold")
        if self._trouble:
            shown.append(f"\n{'':12}{self._trouble}", "red")
        return shown
