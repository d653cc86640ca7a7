"""The recipe "a provider is one folder and one line", with a toy that is added by it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import structlog

from heliograph.app.gateway import open_gateway
from heliograph.app.providers import PROVIDERS
from heliograph.clock import SystemClock
from heliograph.settings import load_settings
from tests.cli.conftest import Script, server
from tests.providers import toy

__all__ = ["server"]

KEY = "hg_live_toy_key_0123456789abcdef"
NUMBER = "12025550199"
TEST_RECIPIENT = "12025550110"
ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from heliograph.app.providers import PROVIDERS
from tests.providers.toy import SPEC
PROVIDERS.append(SPEC)
from heliograph.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def toy_listed() -> Iterator[None]:
    toy.sent.clear()
    PROVIDERS.append(toy.SPEC)
    yield
    PROVIDERS.remove(toy.SPEC)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(
        {
            "HELIOGRAPH_API_KEY": KEY,
            "HELIOGRAPH_SIMULATOR_PHONE": "",
            "HELIOGRAPH_DATABASE_URL": f"sqlite:///{folder}/toy.db",
        },
        folder=folder,
    )
    async with open_gateway(settings, SystemClock(), structlog.get_logger("test")) as running:
        services = [asyncio.create_task(work) for work in running.services.values()]
        transport = httpx.ASGITransport(running.api)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {KEY}"}
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as http:
                yield http
        finally:
            if running.sender is not None:
                await running.sender.stop()
            for service in services:
                service.cancel()
            await asyncio.gather(*services, return_exceptions=True)


async def until_status(http: httpx.AsyncClient, queue_id: str, status: str) -> None:
    async with asyncio.timeout(20):
        while (await http.get(f"/v1/message/{queue_id}/status")).json()["status"] != status:
            await asyncio.sleep(0.02)


async def test_a_listed_provider_sends_a_message_and_its_webhook_settles_it(toy_listed: None, tmp_path: Path) -> None:
    async with gateway(tmp_path) as http:
        refused = await http.post("/v1/phones/create", json={"provider": "toy", "number": NUMBER, "config": {}})
        assert refused.status_code == 422 and "toy_key" in refused.text
        body = {"provider": "toy", "number": NUMBER, "config": {"toy_key": "wind-me-up"}}
        phone = (await http.post("/v1/phones/create", json=body)).json()
        assert phone["pacing"] == toy.SPEC.preset
        check = (await http.get(f"/v1/phones/{NUMBER}/check")).json()
        assert check["checks"][0]["detail"] == "The key has 10 letters."
        http.headers["x-phone"] = NUMBER
        answer = await http.post("/v1/message/send", json={"chat_id": TEST_RECIPIENT, "message": "Hi"})
        assert answer.status_code == 422 and "test recipient" in answer.text
        answer = (await http.post("/v1/message/send", json={"chat_id": "919537851844", "message": "Hi"})).json()
        await until_status(http, answer["queue_id"], "sent")
        assert [request.content.body for request in toy.sent] == ["Hi"]
        assert toy.sent[0].phone.config["toy_key"] == "wind-me-up"
        raw = json.dumps({"unique_id": answer["unique_id"], "ack": 3}).encode()
        assert (await http.post(toy.PATH, content=raw, headers={"X-Toy-Signature": "forged"})).status_code == 403
        signature = toy.signature_of("wind-me-up", raw)
        assert (await http.post(toy.PATH, content=raw, headers={"X-Toy-Signature": signature})).status_code == 200
        await until_status(http, answer["queue_id"], "delivered")


async def test_a_provider_that_is_not_listed_is_unknown(tmp_path: Path) -> None:
    async with gateway(tmp_path) as http:
        answer = await http.post("/v1/phones/create", json={"provider": "toy", "number": NUMBER})
        assert answer.status_code == 422 and "simulator, cloud" in answer.text
        assert (await http.post(toy.PATH, content=b"{}")).status_code == 404


@pytest.fixture
def program(server: Script, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    environment = clean | {"HELIOGRAPH_URL": server.url, "HELIOGRAPH_API_KEY": KEY, "PYTHONPATH": str(ROOT)}

    def call(*args: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", PROGRAM, *args]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)

    return call


def test_the_command_line_asks_for_what_the_spec_names(
    server: Script, program: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    assert "--toy-shelf SHELF" in program("phones", "add", "--help").stdout
    missing = program("phones", "add", "--provider", "toy", "--number", NUMBER)
    assert missing.returncode == 2 and "missing: toy_key." in missing.stderr
    assert server.asked == []
    server.on("POST /v1/phones/create", {"phone_id": "phone-toy", "org_phone": f"{NUMBER}@c.us"})
    (tmp_path / "toy.json").write_text('{"toy_key": "wind-me-up"}')
    given = ("--credentials", "toy.json", "--toy-shelf", "upper")
    added = program("phones", "add", "--provider", "toy", "--number", NUMBER, *given)
    assert added.returncode == 0, added.stderr
    assert server.of("/v1/phones/create")[0].body == {
        "provider": "toy", "number": NUMBER, "config": {"toy_key": "wind-me-up", "toy_shelf": "upper"},
    }  # fmt: skip
    assert f"https://YOUR-HOST{toy.PATH}." in added.stderr and "wind-me-up" not in added.stderr


def test_listing_the_providers_loads_no_network_library() -> None:
    code = (
        "import sys, heliograph.app.providers\n"
        "print([m for m in ('aiohttp', 'asyncio', 'litestar', 'msgspec', 'structlog') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
