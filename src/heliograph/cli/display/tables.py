"""Tables: aligned text for pipes, and what fits for a terminal.

Promise: in a pipe nothing is cut. On a terminal a column is whole or left out, so that what names a row can be copied;
only free text is folded.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from heliograph.cli.display.output import console, unmarked

GAP = 2  # between columns
_ALIGNED = 60  # a longer cell of a pipe pushes its own row only
_MIN_FOLDED = 10  # of a column that is folded


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    free: Mapping[str, int] | None = None,
    spare: Sequence[str] = (),
) -> None:
    """Cells may hold rich markup made by `mark`.

    For a terminal: `free` names the columns of free text, with how much of a cell is shown; `spare` those that are left
    out where there is no room, the first one first.
    """
    found = [list(row) for row in rows]
    if not sys.stdout.isatty():
        _aligned(columns, found, right)
        return
    form = fit(columns, found, console().width, free=free or {}, spare=spare)
    kept = [columns.index(name) for name in form]
    console().print(rich_table(form, [[row[at] for at in kept] for row in found], right=right, free=free or {}))


def fit(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, free: Mapping[str, int], spare: Sequence[str]
) -> dict[str, int]:
    """The columns that are shown on a terminal so wide, each with its width."""
    from rich.cells import cell_len

    longest = {
        name: max([len(name), *(cell_len(unmarked(row[at])) for row in rows)]) for at, name in enumerate(columns)
    }
    form = {name: min(longest[name], max(free.get(name, width), len(name))) for name in columns}
    for gone in (None, *spare):
        if gone is not None:
            del form[gone]
        if _wide(form) <= width:
            return form
        narrow = dict(form)
        while _wide(narrow) > width:
            name = max((name for name in form if name in free), key=narrow.__getitem__, default=None)
            if name is None or narrow[name] <= max(_MIN_FOLDED, len(name)):
                break
            narrow[name] -= 1
        else:
            return narrow
    return form  # too narrow for any of it: rich folds it


def _wide(form: Mapping[str, int]) -> int:
    return sum(form.values()) + GAP * (len(form) - 1)


def rich_table(
    form: Mapping[str, int],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    free: Mapping[str, int] | None = None,
) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    quiet: dict[str, Any] = {"header_style": "dim", "border_style": "dim"}
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), **quiet)
    for name, width in form.items():
        grid.add_column(name, width=width, justify="right" if name in right else "left", overflow="fold")
    most = [(free or {}).get(name) for name in form]
    for row in rows:
        cells = [Text.from_markup(cell) for cell in row]
        for cell, limit in zip(cells, most, strict=True):
            if limit is not None:
                cell.truncate(limit, overflow="ellipsis")
        grid.add_row(*cells)
    return grid


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    plain = [list(columns), *([unmarked(cell) for cell in row] for row in rows)]
    widths = [min(max(len(row[at]) for row in plain), _ALIGNED) for at in range(len(columns))]
    for row in plain:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, row, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())
