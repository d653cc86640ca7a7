"""Output of commands: cells for people, JSON for programs, notes on standard error.

Promise: nothing but data reaches standard output; no colour when it is not a terminal or NO_COLOR is set.
"""

import json
import sys
from collections.abc import Callable
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


def one_line(text: str, width: int | None = None) -> str:
    """Without its line breaks; cut where a width is given."""
    flat = " ".join(text.split())
    return flat if width is None or len(flat) <= width else flat[: width - 1] + "…"
