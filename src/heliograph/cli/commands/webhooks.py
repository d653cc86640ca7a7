"""`heliograph webhooks`: who is told of what, what came of it, and telling again. Speaks HTTP."""

import time
from typing import Any

import click

from heliograph.cli.client import ApiClient, connect, segment
from heliograph.cli.display.output import clock_time, escape, json_option, mark, note, one_line, put
from heliograph.cli.display.tables import table
from heliograph.cli.exit_codes import Exit, Failed

TEST_WAIT_S = 20.0
LOOK_EACH_S = 0.2
_STATE = {"ok": "green", "failing": "yellow", "disabled": "red", "unsubscribed": "dim"}
_DELIVERY = {"delivered": "green", "pending": "cyan", "dead": "red", "cancelled": "dim"}


@click.group()
def webhooks() -> None:
    """Manage webhooks. A WEBHOOK is its id, or the beginning of one."""


@webhooks.command("list")
@json_option
def list_webhooks(as_json: bool) -> None:
    """All webhooks, with their health."""
    rows = connect().get("/webhooks")
    if as_json:
        return put(rows)
    if not rows:
        note("There are no webhooks yet: heliograph webhooks add URL EVENT…")
    table(
        ("Webhook", "Event", "URL", "Health"),
        [[row["id"][:8], row["integration_name"], escape(row["hook_url"]), _health(row)] for row in rows],
        free={"URL": 200, "Health": 200},
    )


def _health(row: dict[str, Any]) -> str:
    word = str(row.get("health", ""))
    said = "" if word == "ok" else f": {row.get('health_description', '')}"
    return mark(one_line(word + said), _STATE.get(word, ""))


@webhooks.command()
@click.argument("url")
@click.argument("events", nargs=-1, metavar="EVENT…")
@click.option("--name", metavar="NAME", help="What people call it.")
@json_option
def add(url: str, events: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Tell URL of these events; of all that a message fires if none is named."""
    wanted = list(events) or list(MESSAGE_EVENTS)
    body = {"hookUrl": url, "integrationName": wanted} | ({"name": name} if name else {})
    rows = connect().post("/webhooks", body)
    if as_json:
        return put(rows)
    for row in rows:
        click.echo(f"{row['id']}  {row['integration_name']}")
    note(f"Signed with {rows[0]['signing_key']}\nTry it: heliograph webhooks test {rows[0]['id'][:8]}")


MESSAGE_EVENTS = (
    "message.created",
    "message.sent",
    "message.ack.updated",
    "message.delivered",
    "message.read",
    "message.failed",
)


@webhooks.command()
@click.argument("webhook")
def delete(webhook: str) -> None:
    """Tell it nothing more."""
    gateway = connect()
    gateway.call("DELETE", f"/webhooks/{_found(gateway, webhook)}")
    note("Deleted.")


@webhooks.command()
@click.argument("webhook")
def enable(webhook: str) -> None:
    """Start a disabled one again; what waited for it is delivered."""
    gateway = connect()
    gateway.call("PATCH", f"/webhooks/{_found(gateway, webhook)}", body={"isSubscribed": True})
    note("Subscribed.")


@webhooks.command()
@click.argument("webhook")
@json_option
def test(webhook: str, as_json: bool) -> int:
    """Send a sample of its event, and show what came of it."""
    gateway = connect()
    hook_id = _found(gateway, webhook)
    made = gateway.post(f"/webhooks/{hook_id}/test")
    path = f"/webhooks/{hook_id}/deliveries/{segment(made['id'])}"
    limit = time.monotonic() + TEST_WAIT_S
    while not (shown := gateway.get(path))["tries"]:
        if time.monotonic() > limit:
            raise Failed(
                "the test was not tried yet.",
                why="No process with the role `webhooks` has taken it, or its endpoint is left alone for a while.",
                todo=f"Look again: heliograph webhooks deliveries {hook_id[:8]}",
                code=Exit.TIMED_OUT,
            )
        time.sleep(LOOK_EACH_S)
    if as_json:
        put(shown)
    else:
        last = shown["tries"][-1]
        click.echo(f"{last['outcome']}  {last['detail']}  {last['took_ms']} ms")
        if last["answer"]:
            note(one_line(last["answer"], 200))
    return Exit.OK if shown["state"] == "delivered" else Exit.FAILED


@webhooks.command()
@click.argument("webhook")
@click.argument("delivery", required=False)
@click.option("--state", type=click.Choice(["pending", "delivered", "dead", "cancelled"]))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@json_option
def deliveries(webhook: str, delivery: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List its deliveries, newest first; of one DELIVERY every try and the body."""
    gateway = connect()
    hook_id = _found(gateway, webhook)
    if delivery is not None:
        return _one(gateway.get(f"/webhooks/{hook_id}/deliveries/{segment(delivery)}"), as_json=as_json)
    rows = gateway.get(f"/webhooks/{hook_id}/deliveries", state=state, limit=limit)
    if as_json:
        return put(rows)
    table(
        ("Delivery", "Event", "State", "Outcome", "Tries", "Made", "Next try"),
        [
            [
                row["id"],
                row["event"],
                mark(row["state"], _DELIVERY.get(row["state"], "")),
                row["outcome"] or "–",
                str(row["attempts"]),
                clock_time(row["created_at"]),
                clock_time(row["next_try_at"]),
            ]
            for row in rows
        ],
        right=("Tries",),
        spare=("Next try", "Tries", "Made", "Outcome"),
    )


def _one(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        return put(row)
    click.echo(f"{row['id']}  {row['event']}  {row['state']}")
    for each in row["tries"]:
        click.echo(f"  {each['attempt']:>2}  {clock_time(each['at'])}  {each['outcome']}  {each['detail']}")
        if each["answer"]:
            click.echo(f"      {one_line(each['answer'], 100)}")
    if row["body"]:
        click.echo(row["body"])


@webhooks.command()
@click.argument("webhook")
@click.argument("delivery", required=False)
@click.option("--failed-since", metavar="TIME", help="All that were given up since then, such as 2026-04-01T12:00Z.")
@click.option("--from", "since", metavar="TIME", help="Everything from here …")
@click.option("--to", "until", metavar="TIME", help="… to here (now).")
def replay(webhook: str, delivery: str | None, failed_since: str | None, since: str | None, until: str | None) -> None:
    """Tell it again: one DELIVERY, all that failed since a time, or everything in a span."""
    if sum(given is not None for given in (delivery, failed_since, since)) != 1:
        raise click.UsageError("Give a DELIVERY, --failed-since, or --from.")
    gateway = connect()
    hook_id = _found(gateway, webhook)
    if delivery is not None:
        answer = gateway.post(f"/webhooks/{hook_id}/deliveries/{segment(delivery)}/replay")
    else:
        wish = {"failed_since": failed_since, "from": since, "to": until}
        body = {name: value for name, value in wish.items() if value is not None}
        answer = gateway.post(f"/webhooks/{hook_id}/deliveries/replay", body)
    note(f"{answer['replayed']:,} to be told again.")


@webhooks.command()
@click.option("--rotate", is_flag=True, help="Make a new one; the old one stays valid for 24 hours.")
@json_option
def key(rotate: bool, as_json: bool) -> None:
    """The key that deliveries are signed with, one for the organisation."""
    gateway = connect()
    keys = gateway.post("/webhooks/signing-key/rotate") if rotate else gateway.get("/webhooks/signing-key")
    if as_json:
        return put(keys)
    click.echo(keys["signing_key"])
    if keys.get("previous_signing_key"):
        note(f"Until {clock_time(keys['previous_valid_until'])} also {keys['previous_signing_key']}")


def _found(gateway: ApiClient, name: str) -> str:
    """The whole id of a webhook, from its beginning."""
    ids = [str(row["id"]) for row in gateway.get("/webhooks") if str(row["id"]).startswith(name)]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise Failed(f"{len(ids)} webhooks begin with {name}.", todo="Write more of the id.", code=Exit.USAGE)
    raise Failed(f"there is no webhook {name}.", todo="`heliograph webhooks list` shows them.", code=Exit.NOT_FOUND)
