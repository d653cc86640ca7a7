"""The program `heliograph`: finds the command, runs it, and ends with a number and words that tell the truth.

Promise: data goes to standard output, everything else to standard error; an error is what, why and what to do, never a
traceback for something a person can mend.
"""

import os
import sys
from collections.abc import Sequence

import click

from heliograph.cli.exit_codes import MEANINGS, Exit, Failed
from heliograph.cli.lazy_group import LazyGroup
from heliograph.domain.errors import CannotStart, Refusal

COMMANDS = {
    "serve": ("heliograph.cli.commands.serve:serve", "Run the gateway."),
    "demo": ("heliograph.cli.demo:demo", "See it work: four messages through a simulated WhatsApp, in seconds."),
    "send": ("heliograph.cli.commands.send:send", "Send a message, and follow it if you like."),
    "jobs": ("heliograph.cli.commands.jobs:jobs", "The queue: what waits, what went, what failed."),
    "why": ("heliograph.cli.commands.why:why", "Why a message is where it is, and what happened to it."),
    "health": ("heliograph.cli.commands.health:health", "How many jobs wait, run, are done and have failed."),
    "purge": ("heliograph.cli.commands.purge:purge", "Cancel what has not been sent yet."),
    "phones": ("heliograph.cli.commands.phones:phones", "The phones that send: list, add, restart, delete."),
    "broadcast": ("heliograph.cli.commands.broadcast:broadcast", "One message to many chats, from a CSV file."),
    "queue": ("heliograph.cli.commands.queue:queue", "Steer what waits: pause, resume, retry, resolve."),
    "schedule": ("heliograph.cli.commands.schedule:schedule", "Messages for later, once or repeating."),
    "webhooks": ("heliograph.cli.commands.webhooks:webhooks", "Who is told of what, and what came of it."),
    "keys": ("heliograph.cli.commands.keys:keys", "API keys: create, list, revoke. Opens the database."),
    "orgs": ("heliograph.cli.commands.orgs:orgs", "Organisations: add, list. Opens the database."),
    "migrate": ("heliograph.cli.commands.migrate:migrate", "Bring the database to this version's schema."),
    "login-link": ("heliograph.cli.commands.login_link:login_link", "A link that opens the page in a browser, once."),
    "simulator": ("heliograph.cli.commands.simulator:simulator", "Run the simulated WhatsApp network on its own."),
    "doctor": ("heliograph.cli.commands.doctor:doctor", "Check this machine, the settings and the server."),
    "bench": ("heliograph.cli.bench:bench", "Measure this machine."),
    "prove": ("heliograph.cli.prove:prove", "Kill the server under load, and check every promise."),
}

_EXITS = "\b\nExit codes:\n" + "\n".join(f"  {int(code):>3}  {text}" for code, text in MEANINGS.items())


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXITS,
)
@click.version_option(package_name="heliograph", message="heliograph %(version)s")
def cli() -> None:
    """A self-hosted WhatsApp sending gateway: on disk before it says yes, in order, once, and explained.

    \b
    New here?   heliograph demo
    Then        heliograph serve        and in another window
                heliograph send 12025550100 "Hello" --wait read
    """


def run(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    try:
        result = cli.main(args=list(argv) if argv is not None else None, prog_name="heliograph", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except Failed as failed:
        return _say(failed.lines(), failed.code)
    except CannotStart as problem:
        return _say([f"heliograph: {problem}"], Exit.FAILED)
    except Refusal as refusal:  # from commands that open the database
        return _say([f"heliograph: {refusal.message}"], exit_for_status(refusal.status))
    except click.ClickException as problem:
        problem.show()
        return Exit.USAGE if isinstance(problem, click.UsageError) else Exit.FAILED
    except (click.Abort, KeyboardInterrupt):
        return _say(["", "Interrupted."], Exit.INTERRUPTED)
    except BrokenPipeError:  # `heliograph jobs | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK


def exit_for_status(status: int) -> Exit:
    """Translates an HTTP status into an exit code."""
    if status in (400, 413, 415, 422):
        return Exit.USAGE
    return {
        401: Exit.NOT_ALLOWED,
        403: Exit.NOT_ALLOWED,
        404: Exit.NOT_FOUND,
        409: Exit.CONFLICT,
        429: Exit.REFUSED,
    }.get(status, Exit.FAILED)


def _say(lines: list[str], code: Exit) -> Exit:
    for line in lines:
        click.echo(line, err=True)
    return code


def main() -> None:
    sys.exit(run())


if __name__ == "__main__":
    main()
