"""`heliograph broadcast FILE --message TEXT`: one message to everybody in a CSV file.

Promise: the same command run again within a day is the same broadcast: it goes on following it and repeats nobody. What
is wrong with the file is named by row and column, and then nothing is sent.
"""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import click

from heliograph.cli.client import ApiClient, connect, person, segment
from heliograph.cli.commands.send import media_part
from heliograph.cli.display.output import clock_time, escape, json_option, note, one_line, phone_option, put
from heliograph.cli.display.progress import Progress
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed

INTERVAL_S = 0.3
ENDED = ("completed", "cancelled")


class WithDefault(click.Group):
    """A group whose first argument may be a file: then `send` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["send", *args]
        return super().parse_args(ctx, args)


@click.group(cls=WithDefault, subcommand_metavar="FILE --message TEXT | COMMAND …")
def broadcast() -> None:
    """One message to many chats, from a CSV file.

    \b
    heliograph broadcast guests.csv --message "Hello {{name}}" --dry-run
    heliograph broadcast guests.csv --message "Hello {{name}}"

    The file has a heading; one column is named chat_id (or phone, number, to), the others are variables.
    """


@broadcast.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--message", required=True, metavar="TEXT", help="May hold variables: Hello {{name}}.")
@click.option("--media", metavar="FILE|URL", help="A file that goes along.")
@click.option("--delay", type=float, default=1.0, show_default=True, help="Seconds between two messages.")
@click.option("--at", "scheduled_at", metavar="TIME", help="Not before this time (ISO; UTC if no offset is given).")
@click.option("--priority", type=click.Choice(["urgent", "normal", "bulk"]), help="The lane; bulk if not given.")
@click.option("--ttl", "ttl_s", type=float, metavar="SECONDS", help="What was not sent by then expires.")
@click.option("--dry-run", is_flag=True, help="Check it, show three messages and when it would end; send nothing.")
@click.option("--again", is_flag=True, help="Send it although the same command was run before.")
@click.option("--no-wait", is_flag=True, help="Do not follow it.")
@phone_option
@json_option
def send(
    file: Path,
    message: str,
    media: str | None,
    delay: float,
    scheduled_at: str | None,
    priority: str | None,
    ttl_s: float | None,
    dry_run: bool,
    again: bool,
    no_wait: bool,
    phone: str | None,
    as_json: bool,
) -> int:
    """Send TEXT to every row of FILE. This is what `heliograph broadcast FILE …` runs."""
    raw = _read(file)
    body: dict[str, Any] = {"csv": _text(raw, file), "message": message, "delay": delay}
    if media:
        body["media"] = media_part(media, None)
    body |= {"scheduled_at": scheduled_at} if scheduled_at else {}
    body |= {"priority": priority} if priority else {}
    body |= {"ttl_seconds": ttl_s} if ttl_s is not None else {}
    gateway = connect(phone)
    if dry_run:
        answer = gateway.post("/message/broadcast", body | {"dry_run": True})
        put(answer) if as_json else _show_dry_run(answer)
        return Exit.OK
    said = repr(sorted((name, value) for name, value in body.items() if name != "csv")).encode()
    key = hashlib.sha256(raw + said + (str(time.time_ns()).encode() if again else b"")).hexdigest()[:32]
    try:
        answer = gateway.post("/message/broadcast", body | person(), headers={"Idempotency-Key": f"broadcast-{key}"})
    except Failed as problem:
        if "Idempotency-Key" not in problem.fields:
            raise
        raise Failed(
            "somebody else has sent the same within the last 24 hours: nothing was sent.",
            todo="`heliograph broadcast list` shows it; --again sends it once more.",
            code=Exit.CONFLICT,
        ) from None
    name = str(answer["broadcast_id"])
    if no_wait:
        put(answer) if as_json else click.echo(name)
        return Exit.OK
    if not as_json:
        click.echo(name)
        note(f"{answer['total_chats']:,} chats" + _left_out(answer) + ". It goes on without this command.")
    return _follow(gateway, name, as_json)


def _read(file: Path) -> bytes:
    try:
        return file.expanduser().read_bytes()
    except OSError as problem:
        raise Failed(f"{file} cannot be read: {problem.strerror}.", code=Exit.USAGE) from None


def _text(raw: bytes, file: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        row = raw[: problem.start].count(b"\n") + 1
        raise Failed(
            f"{file} is not UTF-8 text (row {row}).", todo="Save it as CSV in UTF-8.", code=Exit.USAGE
        ) from None


def _left_out(answer: dict[str, Any]) -> str:
    repeated = int(answer.get("repeated") or 0)
    return f", {repeated:,} that came twice left out" if repeated else ""


def _show_dry_run(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['total_chats']:,} chats{_left_out(answer)}, {answer.get('new_chats') or 0:,} of them new.")
    for row in answer.get("preview") or []:
        click.echo(f"  {row['chat_id'].removesuffix('@c.us'):>15}  {one_line(row['message'], 80)}")
    ends = answer.get("finishes_at")
    click.echo(f"Would end about {clock_time(ends)}." if ends else "Would never end: the phone may open no new chats.")
    click.echo("Nothing was sent.")


@broadcast.command()
@click.argument("broadcast_id")
@json_option
def watch(broadcast_id: str, as_json: bool) -> int:
    """Follow a broadcast to its end. Ctrl-C leaves it running."""
    return _follow(connect(), broadcast_id, as_json)


def _follow(gateway: ApiClient, name: str, as_json: bool) -> int:
    with Progress(quiet=as_json) as progress:
        while True:
            state = _status(gateway, name)
            progress.show(state)
            if state["state"] in ENDED:
                break
            time.sleep(INTERVAL_S)
    if as_json:
        put(state)
    if state["state"] == "cancelled":
        return Exit.REFUSED
    return Exit.FAILED if state["failed_chats"] else Exit.OK


def _status(gateway: ApiClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.get("/queue/broadcast", broadcast_id=name)
    return found


@broadcast.command("list")
@phone_option
@json_option
def list_(phone: str | None, as_json: bool) -> None:
    """The broadcasts, newest first."""
    found = connect(phone).get("/message/broadcast")["broadcasts"]
    if as_json:
        return put(found)
    if not found and sys.stdout.isatty():
        note('No broadcasts yet. Try: heliograph broadcast guests.csv --message "Hello {{name}}" --dry-run')
    rows = [
        [
            clock_time(row["created_at"]),
            row["state"],
            f"{row['total_chats']:,}",
            f"{row['sent_chats']:,}",
            f"{row['failed_chats']:,}",
            f"{row['pending_chats']:,}",
            escape(one_line(row["message_payload"]["body"])),
            row["broadcast_id"],
        ]
        for row in found
    ]
    table(
        ["Time", "State", "Chats", "Sent", "Failed", "Left", "Message", "broadcast_id"],
        rows,
        right=("Chats", "Sent", "Failed", "Left"),
        free={"Message": 60},
        spare=("Message", "Time", "Left", "Failed", "Sent", "Chats"),
    )


def _act(act: str, broadcast_id: str, as_json: bool) -> dict[str, Any]:
    answer: dict[str, Any] = connect().post(f"/message/broadcast/{segment(broadcast_id)}/{act}", person())
    if as_json:
        put(answer)
    return answer


def _add_action(name: str, about: str, result: str) -> None:
    @broadcast.command(name, help=about)
    @click.argument("broadcast_id")
    @json_option
    def act(broadcast_id: str, as_json: bool) -> None:
        answer = _act(name, broadcast_id, as_json)
        if not as_json:
            click.echo(result.format_map(answer))


_add_action("pause", "Start nothing more of it until it is resumed.", "Paused: {pending_chats:,} not sent yet.")
_add_action("resume", "Let it go on where it stood.", "Goes on: {pending_chats:,} to be sent.")
_add_action("retry", "Send its failed messages again, and only those.", "{retried:,} put back into the queue.")


@broadcast.command()
@click.argument("broadcast_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def cancel(broadcast_id: str, yes: bool, as_json: bool) -> None:
    """Stop it for good: what has not started is not sent."""
    left = _status(connect(), broadcast_id)["pending_chats"]
    if not yes:
        if not sys.stdin.isatty():
            raise Failed(f"{left:,} messages would never be sent.", todo="Add --yes to do that.", code=Exit.USAGE)
        click.confirm(f"{left:,} messages will never be sent. Stop it?", abort=True, err=True)
    answer = _act("cancel", broadcast_id, as_json)
    if not as_json:
        click.echo(f"Stopped: {answer['sent_chats']:,} were sent, {left:,} will not be.")
