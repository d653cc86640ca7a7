"""`heliograph bench`: runs the cases in rounds and prints a table for each."""

import asyncio
import os
import platform
import re
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import click

from heliograph.cli.bench.cases import CASES, SMALL, Figures, Size
from heliograph.cli.commands.own_postgres import own_postgres
from heliograph.cli.display.output import json_option, note, put
from heliograph.cli.exit_codes import Failed
from heliograph.cli.prove.processes import ProofFailed

ONCE = {"backlog"}  # its two sides are a pair within one round
FLEET = {"senders"}  # several processes: only on PostgreSQL


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="The median counts.")
@click.option("--only", default="", metavar="REGEX", help=f"Only these cases, of {', '.join(CASES)}.")
@click.option("--postgres", metavar="URL", help="A server on which databases may be made; `own` starts one (dev only).")
@click.option("--small", is_flag=True, help="A quick look: the numbers mean little.")
@click.option("--data", type=click.Path(file_okay=False, exists=True), help="The disk to measure.")
@json_option
def bench(rounds: int, only: str, postgres: str | None, small: bool, data: str | None, as_json: bool) -> None:
    """Measure this machine: accept, drain, latency, and what a backlog costs.

    Every case has a server and a database of its own, on loopback, and checks that the work was really done. Load
    generator, server and database share the machine: compare only numbers of one run.
    """
    wanted = [name for name in CASES if re.search(only, name)]
    if not wanted:
        raise click.UsageError(f"No case matches {only!r}; there are {', '.join(CASES)}.")
    folder = Path(tempfile.mkdtemp(prefix="heliograph-bench-", dir=data))
    stores: dict[str, str | None] = {"SQLite": None}
    results: dict[str, dict[str, list[Figures]]] = {name: {} for name in wanted}
    stack = ExitStack()
    try:
        if postgres:
            stores["PostgreSQL"] = stack.enter_context(own_postgres(folder)) if postgres == "own" else postgres
        for name in wanted:
            for number in range(1 if name in ONCE else rounds):
                for store, server in stores.items():
                    if name in FLEET and server is None:
                        continue
                    place = folder / f"{name}-{store}-{number}"
                    figures = asyncio.run(CASES[name](place, server, SMALL if small else Size()))
                    results[name].setdefault(store, []).append(figures)
                    first = next(iter(figures.items()))
                    note(f"{name}, {store}, round {number + 1}: {first[1]:,.1f} {first[0]}")
                    shutil.rmtree(place, ignore_errors=True)
    except ProofFailed as problem:
        raise Failed("the measurement could not be carried out.", why=str(problem)) from None
    finally:
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        put({"machine": _machine(), "results": results})
        return
    click.echo(", ".join(f"{name} {value}" for name, value in _machine().items()))
    for name in wanted:
        if not results[name]:
            click.echo(f"\n**{name}**: needs PostgreSQL: --postgres URL, or `own`.")
            continue
        click.echo(f"\n**{name}**: {(CASES[name].__doc__ or '').strip()}\n\n{_table(results[name])}")


def _machine() -> dict[str, Any]:
    load = f"{os.getloadavg()[0]:.1f}"
    return {"cores": os.cpu_count(), "load": load, "Python": platform.python_version(), "on": platform.system()}


def _table(stores: dict[str, list[Figures]]) -> str:
    names = list(next(iter(stores.values()))[0])
    rows = [["", *names], ["---"] * (len(names) + 1)]
    for store, rounds in stores.items():
        figures = [median(one[name] for one in rounds) for name in names]
        rows.append([store, *(f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}" for figure in figures)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
