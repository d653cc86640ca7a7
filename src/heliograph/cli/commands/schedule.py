"""`heliograph schedule`: messages for later, once or again and again."""

import sys
from typing import Any

import click

from heliograph.cli.client import connect, person, segment
from heliograph.cli.commands.send import media_part
from heliograph.cli.display.output import escape, exact_time, json_option, note, one_line, phone_option, put
from heliograph.cli.display.tables import table
from heliograph.domain.explain.status_style import shown_number

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@click.group()
def schedule() -> None:
    """Messages for later, once or repeating.

    \b
    heliograph schedule add 12025550100 "Standup in 10 minutes" --at 2030-01-07T03:20:00Z \\
        --every week --on monday --on thursday --zone Asia/Kolkata
    heliograph schedule list
    """


@schedule.command()
@click.argument("to")
@click.argument("text", required=False)
@click.option("--at", "scheduled_at", required=True, metavar="TIME", help="The first run (ISO; UTC without an offset).")
@click.option("--media", metavar="FILE|URL", help="A file that goes along.")
@click.option("--every", type=click.Choice(["day", "week", "month"]), help="Repeat it.")
@click.option("--step", type=int, default=1, show_default=True, help="Every so many days, weeks or months.")
@click.option("--on", "days", multiple=True, type=click.Choice(DAYS), help="Only on these weekdays; may be repeated.")
@click.option("--until", metavar="TIME", help="No run after this time.")
@click.option("--zone", metavar="ZONE", help="Whose clock counts, such as Asia/Kolkata; UTC if not given.")
@click.option("--missed", type=click.Choice(["late", "skip"]), help="If it was missed: send one late, or skip it.")
@phone_option
@json_option
def add(
    to: str,
    text: str | None,
    scheduled_at: str,
    media: str | None,
    every: str | None,
    step: int,
    days: tuple[str, ...],
    until: str | None,
    zone: str | None,
    missed: str | None,
    phone: str | None,
    as_json: bool,
) -> None:
    """Send TEXT to TO at a time, and again and again if you like."""
    body: dict[str, Any] = {"chat_id": to, "scheduled_at": scheduled_at}
    if text is not None:
        body["message"] = text
    if media:
        body["media"] = media_part(media, None)
    if every is not None:
        config = {"repeat_interval": every, "repeat_value": step, "timezone": zone, "repeat_ends": until}
        body["is_repeat"] = True
        body["repeat_config"] = config | ({"repeat_days": list(days)} if days else {})
    elif days or until or zone or step != 1:
        raise click.UsageError("--step, --on, --until and --zone belong to --every.")
    if missed:
        body["missed_policy"] = missed
    answer = connect(phone).post("/message/scheduled", body | person())
    if as_json:
        put(answer)
    else:
        click.echo(answer["scheduled_id"])
        note(f"First at {exact_time(answer['next_at'])}, {answer['recurrence']}.")


@schedule.command("list")
@phone_option
@click.option("--limit", type=click.IntRange(1, 2000), default=100, show_default=True, help="Newest first, so many.")
@json_option
def list_(phone: str | None, limit: int, as_json: bool) -> None:
    """List scheduled messages, newest first."""
    found = connect(phone).get("/message/scheduled", limit=limit)["scheduled_messages"]
    if as_json:
        return put(found)
    if not found and sys.stdout.isatty():
        note('Nothing is scheduled. Try: heliograph schedule add 12025550100 "Hello" --at 2030-01-07T09:00:00Z')
    rows = [
        [
            exact_time(row["next_at"]),
            f"{row['status']}, skips next" if row["skip_next"] else row["status"],
            shown_number(row["chat_id"]),
            escape(one_line(row["message_payload"]["message"])),
            row["recurrence"],
            row["scheduled_id"],
        ]
        for row in found
    ]
    table(
        ["Next", "State", "To", "Message", "Repeats", "scheduled_id"],
        rows,
        free={"Message": 60, "Repeats": 80},
        spare=("Message", "Repeats", "State", "To"),
    )


@schedule.command()
@click.argument("scheduled_id")
@json_option
def runs(scheduled_id: str, as_json: bool) -> None:
    """List the results of its runs, newest first."""
    found = connect().get(f"/message/scheduled/{segment(scheduled_id)}/occurrences", limit=100)["occurrences"]
    if as_json:
        return put(found)
    rows = [
        [exact_time(run["due_at"]), run["outcome"], run["sent_message_id"] or "", escape(run["remarks"])]
        for run in found
    ]
    names = ["Due", "Outcome", "queue_id", "Remarks"]
    table(names, rows, free={"Remarks": 200}, spare=("Remarks", "Outcome"))


def _change(scheduled_id: str, body: dict[str, Any], as_json: bool) -> None:
    answer = connect().call("PATCH", f"/message/scheduled/{segment(scheduled_id)}", body=body | person())
    if as_json:
        put(answer)
    else:
        at = exact_time(answer["next_at"])
        what = f"its run at {at} is left out" if answer["skip_next"] else f"next at {at}"
        click.echo(f"{answer['status']}; {what}." if at else f"{answer['status']}.")


@schedule.command()
@click.argument("scheduled_id")
@json_option
def skip(scheduled_id: str, as_json: bool) -> None:
    """Leave out its next run."""
    return _change(scheduled_id, {"skip_next": True}, as_json)


@schedule.command()
@click.argument("scheduled_id")
@json_option
def pause(scheduled_id: str, as_json: bool) -> None:
    """Run it no more until it is resumed."""
    return _change(scheduled_id, {"paused": True}, as_json)


@schedule.command()
@click.argument("scheduled_id")
@json_option
def resume(scheduled_id: str, as_json: bool) -> None:
    """Let it run again. What came due meanwhile is not made up for."""
    return _change(scheduled_id, {"paused": False}, as_json)


@schedule.command()
@click.argument("scheduled_id")
@json_option
def delete(scheduled_id: str, as_json: bool) -> None:
    """End it. What it did stays in the history."""
    answer = connect().call("DELETE", f"/message/scheduled/{segment(scheduled_id)}")
    put(answer) if as_json else click.echo("Deleted.")
