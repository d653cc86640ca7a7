"""`heliograph jobs`: the queue as a table; with `--watch` as it moves."""

import json
import sys
import time
from typing import Any

import click

from heliograph.cli.exits import Exit
from heliograph.cli.gateway import Gateway, connect
from heliograph.cli.ladder import STYLES
from heliograph.cli.output import (
    clock_time,
    console,
    escape,
    json_option,
    mark,
    one_line,
    phone_option,
    put,
    rich_table,
    table,
)
from heliograph.domain.glyphs import listed_status, look, shown_number

COLUMNS = ("Time", "To", "Message", "State", "Try", "Why", "queue_id")
_EVERY_S = 0.5
_RECEIPTS = {"delivered": "Delivered to recipient.", "read": "Read by recipient."}


@click.command()
@phone_option
@click.option("--state", type=click.Choice(["queued", "sending", "sent", "failed", "scheduled"]), help="Only these.")
@click.option("--broadcast", "broadcast_id", metavar="ID", help="Only the messages of this broadcast.")
@click.option("--limit", type=click.IntRange(1, 2000), default=20, show_default=True, help="Newest first, so many.")
@click.option("--watch", is_flag=True, help="Keep showing it; Ctrl-C ends.")
@json_option
def jobs(phone: str | None, state: str | None, broadcast_id: str | None, limit: int, watch: bool, as_json: bool) -> int:
    """The newest messages of the queue, with their states and why.

    With --watch on a terminal the table stays and is drawn anew; elsewhere each change is a line (with --json, a JSON
    object).
    """
    gateway = connect(phone)
    wish = {"limit": limit, "broadcast_id": broadcast_id}
    if watch:
        return _watch(gateway, wish, state, as_json)
    found = _ask(gateway, wish, state)
    if as_json:
        put(found)
        return Exit.OK
    if not found and sys.stdout.isatty():
        click.echo('Nothing here yet. Try: heliograph send 12025550100 "Hello" --wait read')
        return Exit.OK
    table(COLUMNS, [row(job) for job in found], right=("Try",))
    return Exit.OK


def _ask(gateway: Gateway, wish: dict[str, Any], state: str | None) -> list[dict[str, Any]]:
    body = {name: value for name, value in wish.items() if value is not None}
    found: list[dict[str, Any]] = gateway.post("/message/queues", body)
    limit = int(wish["limit"])
    return [job for job in found if state is None or job["status"] == state][:limit]


def job_state(job: dict[str, Any]) -> str:
    stamps = frozenset(job.get("timeline") or ())
    return listed_status(job["status"], stamps=stamps, attempts=int(job.get("attempts", 0)))


def row(job: dict[str, Any]) -> list[str]:
    shown = look(job_state(job))
    return [
        clock_time((job.get("timeline") or {}).get("queued_at")),
        shown_number(job["chat_id"]),
        escape(one_line(summary(job), 32)),
        mark(f"{shown.glyph} {shown.word}", STYLES[shown.tone]),
        str(job.get("attempts", 0)),
        escape(one_line(_reason(job), 60)),
        mark(job["queue_id"], "bright_black"),
    ]


def _reason(job: dict[str, Any]) -> str:
    """The list speaks of what is sent in one fixed sentence; its stamps know more."""
    return _RECEIPTS.get(job_state(job)) or str(job.get("status_description", ""))


def summary(job: dict[str, Any]) -> str:
    """What the message says, in a few words."""
    message = job.get("message") or {}
    kind, body = message.get("type", "chat"), str(message.get("body", ""))
    name = (message.get("media") or {}).get("filename", "")
    if kind == "chat":
        return body
    return " ".join(part for part in (f"({kind.replace('_creation', '')})", name if not body else "", body) if part)


def _watch(gateway: Gateway, wish: dict[str, Any], state: str | None, as_json: bool) -> int:
    if sys.stdout.isatty() and not as_json:
        return _watch_table(gateway, wish, state)
    seen: dict[str, tuple[str, str]] = {}
    while True:
        for job in reversed(_ask(gateway, wish, state)):
            now = (job_state(job), str(job.get("status_description")))
            if seen.get(job["queue_id"]) != now:
                seen[job["queue_id"]] = now
                line = json.dumps(job, ensure_ascii=False) if as_json else f"{job['queue_id']}  {now[0]:<10} {now[1]}"
                click.echo(line)
        sys.stdout.flush()
        time.sleep(_EVERY_S)


def _watch_table(gateway: Gateway, wish: dict[str, Any], state: str | None) -> int:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    def frame() -> Group:
        found = _ask(gateway, wish, state)
        health = gateway.get("/message/queues/health")
        said = "  ".join(f"{health.get(name, 0):,} {name}" for name in ("waiting", "active", "completed", "failed"))
        return Group(Text(said, "bold"), rich_table(COLUMNS, [row(job) for job in found], right=("Try",)))

    with Live(frame(), console=console(), screen=False, auto_refresh=False) as live:
        while True:
            time.sleep(_EVERY_S)
            live.update(frame(), refresh=True)
