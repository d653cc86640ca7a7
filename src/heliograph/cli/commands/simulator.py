"""`heliograph simulator`: the simulated WhatsApp network as a process of its own, until Ctrl-C."""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from heliograph.cli.display.output import note
from heliograph.domain.errors import CannotStart
from heliograph.settings import load_settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address: it takes no key.")
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True, help="0 = a free one.")
@click.option(
    "--journal", type=click.Path(dir_okay=False, path_type=Path), help="Its file; HELIOGRAPH_SIMULATOR_JOURNAL."
)
@click.option("--graph", is_flag=True, help="Behave as the official Cloud API's server instead.")
@click.option("--callback-url", metavar="URL", help="With --graph: where webhooks go. This gateway's, if not given.")
@click.option(
    "--credentials",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --graph: write a phone's settings here.",
)
def simulator(
    host: str, port: int, journal: Path | None, graph: bool, callback_url: str | None, credentials: Path | None
) -> None:
    """Run the simulated WhatsApp network on its own, for any number of gateways (HELIOGRAPH_SIMULATOR_URL).

    With --graph it is a local stand-in for the Cloud API: give its address as a phone's base URL.
    """
    asyncio.run(_graph(host, port, callback_url, credentials) if graph else _network(host, port, journal))


async def _network(host: str, port: int, journal: Path | None) -> None:
    from heliograph.clock import SystemClock
    from heliograph.simulator.server import serve

    def started(url: str) -> None:
        note(f"The simulated network listens on {url}. Nothing here reaches WhatsApp.")
        note(f"  gateways   HELIOGRAPH_SIMULATOR_URL={url} heliograph serve")
        note(f"  journal    {url}/simulator/messages   ({place})")

    place = journal or load_settings(os.environ).journal_path
    chance = random.Random(secrets.randbits(64))
    await _until_told(
        lambda stop: serve(host, port, place, clock=SystemClock(), chance=chance, started=started, stop=stop)
    )


async def _graph(host: str, port: int, callback_url: str | None, credentials: Path | None) -> None:
    from heliograph.cli.commands.simulator_graph import run_graph

    try:
        await _until_told(lambda stop: run_graph(host, port, stop, callback_url=callback_url, credentials=credentials))
    except OSError as problem:
        raise CannotStart(f"Cannot listen on {host} port {port}: {problem.strerror or problem}.") from None


async def _until_told(make: Any) -> None:
    """Runs `make(stop)` until SIGTERM or Ctrl-C sets `stop`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running: Coroutine[Any, Any, None] = make(stop)
    await running
