"""`heliograph login-link`: another link to the page, for whoever holds an API key."""

import click

from heliograph.cli.client import connect
from heliograph.cli.display.output import json_option, note, put


@click.command("login-link")
@json_option
def login_link(as_json: bool) -> None:
    """Print a link that opens the page in a browser: once, within 15 minutes."""
    gateway = connect()
    answer = gateway.call("POST", "/login/link", root="")
    url = gateway.url + str(answer["path"])
    if as_json:
        put({"url": url})
    else:
        click.echo(url)
        note("Good once, within 15 minutes.")
