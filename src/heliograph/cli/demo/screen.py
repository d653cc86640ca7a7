"""Display of the demonstration: one line a message, redrawn on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from heliograph.cli.display.follow import StatusProgress
from heliograph.cli.display.output import console
from heliograph.cli.display.status_line import STYLES, seconds_text
from heliograph.domain.explain.status_style import STATUS_ORDER, look

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_STATUSES = STATUS_ORDER[:5]
_MOMENT_S = 0.09
_WITH_WHAT = 110  # columns; on a narrower terminal the statuses alone fit a line


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
    """Progress of one message. On a terminal the first statuses stay for a moment; the times are the true ones."""

    def __init__(self, name: str, what: str, stage: DemoScreen, live: "Live | None") -> None:
        self._name = name
        self._what = what
        self._stage = stage
        self._live = live
        self._shown: dict[str, float] = {}
        self._trouble = ""

    def change(self, progress: StatusProgress) -> None:
        fresh = [status for status in _STATUSES if status in progress.reached and status not in self._shown]
        for status in fresh:
            self._shown[status] = progress.reached[status]
            if self._live is None:
                self._stage.words(f"              {status:<10} {seconds_text(progress.reached[status]):>7}")
                continue
            self._live.update(self._text(), refresh=True)
            if status in ("queued", "sending"):
                time.sleep(_MOMENT_S)
        if progress.state not in STATUS_ORDER:
            self._trouble = str(progress.status.get("status_description", progress.state))
            if self._live is None:
                self._stage.words(f"              {self._trouble}")
            else:
                self._live.update(self._text(), refresh=True)

    def _text(self) -> "Text":
        from rich.text import Text

        shown = Text.assemble(
            (f"  {self._name:<10}", "bright_black"), f"{self._what:<30}" if self._stage.out.width >= _WITH_WHAT else ""
        )
        for status in _STATUSES:
            seen = status in self._shown
            shown.append("" if status == "queued" else " → ", "bright_black")
            shown.append(status, STYLES[look(status).tone] if seen else "grey30")
            if seen and status not in ("queued", "sending"):
                shown.append(f" {seconds_text(self._shown[status])}", "bold")
        if self._trouble:
            shown.append(f"\n{'':12}{self._trouble}", "red")
        return shown
