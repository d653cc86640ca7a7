"""`heliograph phones`: the phones that send. Speaks HTTP."""

import sys
from typing import Any

import click

from heliograph.app.providers import PROVIDERS
from heliograph.cli.client import connect
from heliograph.cli.commands.phone_config import (
    check,
    complete_config,
    config_options,
    credentials,
    read_config,
    show_next_steps,
)
from heliograph.cli.display.output import escape, json_option, mark, note, put
from heliograph.cli.display.status_line import STYLES
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.explain.status_style import phone_look, shown_number

_PROVIDER_HELP = ", ".join(spec.name for spec in PROVIDERS)


@click.group()
def phones() -> None:
    """The phones that send. A PHONE is its number or its phone_id."""


phones.add_command(check)
phones.add_command(credentials)


@phones.command("list")
@json_option
def list_phones(as_json: bool) -> None:
    """All phones of the organisation, with their states."""
    found = connect().get("/phones/all")
    if as_json:
        return put(found)
    table(
        ("Phone", "Number", "State", "Provider", "Waiting", "phone_id"),
        [_row(one) for one in found],
        right=("Waiting",),
        free={"Phone": 60},
        spare=("Provider", "phone_id", "Phone"),
    )


def _row(phone: dict[str, Any]) -> list[str]:
    shown = phone_look(phone_state(phone))
    waiting = sum(
        int(one.get("pending", 0)) for one in (phone.get("queue_status") or {}).values() if isinstance(one, dict)
    )
    return [
        escape(str(phone.get("phone_name") or "–")),
        shown_number(str(phone.get("org_phone", ""))),
        mark(f"{shown.glyph} {shown.word}", STYLES[shown.tone]),
        str(phone.get("provider") or phone.get("library") or ""),
        f"{waiting:,}",
        str(phone.get("phone_id", "")),
    ]


def phone_state(phone: dict[str, Any]) -> str:
    """The finest word the server has for a phone's state."""
    return str(phone.get("phone_state") or phone.get("wa_state", "")).lower()


@phones.command("add")
@click.option("--provider", default=PROVIDERS[0].name, show_default=True, metavar="NAME", help=_PROVIDER_HELP)
@click.option("--number", metavar="NUMBER", help="Country code and number, digits only. Empty = the server chooses.")
@click.option("--name", metavar="NAME", help="What people call it.")
@config_options
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    /,
    provider: str,
    number: str | None,
    name: str | None,
    credentials: str | None,
    as_json: bool,
    **settings: str | None,
) -> None:
    """Add a phone. A provider that needs settings asks for those that are not given."""
    spec = next((spec for spec in PROVIDERS if spec.name == provider), None)
    config = read_config(credentials, settings)
    generated: dict[str, str] = {}
    if spec is not None:
        if spec.config and not number:
            raise click.UsageError("Missing option '--number'.", ctx)
        generated = complete_config(spec, config)
    body = {"provider": provider, "number": number, "phone_name": name, "config": config}
    row = connect().post("/phones/create", {key: value for key, value in body.items() if value})
    if as_json:
        return put(row | generated)
    click.echo(row["phone_id"])
    if spec is not None and spec.next_steps:
        show_next_steps(spec, row, config, generated)
    else:
        ready = phone_state(row) == "connected"
        state = "is ready to send" if ready else "is being connected, and takes messages already"
        note(f"{shown_number(str(row['org_phone']))} {state}: heliograph send TO TEXT --phone {row['phone_id']}")


@phones.command()
@click.argument("phone")
@json_option
def show(phone: str, as_json: bool) -> None:
    """One phone."""
    row = connect(phone).get("/phones")
    if as_json:
        return put(row)
    shown = phone_look(phone_state(row))
    for label, text in (
        ("number", shown_number(str(row.get("org_phone", "")))),
        ("state", f"{shown.glyph} {shown.word}"),
        ("name", str(row.get("phone_name") or "–")),
        ("phone_id", str(row.get("phone_id", ""))),
        ("since", str(row.get("first_connected_at") or "–")),
    ):
        click.echo(f"{label:<9} {text}")


@phones.command()
@click.argument("phone")
def restart(phone: str) -> None:
    """Drop the phone's connection and make it anew."""
    connect(phone).post("/phones/restart")
    note("Restarting. See: heliograph phones list")


@phones.command()
@click.argument("phone")
@click.option("--name", metavar="NAME", help="What people call it.")
@click.option("--image", metavar="URL", help="Its picture.")
@click.option("--labels", metavar="A,B", help="Its labels; replaces them.")
@json_option
def update(phone: str, name: str | None, image: str | None, labels: str | None, as_json: bool) -> None:
    """Change a phone's name, picture or labels."""
    wish = {"phone_name": name, "phone_image": image, "labels": labels}
    body = {key: value for key, value in wish.items() if value is not None}
    if not body:
        raise click.UsageError("Nothing to change: give --name, --image or --labels.")
    row = connect(phone).call("PATCH", "/phones/update", body=body)
    if as_json:
        put(row)


@phones.command()
@click.argument("phone")
@click.argument("policy", required=False)
@json_option
def pacing(phone: str, policy: str | None, as_json: bool) -> None:
    """Show or set how fast a phone sends. POLICY: linked-new, linked-warm, cloud-default, none, or a policy as JSON."""
    gateway = connect(phone)
    if policy is None:
        answer = gateway.get("/phones")
    else:
        answer = gateway.call("PATCH", "/phones/update", body={"pacing": policy})
    put(answer) if as_json else click.echo(answer["pacing"])


@phones.command()
@click.argument("phone")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(phone: str, yes: bool) -> None:
    """Remove a phone. Its waiting messages are cancelled."""
    gateway = connect(phone)
    if not yes:
        counts = gateway.get("/message/queues/health")
        waiting = int(counts.get("waiting", 0)) + int(counts.get("delayed", 0))
        if not sys.stdin.isatty():
            raise Failed(
                f"deleting the phone would cancel {waiting:,} waiting messages.",
                todo="Add --yes to do that.",
                code=Exit.USAGE,
            )
        click.confirm(f"Delete the phone and cancel its {waiting:,} waiting messages?", abort=True, err=True)
    gateway.call("DELETE", "/phones/delete")
    note("Deleted.")
