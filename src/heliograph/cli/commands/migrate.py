"""`heliograph migrate`: brings the database to this version's schema, or moves a whole installation to PostgreSQL.

Promise: a move is one transaction at its destination, checked by counts and checksums; the source is only read. What is
left behind after a crash is an empty destination.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.cli.display.output import json_option, note, put
from heliograph.settings import Settings, load_settings

if TYPE_CHECKING:
    from heliograph.store.database.copy_to_postgresql import TableCopied


@click.command()
@click.option("--from", "source", metavar="sqlite:///FILE", help="Move this installation; its server must be stopped.")
@click.option("--to", "target", metavar="postgresql://…", help="Where to: a database that holds nothing yet.")
@json_option
def migrate(source: str | None, target: str | None, as_json: bool) -> None:
    """Bring the database that the settings name to this version's schema.

    Each step is one transaction, under a lock: stopped anywhere, it goes on at the next call. `heliograph serve` does
    the same when it starts.

    With --from and --to a whole installation moves from SQLite to PostgreSQL, all or nothing. Media files stay where
    they are: copy their folder, or keep HELIOGRAPH_MEDIA_DIR.
    """
    if (source is None) is not (target is None):
        raise click.UsageError("--from and --to belong together.")
    if source is not None and target is not None:
        return _move(source, target, as_json)
    settings = load_settings(os.environ)
    version = asyncio.run(_migrate(settings))
    if as_json:
        put({"database": settings.database_label, "schema_version": version})
    else:
        click.echo(f"{settings.database_label}: the schema is at version {version}.")


async def _migrate(settings: Settings) -> int:
    from heliograph.app.database import open_stores
    from heliograph.store.database.migrate import migrations

    async with open_stores(settings):
        return migrations()[-1].version


def _move(source: str, target: str, as_json: bool) -> None:
    from heliograph.app.database import move_store

    if not source.startswith("sqlite:///") or not target.startswith(("postgresql://", "postgres://")):
        raise click.UsageError("A move goes from sqlite:///FILE to postgresql://USER@HOST/DATABASE.")

    def told(table: "TableCopied") -> None:
        note(f"  {table.table:<20} {table.rows:>12,} rows  {table.checksum[:16]}")

    path = Path(source.removeprefix("sqlite:///"))
    moved: Sequence[TableCopied] = asyncio.run(move_store(path, target, told))
    rows = sum(table.rows for table in moved)
    if as_json:
        put([{"table": table.table, "rows": table.rows, "checksum": table.checksum} for table in moved])
    else:
        click.echo(f"Moved {rows:,} rows in {len(moved)} tables; counts and checksums agree on both sides.")
        note("Now start the server with HELIOGRAPH_DATABASE_URL set to the new database. The old file was only read.")
