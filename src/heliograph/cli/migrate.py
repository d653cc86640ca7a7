"""`heliograph migrate`: brings the database to this version's schema. `heliograph serve` does the same at its start."""

import asyncio
import os
from pathlib import Path

import click

from heliograph.cli.exits import Exit
from heliograph.cli.output import json_option, note, put
from heliograph.settings import Settings, load_settings


@click.command()
@click.option("--from", "source", metavar="URL", help="A stopped installation to move: sqlite:///FILE")
@click.option("--to", "target", metavar="URL", help="An empty database to move it to: postgresql://…")
@json_option
def migrate(source: str | None, target: str | None, as_json: bool) -> int:
    """Bring the database that the settings name to this version's schema.

    Each step is one transaction, under a lock: stopped anywhere, it goes on at the next call.

    With --from and --to: move a whole installation from SQLite to PostgreSQL, while its server is stopped. All or
    nothing; every table is read back and compared by count and checksum before the move counts.
    """
    if source or target:
        return _move(source or "", target or "", as_json)
    settings = load_settings(os.environ)
    version = asyncio.run(_migrate(settings))
    if as_json:
        put({"database": settings.database_label, "schema_version": version})
    else:
        click.echo(f"{settings.database_label}: the schema is at version {version}.")
    return Exit.OK


def _move(source: str, target: str, as_json: bool) -> int:
    if not source.startswith("sqlite:///") or not target.startswith(("postgresql://", "postgres://")):
        raise click.UsageError("Name both: --from sqlite:///FILE --to postgresql://…")
    from heliograph.app import move_store

    path = Path(source.removeprefix("sqlite:///"))
    moved = asyncio.run(move_store(path, target, lambda one: note(f"  {one.table:<22} {one.rows:>9,} rows, equal")))
    if as_json:
        put([{"table": one.table, "rows": one.rows, "checksum": one.checksum} for one in moved])
    else:
        rows = sum(one.rows for one in moved)
        click.echo(
            f"Moved {rows:,} rows in {len(moved)} tables. Start with HELIOGRAPH_DATABASE_URL set to the new one."
        )
        note("Media files stay where they are: give HELIOGRAPH_MEDIA_DIR a folder that all processes see.")
    return Exit.OK


async def _migrate(settings: Settings) -> int:
    from heliograph.app import open_store
    from heliograph.store.migrate import migrations

    async with open_store(settings):
        return migrations()[-1].version
