"""`heliograph purge`: cancels what has not been sent. What may have been sent is left alone."""

import sys

import click

from heliograph.cli.exits import Exit, Failed
from heliograph.cli.gateway import connect
from heliograph.cli.output import json_option, phone_option, put


@click.command()
@click.argument("queue_ids", nargs=-1)
@phone_option
@click.option("--broadcast", "broadcast_id", metavar="ID", help="The messages of this broadcast.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def purge(queue_ids: tuple[str, ...], phone: str | None, broadcast_id: str | None, yes: bool, as_json: bool) -> int:
    """Cancel the jobs named by QUEUE_IDS, those of a broadcast, or everything that waits."""
    gateway = connect(phone)
    body: dict[str, object] = {}
    if queue_ids:
        body["queue_ids"] = list(queue_ids)
    if broadcast_id:
        body["broadcast_id"] = broadcast_id
    if not body and not yes:
        counts = gateway.get("/message/queues/health")
        waiting = int(counts.get("waiting", 0))
        if not sys.stdin.isatty():
            raise Failed(
                f"{waiting:,} waiting messages would be cancelled.", todo="Add --yes to do that.", code=Exit.USAGE
            )
        typed = click.prompt(f"This cancels {waiting:,} messages. Type the number to go on", err=True)
        if typed.replace(",", "").strip() != str(waiting):
            raise Failed("nothing was cancelled.", code=Exit.REFUSED)
    answer = gateway.post("/message/queues/purge", body)
    if as_json:
        put(answer)
    else:
        click.echo(f"Cancelled {len(answer.get('queue_ids', [])):,}.")
    return Exit.OK
