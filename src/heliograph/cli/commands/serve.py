"""`heliograph serve`: the gateway itself, until SIGTERM or Ctrl-C."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from heliograph.settings import load_settings


class _WithSettings(click.Command):
    """Command whose help ends with the table of all settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from heliograph.settings.page import settings_help

        formatter.write_paragraph()
        formatter.write("Settings (environment, .env or heliograph.toml; an option above wins):\n")
        formatter.write(settings_help(formatter.width) + "\n")


@click.command(cls=_WithSettings)
@click.option("--host", metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", metavar="PORT", help="Port to listen on; 0 takes a free one.")
@click.option("--database-url", metavar="URL", help="sqlite:///FILE or postgresql://…")
@click.option("--roles", metavar="LIST", help="What this process does: api,sender,webhooks.")
def serve(host: str | None, port: str | None, database_url: str | None, roles: str | None) -> int:
    """Run the gateway. SIGTERM or Ctrl-C ends it; nothing accepted is lost."""
    flags = {"host": host, "port": port, "database_url": database_url, "roles": roles}
    settings = load_settings(os.environ, flags)
    os.environ.setdefault("UV_USE_IO_URING", "0")  # the kernel thread it would start burns a core
    gc.disable()  # looking for garbage while importing finds none, and takes a tenth of the start
    import asyncio

    import uvloop

    with _without("rich"):  # structlog would draw tracebacks with it: our log does not, and it is a tenth of the start
        from heliograph.app.serve import serve as run_server

    gc.freeze()  # what was imported stays: later collections need not walk it again
    gc.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_server(settings))


@contextmanager
def _without(library: str) -> Iterator[None]:
    """Hides an optional library from imports in the block, unless it is imported already."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # how Python is told that there is none
    try:
        yield
    finally:
        del sys.modules[library]
