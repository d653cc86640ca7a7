"""How commands show things: tables for people, JSON for programs, notes on standard error.

Promise: nothing but data reaches standard output; no colour when it is not a terminal or NO_COLOR is set.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Data for programs.")
phone_option: Callable[[Any], Any] = click.option(
    "--phone", metavar="PHONE", help="The sending phone: its number or phone_id."
)


def put(value: Any) -> None:
    """One JSON value on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def note(text: str) -> None:
    """A remark on standard error."""
    click.echo(text, err=True)


def console(*, err: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=err, highlight=False, soft_wrap=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Aligned columns; on a terminal with a quiet head. Cells may hold rich markup made by `mark`."""
    found = [list(row) for row in rows]
    if sys.stdout.isatty():
        console().print(rich_table(columns, found, right=right))
        return
    plain = [list(columns), *([unmarked(cell) for cell in row] for row in found)]
    widths = [max(len(row[at]) for row in plain) for at in range(len(columns))]
    for row in plain:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, row, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> Any:
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1), border_style="dim")
    for name in columns:
        grid.add_column(name, justify="right" if name in right else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(*row)
    return grid


def escape(text: str) -> str:
    """Text that others wrote, made safe to stand between markup."""
    return text.replace("[", "\\[")


def mark(text: str, style: str) -> str:
    return f"[{style}]{escape(text)}[/]" if style else escape(text)


def unmarked(cell: str) -> str:
    from rich.text import Text

    return Text.from_markup(cell).plain if "[" in cell else cell


def clock_time(iso: str | None) -> str:
    """A time of the API in this machine's zone, in at most 12 characters: the hour today, the date otherwise."""
    if not iso:
        return ""
    at = datetime.fromisoformat(iso.replace("Z", "+00:00")).astimezone()
    today = datetime.now(at.tzinfo).date()
    if at.date() == today:
        return at.strftime("%H:%M:%S")
    return at.strftime("%d %b %H:%M" if at.year == today.year else "%Y-%m-%d")


def exact_time(iso: str | None) -> str:
    """A time of the API in this machine's zone with its date: for what lies days ahead."""
    if not iso:
        return ""
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def one_line(text: str, width: int = 40) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
