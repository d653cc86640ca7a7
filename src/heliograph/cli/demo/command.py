"""The demonstration, from nothing to a read tick in seconds.

Promise: everything it shows happened: a real server, real HTTP, signatures checked; it ends with 0 only if every
message was read and every webhook was signed right. Nothing leaves this machine, and nothing stays on it.
"""

import base64
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from heliograph.cli.client import ApiClient, segment
from heliograph.cli.commands.why import recorder
from heliograph.cli.demo.picture import HEIGHT, WIDTH, sunrise
from heliograph.cli.demo.receiver import Receiver, listening
from heliograph.cli.demo.screen import DemoScreen
from heliograph.cli.demo.server import Server, running_server
from heliograph.cli.display.follow import StatusProgress, follow
from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.explain.status_style import shown_number

PHONE = "919876543210"
READER = "12025550100"  # the test recipient that reads everything
EVENTS = ["message.created", "message.sent", "message.delivered", "message.read", "message.ack.updated"]
_DELIVERIES_A_MESSAGE = 8  # created, sent, delivered, read, and four changes of the ack level
_READ_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    what: str
    body: dict[str, Any]


@click.command()
@click.option("--keep", is_flag=True, help="Leave the server running afterwards, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the server; without it 8080 or a free one.")
def demo(keep: bool, port: int | None) -> int:
    """See it work: a server of its own, four messages through a simulated WhatsApp, signed webhooks. Takes seconds."""
    stage = DemoScreen()
    begun = time.monotonic()
    stage.title("Heliograph", "everything here runs on this machine; nothing reaches WhatsApp")
    with (
        tempfile.TemporaryDirectory(prefix="heliograph-demo-") as folder,
        listening() as receiver,
        running_server(Path(folder), phone=PHONE, port=port) as server,
    ):
        code = _play(stage, server, receiver)
        stage.words()
        _next_steps(stage, server, keep=keep, took_s=time.monotonic() - begun)
        if keep:
            _until_interrupted()
    return code


def _play(stage: DemoScreen, server: Server, receiver: Receiver) -> Exit:
    stage.fact("Server", server.url, f"on an empty SQLite file, ready after {server.started_in_s:.1f} s")
    stage.fact("Phone", shown_number(PHONE), "simulated")
    if login := server.login_url():
        stage.fact("Page", login)
    gateway = server.gateway()
    rows = gateway.post("/webhooks", {"hookUrl": receiver.url, "integrationName": EVENTS})
    receiver.trust(str(rows[0]["signing_key"]))
    stage.fact("Webhooks", receiver.url, f"{len(EVENTS)} events, both signatures checked")
    stage.words()
    answers: list[dict[str, Any]] = []
    for act in _acts(answers):
        answer = gateway.post("/message/send", act.body)
        with stage.climbing(act.name, act.what) as line:
            code = follow(
                gateway,
                answer["unique_id"],
                until="read",
                timeout_s=_READ_WITHIN_S,
                on_change=line.change,
                progress=StatusProgress(),
            )
        if code is not Exit.OK:
            raise Failed(f"the {act.name} was not read.", why=f"heliograph why {answer['queue_id']}", code=code)
        answers.append(gateway.get(f"/message/{segment(answer['unique_id'])}/status"))
    stage.words()
    _show_history(stage, gateway, answers[-1])
    return _show_webhooks(stage, receiver, answers)


def _acts(done: list[dict[str, Any]]) -> Iterator[Scene]:
    """Each is made when the one before has been read, because the last answers the first."""
    to = {"chat_id": READER}
    yield Scene("text", "“Hello from Heliograph”", to | {"message": "Hello from Heliograph"})
    image = {
        "type": "image",
        "mimetype": "image/png",
        "filename": "sunrise.png",
        "filedata": base64.b64encode(sunrise()).decode(),
    }
    yield Scene("image", f"sunrise.png, {WIDTH} × {HEIGHT}", to | {"message": "Good morning", "media": image})
    poll = {"pollName": "Tea or coffee?", "pollOptions": ["Tea", "Coffee"]}
    yield Scene("poll", "“Tea or coffee?”", to | {"poll": poll})
    reply = {"message": "This answers the first one", "reply_to": done[0]["message_id"]}
    yield Scene("reply", "“This answers the first”", to | reply)


def _show_webhooks(stage: DemoScreen, receiver: Receiver, answers: list[dict[str, Any]]) -> Exit:
    wanted = {str(answer["queue_id"]) for answer in answers}
    expected = len(wanted) * _DELIVERIES_A_MESSAGE
    until = time.monotonic() + _READ_WITHIN_S
    while sum(receiver.counts().values()) < expected and time.monotonic() < until:
        time.sleep(0.02)
    stage.words()
    counts = receiver.counts()
    total = sum(counts.values())
    stage.fact(
        "Webhooks",
        f"{total} received, every signature good" if not receiver.bad else f"{receiver.bad} NOT signed right",
    )
    for name in EVENTS:
        stage.words(f"  {'':<10}{name:<22}{counts.get(name, 0):>3}")
    missing = wanted - receiver.read_ids()
    if missing or receiver.bad:
        raise Failed(
            f"{len(missing)} messages were read without their webhook, {receiver.bad} webhooks were not signed right."
        )
    return Exit.OK


def _show_history(stage: DemoScreen, gateway: ApiClient, status: dict[str, Any]) -> None:
    stage.fact("Why?", f"what happened to the reply: heliograph why {status['queue_id']}")
    for line in recorder(gateway.get(f"/message/{segment(status['queue_id'])}/history")):
        line.pad_left(2)
        stage.out.print(line, soft_wrap=True)


def _next_steps(stage: DemoScreen, server: Server, *, keep: bool, took_s: float) -> None:
    stage.words(f"Four messages accepted on disk, sent once and in order, and read. {took_s:.1f} s.", "bold")
    stage.words()
    if keep:
        stage.words("The server goes on until Ctrl-C. Its page is at the link above; in another window:")
        address, key = server.url, server.key
    else:
        stage.words(
            "Now yours: `make serve` (or `heliograph serve`) leaves it running, with a page in the browser and a key."
        )
        stage.words("Then send one yourself:")
        address, key = "http://127.0.0.1:8080", "YOUR_API_KEY"
    stage.words()
    stage.words(f"  curl {address}/v1/message/send \\")
    stage.words(f'    -H "Authorization: Bearer {key}" -H "x-phone: {PHONE}" \\')
    stage.words('    -H "Content-Type: application/json" \\')
    stage.words(f'    -d \'{{"chat_id": "{READER}", "message": "Hello"}}\'')
    stage.words()


def _until_interrupted() -> None:
    while True:
        time.sleep(3600)
