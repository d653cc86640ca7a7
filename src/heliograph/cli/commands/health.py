"""`heliograph health`: the queue in six numbers."""

import click

from heliograph.cli.client import connect
from heliograph.cli.display.output import json_option, phone_option, put
from heliograph.cli.exit_codes import Exit

_WORDS = {
    "waiting": "wait to be sent",
    "active": "are being sent, or their outcome is unknown",
    "delayed": "wait for their time",
    "paused": "of those that wait do so on a paused phone",
    "completed": "were handed to WhatsApp",
    "failed": "failed, were cancelled or expired",
}


@click.command()
@phone_option
@json_option
def health(phone: str | None, as_json: bool) -> int:
    """Count waiting, running, completed and failed jobs of a phone, or of the whole organisation."""
    counts = connect(phone).get("/message/queues/health")
    if as_json:
        put(counts)
        return Exit.OK
    for name, words in _WORDS.items():
        click.echo(f"{int(counts.get(name, 0)):>12,}  {words}")
    return Exit.OK
