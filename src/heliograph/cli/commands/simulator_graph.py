"""`heliograph simulator --graph`: the local Graph server, and what one needs to put a phone on it."""

import asyncio
import json
import os
from pathlib import Path

from heliograph.cli.display.output import note
from heliograph.clock import SystemClock
from heliograph.settings import load_settings
from heliograph.simulator.graph import GraphServer, Rules, serve_graph

WEBHOOK_PATH = "/providers/cloud/webhook"


async def run_graph(
    host: str, port: int, stop: asyncio.Event, *, callback_url: str | None, credentials: Path | None
) -> None:
    """Runs until `stop`. `credentials`: a file to write, fit for `heliograph phones add --credentials`."""
    rules = Rules(callback_url=callback_url or load_settings(os.environ).server_url + WEBHOOK_PATH)

    def started(server: GraphServer) -> None:
        note(f"The local Cloud API listens on {server.base_url}. Nothing here reaches WhatsApp.")
        text = json.dumps(phone_config(server.base_url, rules), indent=2)
        where = "FILE"
        if credentials is not None:
            credentials.write_text(text + "\n")
            where = str(credentials)
        else:
            note(text)
        number = next(iter(rules.phones.values()))
        note(f"  server     HELIOGRAPH_CLOUD_API_URL={server.base_url} heliograph serve")
        note(f"  phone      heliograph phones add --provider cloud --number {number} --credentials {where}")
        note(f"  webhooks   go to {rules.callback_url}")
        note(f"  journal    {server.base_url}/_graph/messages")

    await serve_graph(host, port, clock=SystemClock(), rules=rules, started=started, stop=stop)


def phone_config(base_url: str, rules: Rules) -> dict[str, str]:
    """The settings of the first phone on this server."""
    return {
        "phone_number_id": next(iter(rules.phones)),
        "waba_id": rules.waba_id,
        "token": rules.token,
        "app_secret": rules.app_secret,
        "verify_token": rules.verify_token,
        "base_url": base_url,
    }
