"""`heliograph phones`: the phones that send. Speaks HTTP."""

import importlib
import importlib.util
from typing import Any

import click

from heliograph.cli.client import connect
from heliograph.cli.display.output import escape, json_option, mark, note, put
from heliograph.cli.display.status_line import STYLES
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.cli.lazy_group import LazyGroup
from heliograph.domain.explain.status_style import phone_look, shown_number

# commands of single providers, taken from their own file where that is part of this version
_MORE = {
    "check": ("heliograph.cli.commands.phones_cloud:check", "Ask the provider whether a phone can send."),
    "credentials": ("heliograph.cli.commands.phones_cloud:credentials", "Replace a Cloud API phone's credentials."),
}


@click.group(cls=LazyGroup, table=_MORE)
def phones() -> None:
    """The phones that send. A PHONE is its number or its phone_id."""


@phones.command("list")
@json_option
def list_phones(as_json: bool) -> int:
    """All phones of the organisation, with their states."""
    found = connect().get("/phones/all")
    if as_json:
        put(found)
        return Exit.OK
    table(
        ("Phone", "Number", "State", "Provider", "Waiting", "phone_id"),
        [_row(one) for one in found],
        right=("Waiting",),
        free={"Phone": 60},
        spare=("Provider", "phone_id", "Phone"),
    )
    return Exit.OK


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


@phones.command("add", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--provider", default="simulator", show_default=True, metavar="NAME", help="simulator, cloud …")
@click.option("--number", metavar="NUMBER", help="Country code and number, digits only. Empty = the server chooses.")
@click.option("--name", metavar="NAME", help="What people call it.")
@json_option
@click.pass_context
def add(ctx: click.Context, provider: str, number: str | None, name: str | None, as_json: bool) -> int:
    """Add a phone. Providers other than the simulator may take options of their own."""
    module = f"heliograph.cli.commands.phones_{provider}"
    if provider != "simulator" and provider.isidentifier() and importlib.util.find_spec(module):
        return _add_elsewhere(module, ctx, number=number, name=name, as_json=as_json)
    if ctx.args:
        raise click.UsageError(f"Unknown: {' '.join(ctx.args)}", ctx)
    gateway = connect()
    body = {"provider": provider} | ({"number": number} if number else {})
    row = gateway.post("/phones/create", body)
    if name:
        named = connect(str(row["phone_id"]))
        row |= named.call("PATCH", "/phones/update", body={"phone_name": name})
    if as_json:
        put(row)
    else:
        click.echo(row["phone_id"])
        ready = phone_state(row) == "connected"
        said = "is ready to send" if ready else "is being connected, and takes messages already"
        note(f"{shown_number(str(row['org_phone']))} {said}: heliograph send TO TEXT --phone {row['phone_id']}")
    return Exit.OK


def _add_elsewhere(module: str, ctx: click.Context, *, number: str | None, name: str | None, as_json: bool) -> int:
    command: click.Command = importlib.import_module(module).add
    given = [("--number", number), ("--name", name)]
    args = [part for flag, value in given if value for part in (flag, value)] + ctx.args
    result = command.main(
        args=args + (["--json"] if as_json else []), prog_name="heliograph phones add", standalone_mode=False
    )
    return int(result) if isinstance(result, int) else Exit.OK


@phones.command()
@click.argument("phone")
@json_option
def show(phone: str, as_json: bool) -> int:
    """One phone."""
    row = connect(phone).get("/phones")
    if as_json:
        put(row)
        return Exit.OK
    shown = phone_look(phone_state(row))
    for label, text in (
        ("number", shown_number(str(row.get("org_phone", "")))),
        ("state", f"{shown.glyph} {shown.word}"),
        ("name", str(row.get("phone_name") or "–")),
        ("phone_id", str(row.get("phone_id", ""))),
        ("since", str(row.get("first_connected_at") or "–")),
    ):
        click.echo(f"{label:<9} {text}")
    return Exit.OK


@phones.command()
@click.argument("phone")
def restart(phone: str) -> int:
    """Drop the phone's connection and make it anew."""
    connect(phone).post("/phones/restart")
    note("Restarting. See: heliograph phones list")
    return Exit.OK


@phones.command()
@click.argument("phone")
@click.option("--name", metavar="NAME", help="What people call it.")
@click.option("--image", metavar="URL", help="Its picture.")
@click.option("--labels", metavar="A,B", help="Its labels; replaces them.")
@json_option
def update(phone: str, name: str | None, image: str | None, labels: str | None, as_json: bool) -> int:
    """Change a phone's name, picture or labels."""
    wish = {"phone_name": name, "phone_image": image, "labels": labels}
    body = {key: value for key, value in wish.items() if value is not None}
    if not body:
        raise click.UsageError("Nothing to change: give --name, --image or --labels.")
    row = connect(phone).call("PATCH", "/phones/update", body=body)
    if as_json:
        put(row)
    return Exit.OK


@phones.command()
@click.argument("phone")
@click.argument("policy", required=False)
@json_option
def pacing(phone: str, policy: str | None, as_json: bool) -> int:
    """How fast a phone sends. POLICY: linked-new, linked-warm, cloud-default, none, or a policy as JSON."""
    gateway = connect(phone)
    if policy is None:
        answer = gateway.get("/phones")
    else:
        answer = gateway.call("PATCH", "/phones/update", body={"pacing": policy})
    put(answer) if as_json else click.echo(answer["pacing"])
    return Exit.OK


@phones.command()
@click.argument("phone")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(phone: str, yes: bool) -> int:
    """Remove a phone. Its waiting messages are cancelled."""
    gateway = connect(phone)
    if not yes:
        import sys

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
    return Exit.OK
