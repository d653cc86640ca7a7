"""`heliograph queue`: steer what waits. Every act is kept with your name."""

from typing import Any

import click

from heliograph.cli.client import ApiClient, connect, person, segment
from heliograph.cli.display.output import clock_time, escape, json_option, phone_option, put
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.explain.status_style import shown_number


@click.group()
def queue() -> None:
    """Pause and resume phones and chats, try messages again, settle uncertain ones.

    \b
    heliograph queue pause --reason "new SIM card"
    heliograph queue pause --chat 12025550100
    heliograph queue retry QUEUE_ID
    heliograph queue resolve QUEUE_ID arrived
    """


def _by(reason: str | None = None) -> dict[str, str]:
    return person() | ({"reason": reason} if reason else {})


@queue.command()
@click.option("--chat", metavar="CHAT", help="Only this chat of the phone.")
@click.option("--reason", metavar="WORDS", help="Shown to whoever asks why nothing moves.")
@phone_option
@json_option
def pause(chat: str | None, reason: str | None, phone: str | None, as_json: bool) -> None:
    """Start nothing more for a phone, or for one of its chats. What is being sent ends."""
    return _steer("pause", chat, _by(reason), phone, as_json)


@queue.command()
@click.option("--chat", metavar="CHAT", help="Only this chat of the phone.")
@phone_option
@json_option
def resume(chat: str | None, phone: str | None, as_json: bool) -> None:
    """Let a phone, or one of its chats, go on."""
    return _steer("resume", chat, _by(), phone, as_json)


def _steer(act: str, chat: str | None, body: dict[str, str], phone: str | None, as_json: bool) -> None:
    path = f"/chats/{segment(chat)}/{act}" if chat else f"/phones/{act}"
    answer = connect(phone).post(path, body)
    if as_json:
        put(answer)
    else:
        click.echo(f"{answer['what']} is {answer['state']}" + ("." if answer["changed"] else ", as it was before."))


@queue.command()
@phone_option
@json_option
def holds(phone: str | None, as_json: bool) -> None:
    """List the pauses of a phone, with person and time."""
    found = connect(phone).get("/queue/holds")
    if as_json:
        return put(found)
    rows = [[h["what"], escape(h["by"]), clock_time(h["at"]), escape(h["reason"])] for h in found]
    table(["What", "By", "Since", "Why"], rows, free={"Why": 500, "By": 100}, spare=("Since", "By", "Why"))


@queue.command("log")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Newest first, so many.")
@json_option
def show_log(limit: int, as_json: bool) -> None:
    """List who did what to queues, newest first."""
    found = connect().get("/audit", limit=limit)
    if as_json:
        return put(found)
    rows = [
        [
            clock_time(act["at"]),
            escape(act["by"]),
            act["act"],
            shown_number(act["number"] or "–"),
            act["what"],
            escape(act["detail"]),
        ]
        for act in found
    ]
    names = ["Time", "By", "Did", "Phone", "What", "Why"]
    table(names, rows, free={"Why": 500, "By": 100}, spare=("Why", "Time"))


@queue.command()
@click.argument("queue_ids", nargs=-1)
@click.option("--since", metavar="TIME", help="Everything that failed among the messages accepted since (ISO).")
@phone_option
@json_option
def retry(queue_ids: tuple[str, ...], since: str | None, phone: str | None, as_json: bool) -> None:
    """Try waiting messages now, and put failed ones back at the end of their queue."""
    if bool(queue_ids) == bool(since):
        raise click.UsageError("Give QUEUE_IDS or --since TIME.")
    gateway = connect(phone)
    if len(queue_ids) == 1:
        return _one(gateway, queue_ids[0], "retry", {}, as_json)
    body: dict[str, Any] = {"since": since} if since else {"queue_ids": list(queue_ids)}
    answer = gateway.post("/message/queues/retry", body | _by())
    if as_json:
        put(answer)
    else:
        click.echo(f"{answer['retried']:,} go again.")
    if queue_ids and answer["retried"] < len(set(queue_ids)):
        raise Failed(
            f"{len(set(queue_ids)) - answer['retried']:,} could not be tried again.",
            todo="`heliograph why QUEUE_ID` shows where each one is.",
            code=Exit.CONFLICT,
        )


@queue.command()
@click.argument("queue_id")
@json_option
def cancel(queue_id: str, as_json: bool) -> None:
    """Take out a message that has not started."""
    return _one(connect(), queue_id, "cancel", {}, as_json)


@queue.command()
@click.argument("queue_id")
@click.argument("outcome", type=click.Choice(["arrived", "again", "give-up"]))
@json_option
def resolve(queue_id: str, outcome: str, as_json: bool) -> None:
    """Settle an uncertain message: it arrived, send it again, or give it up."""
    return _one(connect(), queue_id, "resolve", {"outcome": outcome.replace("-", "_")}, as_json)


def _one(gateway: ApiClient, name: str, act: str, body: dict[str, Any], as_json: bool) -> None:
    answer = gateway.post(f"/message/{segment(name)}/{act}", body | _by())
    if as_json:
        put(answer)
    else:
        click.echo(f"{answer['status']}: {answer['status_description']}")


@queue.group()
def suppress() -> None:
    """Chats that broadcasts, schedules and bulk messages leave out.

    Who answers STOP is entered by itself; START takes it back. Single messages of priority normal or urgent still go.
    """


@suppress.command("list")
@json_option
def suppress_list(as_json: bool) -> None:
    """The list, by number."""
    found = connect().get("/suppressions")
    if as_json:
        return put(found)
    rows = [[s["chat_id"], escape(s["reason"]), escape(s["by"]), clock_time(s["at"])] for s in found]
    table(["Chat", "Why", "By", "Since"], rows, free={"Why": 500, "By": 100}, spare=("Since", "By"))


@suppress.command("add")
@click.argument("chat")
@click.option("--reason", metavar="WORDS", help="Why.")
@json_option
def suppress_add(chat: str, reason: str | None, as_json: bool) -> None:
    """Leave CHAT out from now on."""
    answer = connect().post("/suppressions", {"chat_id": chat} | _by(reason))
    put(answer) if as_json else click.echo(f"{answer['what']} is left out.")


@suppress.command("remove")
@click.argument("chat")
@json_option
def suppress_remove(chat: str, as_json: bool) -> None:
    """Write to CHAT again."""
    answer = connect().call("DELETE", f"/suppressions/{segment(chat)}", body=_by())
    put(answer) if as_json else click.echo(f"{answer['what']} may be written to again.")
