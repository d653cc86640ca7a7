"""`heliograph doctor`: looks at this machine, the settings, the database and the server, and says what to mend."""

import asyncio
import os
from collections.abc import Iterator

import click

from heliograph.cli.commands.checks import CheckGroup, Finding, machine_checks, server_checks
from heliograph.cli.display.output import console, escape, json_option, put
from heliograph.cli.display.status_line import STYLES
from heliograph.cli.exit_codes import Exit
from heliograph.domain.errors import CannotStart, Refusal
from heliograph.settings import Settings, load_settings

_GLYPHS = {"ok": ("✓", "ok"), "warn": ("!", "wait"), "bad": ("✗", "bad")}


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Check this machine, the settings, the database and the server. Ends with 1 if something must be mended."""
    found = list(_all())
    if as_json:
        put([{"name": one.name, "level": one.level, "said": one.sentence, "fix": one.fix} for one in found])
    else:
        for one in found:
            _show(one)
    return Exit.FAILED if any(one.level == "bad" for one in found) else Exit.OK


def _all() -> Iterator[Finding]:
    try:
        settings = load_settings(os.environ)
    except CannotStart as problem:
        yield Finding("settings", "bad", str(problem), "Correct it; `heliograph serve --help` lists all names.")
        return
    yield Finding("settings", "ok", f"read; the database is {settings.database_label}")
    groups: tuple[CheckGroup, ...] = (machine_checks, _database, server_checks)
    for group in groups:
        yield from group(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.sqlite_path is not None and not settings.sqlite_path.exists():
        yield Finding("database", "ok", "not there yet; `heliograph serve` makes it")
        return
    from heliograph.app.database import check_store

    try:
        yield Finding("database", "ok", asyncio.run(check_store(settings)))
    except (CannotStart, Refusal) as problem:
        yield Finding("database", "bad", str(problem), "Correct HELIOGRAPH_DATABASE_URL, or run `heliograph migrate`.")


def _show(one: Finding) -> None:
    glyph, tone = _GLYPHS[one.level]
    out = console()
    out.print(f"[{STYLES[tone]}]{glyph}[/] [bold]{one.name:<12}[/] {escape(one.sentence)}", soft_wrap=True)
    if one.fix:
        out.print(f"  {'':<12} → {escape(one.fix)}", soft_wrap=True)
