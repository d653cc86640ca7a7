"""`heliograph health`: the queue in six numbers."""

import click

from heliograph.cli.client import connect
from heliograph.cli.display.output import json_option, phone_option, put

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
def health(phone: str | None, as_json: bool) -> None:
    """Count waiting, running, completed and failed jobs of a phone, or of the whole organisation."""
    counts = connect(phone).get("/message/queues/health")
    if as_json:
        return put(counts)
    for name, words in _WORDS.items():
        click.echo(f"{int(counts.get(name, 0)):>12,}  {words}")
