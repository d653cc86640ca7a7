"""`heliograph jobs`: the queue as a table; with `--watch` as it moves."""

import json
import sys
import time
from typing import Any

import click

from heliograph.cli.client import ApiClient, connect, segment
from heliograph.cli.display.output import clock_time, console, escape, json_option, mark, one_line, phone_option, put
from heliograph.cli.display.status_line import STYLES
from heliograph.cli.display.tables import GAP, rich_table, table
from heliograph.domain.explain.status_style import listed_status, look, shown_number

_WIDTHS = {"Time": 12, "To": 20, "State": 12, "Try": 3, "queue_id": 36, "unique_id": 22}
_SHORT_TO = 15  # a number, mostly
_ENOUGH = {"Message": 40, "Time": 24, "Try": 16, "Why": 14}  # left for words, or the column makes room for them
_EVERY_S = 0.5
_RECEIPTS = {"delivered": "Delivered to recipient.", "read": "Read by recipient."}


@click.command()
@phone_option
@click.option("--state", type=click.Choice(["queued", "sending", "sent", "failed", "scheduled"]), help="Only these.")
@click.option("--broadcast", "broadcast_id", metavar="ID", help="Only the messages of this broadcast.")
@click.option("--limit", type=click.IntRange(1, 2000), default=20, show_default=True, help="Newest first, so many.")
@click.option("--watch", is_flag=True, help="Keep showing it; Ctrl-C ends.")
@json_option
def jobs(
    phone: str | None, state: str | None, broadcast_id: str | None, limit: int, watch: bool, as_json: bool
) -> None:
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
        return put(found)
    if not found and sys.stdout.isatty():
        return click.echo('Nothing here yet. Try: heliograph send 12025550100 "Hello" --wait read')
    if sys.stdout.isatty():
        form = Form(console().width)
        console().print(form.table(_refined(gateway, found)))
        return
    table(_COLUMNS, [list(_cells(job).values()) for job in _refined(gateway, found)], right=("Try",))


def _ask(gateway: ApiClient, wish: dict[str, Any], state: str | None) -> list[dict[str, Any]]:
    body = {name: value for name, value in wish.items() if value is not None}
    found: list[dict[str, Any]] = gateway.post("/message/queues", body)
    limit = int(wish["limit"])
    return [job for job in found if state is None or job["status"] == state][:limit]


def job_state(job: dict[str, Any]) -> str:
    stamps = frozenset(job.get("timeline") or ())
    return listed_status(job["status"], stamps=stamps, attempts=int(job.get("attempts", 0)))


_COLUMNS = ("Time", "To", "Message", "State", "Try", "Why", "queue_id")


def _cells(job: dict[str, Any]) -> dict[str, str]:
    shown = look(job_state(job))
    return {
        "Time": clock_time((job.get("timeline") or {}).get("queued_at")),
        "To": shown_number(job["chat_id"]),
        "Message": escape(one_line(summary(job))),
        "State": mark(f"{shown.glyph} {shown.word}", STYLES[shown.tone]),
        "Try": str(job.get("attempts", 0)),
        "Why": escape(one_line(_reason(job))),
        "queue_id": job["queue_id"],
    }


class Form:
    """The table's columns for a terminal of `width`: each message is a line.

    Where it is narrow the short unique_id takes the queue_id's place (commands take either); then the message goes, the
    time, the attempts and the reason, and at last a long number is cut: the state and the id are whole.
    """

    def __init__(self, width: int) -> None:
        self._id = "queue_id" if width >= 160 else "unique_id"
        self.columns = [*_COLUMNS[:-1], self._id]
        for name, enough in _ENOUGH.items():
            if self._columns_left(width) < enough:
                self.columns.remove(name)
        left = self._columns_left(width)
        self.widths = {name: _WIDTHS.get(name, 0) for name in self.columns}
        if "Why" in self.columns:
            message = left * 2 // 5 if "Message" in self.columns else 0
            self.widths |= {"Message": message} if message else {}
            self.widths["Why"] = left - message
        else:
            self.widths["To"] = max(min(_WIDTHS["To"] + left, _WIDTHS["To"]), _SHORT_TO)

    def _columns_left(self, width: int) -> int:
        """For the words of messages and reasons."""
        return width - sum(_WIDTHS.get(name, 0) for name in self.columns) - GAP * (len(self.columns) - 1)

    def row(self, job: dict[str, Any]) -> list[str]:
        cells = _cells(job) | {self._id: mark(job[self._id], "bright_black")}
        return [cells[name] for name in self.columns]

    def table(self, found: list[dict[str, Any]]) -> Any:
        cut = {name: width for name, width in self.widths.items() if name in ("To", "Message", "Why")}
        return rich_table(self.widths, [self.row(job) for job in found], right=("Try",), free=cut)


def _refined(gateway: ApiClient, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list has one word for what is on its way and for what nobody knows; the status path tells them apart."""
    return [
        job | {"status": gateway.get(f"/message/{segment(job['unique_id'])}/status")["status"]}
        if job["status"] == "sending"
        else job
        for job in found
    ]


def _reason(job: dict[str, Any]) -> str:
    """The list speaks of what is sent in one fixed sentence; its stamps know more."""
    return _RECEIPTS.get(job_state(job)) or str(job.get("status_description", ""))


def summary(job: dict[str, Any]) -> str:
    """Shortens the message to a few words."""
    message = job.get("message") or {}
    kind, body = message.get("type", "chat"), str(message.get("body", ""))
    name = (message.get("media") or {}).get("filename", "")
    if kind == "chat":
        return body
    return " ".join(part for part in (f"({kind.replace('_creation', '')})", name if not body else "", body) if part)


def _watch(gateway: ApiClient, wish: dict[str, Any], state: str | None, as_json: bool) -> None:
    if sys.stdout.isatty() and not as_json:
        return _watch_table(gateway, wish, state)
    seen: dict[str, tuple[str, str]] = {}
    while True:
        found = _ask(gateway, wish, state)
        for job in reversed(found if as_json else _refined(gateway, found)):
            now = (job_state(job), _reason(job))
            if seen.get(job["queue_id"]) != now:
                seen[job["queue_id"]] = now
                line = f"{job['queue_id']}  {look(now[0]).word:<10} {now[1]}"
                click.echo(json.dumps(job, ensure_ascii=False) if as_json else line)
        sys.stdout.flush()
        time.sleep(_EVERY_S)


def _watch_table(gateway: ApiClient, wish: dict[str, Any], state: str | None) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    def frame() -> Group:
        found = _ask(gateway, wish, state)
        form = Form(console().width)
        health = gateway.get("/message/queues/health")
        said = "  ".join(f"{health.get(name, 0):,} {name}" for name in ("waiting", "active", "completed", "failed"))
        return Group(Text(said, "bold"), form.table(_refined(gateway, found)))

    with Live(frame(), console=console(), screen=False, auto_refresh=False) as live:
        while True:
            time.sleep(_EVERY_S)
            live.update(frame(), refresh=True)
