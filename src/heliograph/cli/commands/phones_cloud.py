"""`heliograph phones add --provider cloud`, `phones check`, `phones credentials`. Speaks HTTP.

Promise: a secret is read from a file, from standard input or from a hidden prompt, and is never printed; only a verify
token that was made here is shown, once, because Meta asks for it.
"""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from heliograph.cli.client import connect
from heliograph.cli.display.output import escape, json_option, mark, note, put
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed

_SECRET = {"token": "Access token", "app_secret": "App secret"}
WEBHOOK_PATH = "/providers/cloud/webhook"

_credentials = click.option(
    "--credentials",
    metavar="FILE",
    help="JSON with token, app_secret, verify_token and the other settings; - reads standard input.",
)


@click.command()
@click.option("--number", metavar="NUMBER", required=True, help="The phone's number, country code first, digits only.")
@click.option("--name", metavar="NAME", help="What people call it.")
@click.option("--phone-number-id", metavar="ID", help="From WhatsApp → API setup at Meta.")
@click.option("--waba-id", metavar="ID", help="The WhatsApp Business account, so that `phones check` can look at it.")
@click.option("--base-url", metavar="URL", help="Another Graph server, such as that of `heliograph simulator --graph`.")
@click.option("--api-version", metavar="vN.N", help="Version of the Graph API.")
@_credentials
@json_option
def add(number: str, name: str | None, credentials: str | None, as_json: bool, **plain: str | None) -> int:
    """Add a phone of WhatsApp's Cloud API. What is not given is asked for."""
    config = _read(credentials) | {key: value for key, value in plain.items() if value}
    _ask(config)
    made = "verify_token" not in config
    if made:
        config["verify_token"] = secrets.token_urlsafe(24)
    body = {"provider": "cloud", "number": number, "config": config} | ({"phone_name": name} if name else {})
    gateway = connect()
    row = gateway.post("/phones/create", body)
    if as_json:
        put(row | ({"verify_token": config["verify_token"]} if made else {}))
        return Exit.OK
    click.echo(row["phone_id"])
    note(f"Now give Meta the webhook: callback URL https://YOUR-HOST{WEBHOOK_PATH}, field `messages`,")
    token = f"{config['verify_token']} (shown this once)" if made else "as it stands in your credentials"
    note(f"verify token {token}.")
    note(f"Then look at it all: heliograph phones check {row['phone_id']}")
    return Exit.OK


@click.command()
@click.argument("phone")
@click.option("--phone-number-id", metavar="ID")
@click.option("--waba-id", metavar="ID")
@click.option("--base-url", metavar="URL")
@click.option("--api-version", metavar="vN.N")
@_credentials
def credentials(phone: str, credentials: str | None, **plain: str | None) -> int:
    """Replace a phone's credentials or settings. What is not given stays."""
    config = _read(credentials) | {key: value for key, value in plain.items() if value}
    if not config and sys.stdin.isatty():
        config["token"] = click.prompt("New access token", hide_input=True, err=True)
    if not config:
        raise click.UsageError("Nothing to change: give --credentials FILE or one of the settings.")
    connect(phone).call("PATCH", "/phones/update", body={"config": config})
    note("Stored. The phone's session is opened anew; see: heliograph phones check " + phone)
    return Exit.OK


@click.command()
@click.argument("phone")
@json_option
def check(phone: str, as_json: bool) -> int:
    """Ask the provider whether a phone can send, without sending anything."""
    found = connect().get(f"/phones/{phone}/check")
    if as_json:
        put(found)
    else:
        rows = [
            [
                mark("✓ ok", "green") if one["ok"] else mark("✗ look", "red"),
                str(one["name"]),
                escape(str(one["detail"])),
            ]
            for one in found["checks"]
        ]
        table(("", "What", "Found"), rows, free={"Found": 400})
        for one in found["checks"]:
            if not one["ok"] and one["advice"]:
                note(f"{one['name']}: {one['advice']}")
    return Exit.OK if found["ok"] else Exit.FAILED


def _read(source: str | None) -> dict[str, str]:
    if source is None:
        return {}
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
        given: Any = json.loads(text)
    except OSError as problem:
        raise Failed(f"cannot read {source}: {problem.strerror}.", code=Exit.USAGE) from None
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise Failed(
            f"{'standard input' if source == '-' else source} holds no JSON object of texts.",
            todo='It should look like {"token": "…", "app_secret": "…", "phone_number_id": "…"}.',
            code=Exit.USAGE,
        )
    return dict(given)


def _ask(config: dict[str, str]) -> None:
    """For what is still missing: asks on a terminal, refuses elsewhere."""
    missing = [name for name in ("phone_number_id", *_SECRET) if not config.get(name)]
    if missing and not sys.stdin.isatty():
        raise Failed(
            f"missing: {', '.join(missing)}.",
            todo="Give --phone-number-id, and the secrets by --credentials FILE (JSON; - reads standard input).",
            code=Exit.USAGE,
        )
    for name in missing:
        hidden = name in _SECRET
        config[name] = click.prompt(_SECRET.get(name, "Phone number id"), hide_input=hidden, err=True)
