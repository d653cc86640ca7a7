"""`heliograph prove`: options, progress, and the verdict in words."""

import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from heliograph.cli.commands.own_postgres import own_postgres
from heliograph.cli.display.output import json_option, note, put
from heliograph.cli.exit_codes import Failed
from heliograph.cli.prove.plan import ProofPlan, Result
from heliograph.cli.prove.processes import ProofFailed
from heliograph.cli.prove.run import carry_out

MEANING = {
    "I1": "each accepted message ends once",
    "I2": "sent means seen by the network, and the reverse",
    "I3": "one id for each message, shown once",
    "I4": "in order within a chat",
    "I5": "never faster than the policy",
    "I6": "no write of a former owner",
    "I7": "one event for each change, without holes",
    "I8": "nothing sent by a silent phone",
}


@click.command()
@click.option("--kills", default=200, show_default=True, type=click.IntRange(0, 100_000), help="How often to kill it.")
@click.option(
    "--stops", default=0, type=click.IntRange(0, 10_000), help="Senders frozen past their lease (PostgreSQL)."
)
@click.option("--seconds", type=click.FloatRange(1), help="Stop killing after this long.")
@click.option("--seed", type=int, help="Draws the same kills again. Default: a new one, which is printed.")
@click.option(
    "--database-url",
    metavar="URL",
    help="An empty PostgreSQL database; `own` starts one (development set-up). Default: a SQLite file.",
)
@click.option(
    "--senders", default=2, show_default=True, type=click.IntRange(1, 16), help="Sender processes (PostgreSQL)."
)
@click.option("--rate", default=120.0, show_default=True, type=click.FloatRange(1), help="Messages a second.")
@click.option(
    "--control",
    type=click.Choice(["new-id"]),
    help="Break the program on purpose: a new id at each attempt. Succeeds if the check catches it.",
)
@click.option("--inside", is_flag=True, help="The simulated network within the gateway: killed with it (SQLite).")
@click.option("--keep", is_flag=True, help="Keep the folder with database, journal and logs.")
@json_option
def prove(
    kills: int,
    stops: int,
    seconds: float | None,
    seed: int | None,
    database_url: str | None,
    senders: int,
    rate: float,
    inside: bool,
    control: str | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Kill a server under load, and check every promise.

    Starts a server of its own with a simulated network, sends over HTTP, kills the server with SIGKILL at random
    moments and starts it again; then compares what was accepted, what the network saw and what the store holds. Your
    own database is not touched.
    """
    if stops and not database_url:
        raise click.UsageError("--stops needs --database-url: on SQLite one process owns everything.")
    if inside and database_url:
        raise click.UsageError("--inside is for SQLite: several processes share one network.")
    folder = Path(tempfile.mkdtemp(prefix="heliograph-prove-"))
    plan = ProofPlan(
        folder=folder,
        kills=kills,
        stops=stops,
        seconds=seconds,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        database_url=database_url,
        senders=senders,
        rate=rate,
        inside=inside,
        control=control,
    )
    try:
        if database_url == "own":
            with own_postgres(folder) as url:
                result = asyncio.run(_with_progress(replace(plan, database_url=url)))
        else:
            result = asyncio.run(_with_progress(plan))
    except (ProofFailed, BaseExceptionGroup) as problem:
        first = _first(problem)
        if not isinstance(first, ProofFailed):
            raise
        keep = True
        raise Failed("the proof could not be carried out.", why=str(first), todo=f"Its logs: {folder}") from None
    except asyncio.CancelledError:
        raise Failed("the proof was stopped before its end.") from None
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if keep:
        note(f"Kept: {folder}")
    if as_json:
        put(result.as_json())
    else:
        click.echo(verdict(result))
    if not result.good:
        sys.exit(1)


def _first(problem: BaseException) -> BaseException:
    """The first problem inside groups of problems."""
    return _first(problem.exceptions[0]) if isinstance(problem, BaseExceptionGroup) else problem


async def _with_progress(plan: ProofPlan) -> Result:
    """A bar on a terminal, a plain line for each tenth of the way elsewhere; both on standard error."""
    total = plan.kills + plan.stops
    running = asyncio.current_task()
    assert running is not None
    # else its servers would outlive it, the frozen ones too
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    note(f"Proof with seed {plan.seed}: {plan.kills} kills, {plan.stops} stops, {plan.rate:g} messages a second.")
    if sys.stderr.isatty():
        from rich.progress import Progress

        from heliograph.cli.display.output import console

        with Progress(console=console(err=True)) as progress:
            task = progress.add_task("killing", total=total)

            def draw(result: Result) -> None:
                text = f"killing · {result.accepted:,} accepted, {result.repeats:,} repeated"
                progress.update(task, completed=result.kills + result.stops, description=text)

            return await carry_out(plan, draw)
    told = -1

    def write(result: Result) -> None:
        nonlocal told
        tenth = 10 * (result.kills + result.stops) // max(total, 1)
        if tenth != told:
            told = tenth
            note(
                f"{result.kills + result.stops} of {total} after {result.seconds:.0f} s: "
                f"{result.accepted:,} accepted, {result.repeats:,} repeated"
            )

    return await carry_out(plan, write)


def verdict(result: Result) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in result.states.items())
    lines = [
        f"{result.kills} kills, {result.stops} stops, {result.pauses} pauses, {result.seconds:.0f} s, "
        f"seed {result.plan.seed}.",
        f"Accepted {result.accepted:,} messages, after {result.repeats:,} repeated requests. In the store: {states}.",
        f"The network saw {result.arrived:,} messages in {result.transmissions:,} transmissions; "
        f"{result.recovered:,} attempts were cut off by a kill and taken up again.",
        "",
    ]
    for rule, meaning in MEANING.items():
        found = result.broken[rule]
        lines.append(f"  {rule}  {meaning:<48} {'kept' if not found else f'BROKEN {found:,} times'}")
    lines.append("")
    lines += [f"  {violation}" for violation in result.violations[:10]]
    if len(result.violations) > 10:
        lines.append(f"  … and {len(result.violations) - 10:,} more; --json lists 100")
    if result.plan.control:
        caught = "The control was caught: the check sees what it claims to see."
        lines.append(caught if result.good else "THE CONTROL WAS NOT CAUGHT: this proof proves nothing.")
    else:
        lines.append("Every promise was kept." if result.good else "PROMISES WERE BROKEN.")
    return "\n".join(lines)
