"""`heliograph why ID`: the sentence that explains a message's state, and everything that happened to it."""

import sys
from datetime import datetime
from typing import Any

import click

from heliograph.cli.client import ApiClient, connect, segment
from heliograph.cli.commands.jobs import job_state, summary
from heliograph.cli.display.output import clock_time, console, json_option, put
from heliograph.cli.display.status_line import STYLES, seconds_text
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.explain.status_style import look, shown_number

_KINDS = {
    "queued": "accepted, on disk",
    "started": "attempt {attempt} started",
    "retry": "attempt {attempt} did not succeed",
    "throttled": "WhatsApp asks to wait",
    "held": "held: the phone cannot send",
    "recovered": "taken up again after the sender stopped",
    "uncertain": "uncertain: it may have been sent",
    "sent": "accepted by WhatsApp",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
    "resolved": "settled",
    "moved": "put back into the queue",
}
_ACKS = {1: "sent", 2: "at WhatsApp's server", 3: "delivered", 4: "read", 5: "played", -1: "refused afterwards"}
_TONES = {
    "queued": "mute",
    "started": "info",
    "retry": "wait",
    "throttled": "wait",
    "held": "hold",
    "recovered": "wait",
    "uncertain": "uncertain",
    "sent": "ok",
    "receipt": "ok",
    "failed": "bad",
}
_GAP_S = 1.0
_MACHINERY = ("api", "engine", "sender", "network", "clock", "provider")


@click.command()
@click.argument("message")
@json_option
def why(message: str, as_json: bool) -> None:
    """Why a message is where it is. MESSAGE: its queue_id, unique_id or message_id."""
    gateway = connect()
    status = gateway.get(f"/message/{segment(message)}/status")
    events = _events(gateway.get(f"/message/{segment(message)}/history"))
    explained = _explained(gateway, message)
    if as_json:
        return put({"status": status, "history": events} | ({"explain": explained} if explained else {}))
    _show(status, events, explained)


def _events(answer: Any) -> list[dict[str, Any]]:
    found = answer if isinstance(answer, list) else answer.get("history") or answer.get("events") or []
    return [event for event in found if isinstance(event, dict)]


def _explained(gateway: ApiClient, message: str) -> dict[str, Any] | None:
    """The server's own explanation; None where it has no such path."""
    try:
        answer = gateway.get(f"/message/{segment(message)}/explain")
    except Failed as problem:
        if problem.code in (Exit.NOT_FOUND, Exit.USAGE):
            return None
        raise
    return answer if isinstance(answer, dict) else None


def _show(status: dict[str, Any], events: list[dict[str, Any]], explained: dict[str, Any] | None) -> None:
    from rich.text import Text

    out = console()
    shown = look(job_state(status))
    head = Text.assemble(
        (f"{shown.glyph} {shown.word}", f"bold {STYLES[shown.tone]}"),
        "  to ",
        (shown_number(status["chat_id"]), "bold"),
        ("  " + summary(status)[:60].replace("\n", " "), "default"),
    )
    out.print(head, soft_wrap=True)
    sentence = (explained or {}).get("sentence") or status.get("status_description", "")
    out.print(Text(str(sentence), "bold"), soft_wrap=True)
    for line in _blockers(explained):
        out.print(Text(line), soft_wrap=True)
    out.print()
    for line in recorder(events):
        out.print(line, soft_wrap=True)
    out.print()
    for name in ("queue_id", "unique_id", "message_id"):
        out.print(Text.assemble((f"{name:<11} ", "bright_black"), str(status.get(name, ""))), soft_wrap=True)
    if not events and sys.stderr.isatty():
        click.echo("No history is kept for it.", err=True)


def _blockers(explained: dict[str, Any] | None) -> list[str]:
    """Lists the blockers, the most decisive first, the advice for a person, and the expected time."""
    lines = []
    for at, one in enumerate((explained or {}).get("blockers") or (), 1):
        ends = clock_time(one.get("until"))
        until = f" (until {ends})" if ends and ends not in one.get("text", "") else ""
        lines.append(f"  {at}. {one.get('text', '')}{until}")
        if one.get("action"):
            lines.append(f"     → {one['action']}")
    if explained and explained.get("eta"):
        lines.append(f"  Goes out about {clock_time(explained['eta'])}.")
    return lines


def recorder(events: list[dict[str, Any]]) -> list[Any]:
    """The flight recorder: time on the left, gaps longer than a second drawn with their length."""
    from rich.text import Text

    lines: list[Any] = []
    first = before = None
    for event in events:
        at = _time(event["at"])
        if first is None or before is None:
            first = before = at
            left = at.astimezone().strftime("%H:%M:%S.") + f"{at.microsecond // 1000:03d}"
        else:
            gap_s = (at - before).total_seconds()
            if gap_s > _GAP_S:
                lines.append(Text(f"{'':>12}  ┆  {seconds_text(gap_s)} later", "bright_black"))
            left = f"+{(at - first).total_seconds():.3f} s"
            before = at
        tone = STYLES.get(_TONES.get(str(event["kind"]), "mute"), "")
        line = Text.assemble((f"{left:>12}", "bright_black"), "  ", ("●", tone), "  ", (_words(event), "default"))
        if event.get("detail"):
            line.append(f": {event['detail']}", "default")
        if small := _small(event, first):
            line.append(f"  {small}", "bright_black")
        lines.append(line)
    return lines


def _words(event: dict[str, Any]) -> str:
    kind = str(event["kind"])
    if kind == "receipt":
        return _ACKS.get(int(event.get("ack", 0)), f"receipt {event.get('ack')}")
    return _KINDS.get(kind, kind.replace("_", " ")).format(attempt=event.get("attempt") or 1)


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def _small(event: dict[str, Any], first: datetime) -> str:
    parts = [str(event["reason"])] if event.get("reason") else []
    if event.get("network_at"):
        network_at = _time(event["network_at"])
        if (_time(event["at"]) - network_at).total_seconds() > _GAP_S:  # less is how a network rounds
            parts.append(f"at the network: {(network_at - first).total_seconds():+.3f} s")
    if event.get("actor") and event["actor"] not in _MACHINERY:
        parts.append(f"by {event['actor']}")
    return " · ".join(parts)
