"""Settings and credentials of a phone's provider: their options, `phones check`, `phones credentials`. Speaks HTTP.

The options come from the providers' specs. Promise: a secret is read from a file, from standard input or from a hidden
prompt, and is never printed; only a text that was generated here is shown, once, because the provider asks for it.
"""

import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from heliograph.app.providers import PROVIDERS
from heliograph.cli.client import connect
from heliograph.cli.display.output import escape, json_option, mark, note, put
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.providers.spec import ConfigField, ProviderSpec


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--credentials` and the options of all providers' settings."""
    fields = {field.name: field for spec in PROVIDERS for field in spec.config if field.metavar}
    command = click.option(
        "--credentials", metavar="FILE", help="JSON with the provider's secrets and settings; - reads standard input."
    )(command)
    for field in reversed(fields.values()):
        command = click.option(field.option, field.name, metavar=field.metavar, help=field.help)(command)
    return command


def read_config(credentials: str | None, settings: dict[str, str | None]) -> dict[str, str]:
    """The texts of the file, with those of the options laid over them."""
    return _read(credentials) | {key: value for key, value in settings.items() if value}


def complete_config(spec: ProviderSpec, config: dict[str, str]) -> dict[str, str]:
    """Asks for what is missing and generates what the provider lets us choose; returns what was generated."""
    foreign = [name for name in config if name not in {field.name for field in spec.config}]
    if foreign and not spec.config:
        raise click.UsageError(f"A phone of {spec.name} takes no {', '.join(foreign)}.")
    _ask([field for field in spec.config if field.prompt], config)
    missing = [field.name for field in spec.config if field.generated and field.name not in config]
    generated = {name: secrets.token_urlsafe(24) for name in missing}
    config |= generated
    return generated


def show_next_steps(spec: ProviderSpec, row: dict[str, Any], config: dict[str, str], generated: dict[str, str]) -> None:
    """Tells what is left to do at the provider."""
    words = {
        field.name: f"{config[field.name]} (shown this once)"
        if field.name in generated
        else "as it stands in your credentials"
        for field in spec.config
        if field.generated
    }
    path = spec.webhook.path if spec.webhook is not None else ""
    for step in spec.next_steps:
        note(step.format(phone_id=row["phone_id"], webhook=path, **words))


@click.command()
@click.argument("phone")
@config_options
def credentials(phone: str, credentials: str | None, **settings: str | None) -> None:
    """Replace a phone's credentials or settings. What is not given stays."""
    config = read_config(credentials, settings)
    if not config and sys.stdin.isatty():
        config["token"] = click.prompt("New access token", hide_input=True, err=True)
    if not config:
        raise click.UsageError("Nothing to change: give --credentials FILE or one of the settings.")
    connect(phone).call("PATCH", "/phones/update", body={"config": config})
    note("Stored. The phone's session is opened anew; see: heliograph phones check " + phone)


@click.command()
@click.argument("phone")
@json_option
def check(phone: str, as_json: bool) -> int:
    """Ask the provider whether a phone can send, without sending anything."""
    answer = connect().get(f"/phones/{phone}/check")
    if as_json:
        put(answer)
    else:
        rows = [
            [
                mark("✓ ok", "green") if one["ok"] else mark("✗ look", "red"),
                str(one["name"]),
                escape(str(one["detail"])),
            ]
            for one in answer["checks"]
        ]
        table(("", "What", "Found"), rows, free={"Found": 400})
        for one in answer["checks"]:
            if not one["ok"] and one["advice"]:
                note(f"{one['name']}: {one['advice']}")
    return Exit.OK if answer["ok"] else Exit.FAILED


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


def _ask(required: list[ConfigField], config: dict[str, str]) -> None:
    """Asks for missing texts on a terminal; refuses elsewhere."""
    missing = [field for field in required if not config.get(field.name)]
    if missing and not sys.stdin.isatty():
        options = "".join(f"{field.option}, and " for field in required if field.metavar)
        raise Failed(
            f"missing: {', '.join(field.name for field in missing)}.",
            todo=f"Give {options}the secrets by --credentials FILE (JSON; - reads standard input).",
            code=Exit.USAGE,
        )
    for field in missing:
        config[field.name] = click.prompt(field.prompt, hide_input=field.secret, err=True)
