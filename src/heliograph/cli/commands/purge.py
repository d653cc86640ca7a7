"""`heliograph purge`: cancels what has not been sent. What may have been sent is left alone."""

import sys

import click

from heliograph.cli.client import ApiClient, connect, person, segment
from heliograph.cli.display.output import json_option, note, phone_option, put
from heliograph.cli.exit_codes import Exit, Failed

_LOOKED_AT = 20  # of the ids that were not cancelled


@click.command()
@click.argument("queue_ids", nargs=-1)
@phone_option
@click.option("--broadcast", "broadcast_id", metavar="ID", help="The messages of this broadcast.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def purge(queue_ids: tuple[str, ...], phone: str | None, broadcast_id: str | None, yes: bool, as_json: bool) -> None:
    """Cancel the jobs named by QUEUE_IDS, those of a broadcast, or everything that waits."""
    gateway = connect(phone)
    body: dict[str, object] = {}
    if queue_ids:
        body["queue_ids"] = list(queue_ids)
    if broadcast_id is not None:  # an empty one is refused by the server, not taken for all
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
    if broadcast_id:
        gateway.get("/queue/broadcast", broadcast_id=broadcast_id)  # one that is not there is told
    answer = gateway.post("/message/queues/purge", body | person())
    if as_json:
        put(answer)
    else:
        click.echo(f"Cancelled {len(answer.get('queue_ids', [])):,}.")
    if len(answer.get("queue_ids", [])) < len(set(queue_ids)):
        _tell_of_others(gateway, [name for name in dict.fromkeys(queue_ids) if name not in answer["queue_ids"]])


def _tell_of_others(gateway: ApiClient, names: list[str]) -> None:
    """Reports the jobs that were not cancelled: started already, or unknown."""
    past = 0
    for name in names[:_LOOKED_AT]:
        past += gateway.get(f"/message/{segment(name)}/status")["timeline"].get("cancelled_at") is None
    if past:
        note("What has started or has ended already is left alone: `heliograph why QUEUE_ID` shows where it is.")
