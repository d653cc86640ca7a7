"""`heliograph send TO TEXT`: one message, and on request its way to the reader.

Promise: with `--idempotency-key` the command may be repeated without a second message. Exit 6 and 7 tell the truth:
time was up, or nobody knows whether it went out.
"""

import sys
from pathlib import Path
from typing import Any

import click

from heliograph.cli.client import connect, person
from heliograph.cli.display.follow import StatusProgress, follow
from heliograph.cli.display.output import json_option, note, phone_option, put
from heliograph.cli.exit_codes import Exit, Failed


@click.command()
@click.argument("to")
@click.argument("text", required=False)
@click.option("--media", metavar="FILE|URL", help="A file, or an address the server fetches it from.")
@click.option("--type", "media_type", type=click.Choice(["image", "video", "audio", "document"]), help="If not clear.")
@click.option("--poll", metavar="QUESTION", help="A poll; give its answers with --option.")
@click.option("--option", "options", multiple=True, metavar="ANSWER", help="An answer of the poll; twice or more.")
@click.option("--multiple", is_flag=True, help="People may choose several answers of the poll.")
@click.option("--reply-to", metavar="ID", help="The message this one answers.")
@click.option("--no-preview", is_flag=True, help="No preview of links.")
@phone_option
@click.option("--idempotency-key", metavar="KEY", help="Repeating the same command with it sends nothing twice.")
@click.option("--priority", type=click.Choice(["urgent", "normal", "bulk"]), help="The lane; normal if not given.")
@click.option("--ttl", "ttl_s", type=float, metavar="SECONDS", help="If it was not sent by then it expires.")
@click.option("--wait", type=click.Choice(["sent", "delivered", "read"]), help="Follow it that far.")
@click.option("--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds to wait at most.")
@json_option
def send(
    to: str,
    text: str | None,
    media: str | None,
    media_type: str | None,
    poll: str | None,
    options: tuple[str, ...],
    multiple: bool,
    reply_to: str | None,
    no_preview: bool,
    phone: str | None,
    idempotency_key: str | None,
    priority: str | None,
    ttl_s: float | None,
    wait: str | None,
    timeout_s: float,
    as_json: bool,
) -> int:
    """Send TEXT to TO (a number with country code, or a group id). `-` reads TEXT from standard input.

    Prints the queue_id. With --wait it draws the progress on standard error and ends with 0 when the message got there,
    1 when it failed, 6 when time was up, 7 when nobody knows whether it was sent.

    \b
    heliograph send 12025550100 "Hello" --wait read
    heliograph send 12025550100 "The invoice" --media invoice.pdf
    heliograph send 12025550100 --poll "Lunch?" --option Pizza --option Soup
    """
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    body: dict[str, Any] = {"chat_id": to}
    if text is not None:
        body["message"] = text
    if media:
        body["media"] = media_part(media, media_type)
    if poll is not None:
        body["poll"] = {"pollName": poll, "pollOptions": list(options)}
        if multiple:
            body["poll"]["options"] = {"allowMultipleAnswers": True}
    elif options or multiple:
        raise click.UsageError("--option and --multiple belong to --poll QUESTION.")
    if len(body) == 1:
        raise click.UsageError('Nothing to send: give a TEXT, --media or --poll. Example: heliograph send TO "Hello"')
    if reply_to:
        body["reply_to"] = reply_to
    if no_preview:
        body["options"] = {"hide_url_preview": True}
    if priority:
        body["priority"] = priority
    if ttl_s is not None:
        body["ttl_seconds"] = ttl_s
    body |= person()
    gateway = connect(phone)
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    answer = gateway.post("/message/send", body, headers=headers)
    if not as_json:
        click.echo(answer["queue_id"])
    if wait is None:
        if as_json:
            put(answer)
        elif sys.stderr.isatty():
            note(f"Accepted. What becomes of it: heliograph why {answer['queue_id']}")
        return Exit.OK
    from heliograph.cli.display.status_line import LiveStatus

    progress = StatusProgress()
    with LiveStatus(wait) as line:
        code = follow(
            gateway,
            answer["unique_id"],
            until=wait,
            timeout_s=timeout_s,
            on_change=line.change,
            on_tick=line.tick,
            progress=progress,
        )
    if as_json:
        put({**answer, "status": progress.status})
    if code is not Exit.OK:
        _explain(code, progress, wait, timeout_s, answer["queue_id"])
    return code


def _explain(code: Exit, progress: StatusProgress, wait: str, timeout_s: float, queue_id: str) -> None:
    said = progress.status.get("status_description", "")
    if code is Exit.TIMED_OUT:
        note(f"Not {wait} within {timeout_s:g} s. {said} It goes on without this command: heliograph why {queue_id}")
    elif code is Exit.UNCERTAIN:
        note(f"Uncertain: {said} See heliograph why {queue_id}")
    else:
        note(f"Failed: {said}")


def media_part(source: str, kind: str | None) -> dict[str, Any]:
    """The `media` object of the contract, from a file or an address."""
    import mimetypes

    if not source.startswith(("http://", "https://")):
        path = Path(source).expanduser()
        if not path.is_file():
            raise Failed(f"there is no file {source}.", code=Exit.USAGE)
        name = path.name
    else:
        path, name = None, source.split("?", 1)[0].rsplit("/", 1)[-1]
    mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
    family = mimetype.partition("/")[0]
    part: dict[str, Any] = {
        "type": kind or (family if family in ("image", "video", "audio") else "document"),
        "mimetype": mimetype,
        "filename": name,
    }
    if path is None:
        return part | {"url": source}
    import base64

    return part | {"filedata": base64.b64encode(path.read_bytes()).decode()}
