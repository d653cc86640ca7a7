"""Tests of the ASGI application: errors are JSON with the contract's headers, and mounted applications are guarded."""

from pathlib import Path
from typing import Any

import pytest

from heliograph.api.http.dependencies import Mount, Readiness
from heliograph.domain.errors import Unavailable
from tests.api.gateway import Gateway, open_gateway


async def test_a_defect_is_a_500_in_json_and_a_line_in_the_log(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect with 919537851844 in it")

    monkeypatch.setattr(gateway.stores.jobs, "enqueue", broken)
    monkeypatch.setattr(gateway.stores.jobs, "job", broken)
    for answer in (await gateway.send(), await gateway.http.get("/v1/message/x")):
        assert answer.status_code == 500
        assert answer.json() == {
            "code": "UNKNOWN_ERROR", "name": "Unknown Error", "status": 500, "message": "Internal server error",
            "fields": {},
        }  # fmt: skip
        assert answer.headers["x-periskope-trace-id"]
    assert capsys.readouterr().out.count("a request ended in a defect") == 2


async def test_a_store_that_is_away_is_a_503_with_retry_after(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise Unavailable("The database cannot be reached now.", retry_after_s=2.5)

    for verb in ("enqueue", "jobs", "job", "health"):
        monkeypatch.setattr(gateway.stores.jobs, verb, away)
    monkeypatch.setattr(gateway.stores.phones, "create_phone", away)
    answers = [
        await gateway.send(),
        await gateway.http.get("/v1/queue/jobs"),
        await gateway.http.get("/v1/message/x/status"),
        await gateway.http.get("/v1/message/queues/health"),
        await gateway.http.post("/v1/phones/create"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE_ERROR")
        assert answer.headers["retry-after"] == "3"
    monkeypatch.setattr(gateway.stores.accounts, "key_by_digest", away)
    gateway.clock.advance(60)
    assert (await gateway.send()).status_code == 503


async def test_probes_and_metrics_need_no_key(tmp_path: Path) -> None:
    found = Readiness(False, {"database": "away"})

    async def ready() -> Readiness:
        return found

    async with open_gateway(tmp_path, ready=ready) as gateway, gateway.client(None) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "checks": {"database": "away"}})
        found = Readiness(True, {"database": "ok"})
        assert (await http.get("/readyz")).status_code == 200
        metrics = await http.get("/metrics")
        assert metrics.text == "heliograph_up 1\n"
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


async def _echo(scope: Any, _receive: Any, send: Any) -> None:
    body = f"{scope['method']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


async def test_a_mounted_application_sees_its_whole_path_and_may_require_the_key(tmp_path: Path) -> None:
    mounts = (Mount("/simulator", _echo, provider="simulator"), Mount("/socket.io", _echo))
    async with open_gateway(tmp_path, mounts=mounts, dashboard=_echo) as gateway, gateway.client(None) as http:
        assert (await http.get("/simulator/messages")).status_code == 401
        assert (await gateway.http.get("/simulator/messages")).text == "GET /simulator/messages"
        assert (await http.get("/socket.io/")).text == "GET /socket.io/"
        assert (await http.get("/simulators")).text == "GET /simulators"
        assert (await http.get("/")).text == "GET /"
        assert (await http.get("/v1")).status_code == 401
        assert (await gateway.http.get("/v1")).json()["code"] == "NOT_FOUND_ERROR"
        assert (await http.head("/healthz")).status_code == 200
        assert (await http.get("/openapi.json")).json()["openapi"] == "3.1.0"


async def test_the_meter_counts_responses_and_accepted_jobs(tmp_path: Path) -> None:
    from heliograph.ports.meter import NoMetrics

    seen: list[Any] = []

    class Meter(NoMetrics):
        def accepted(self, jobs: int, seconds: float) -> None:
            seen.append(jobs)

        def answered(self, status: int) -> None:
            seen.append(status)

    async with open_gateway(tmp_path, meter=Meter()) as gateway:
        await gateway.send()
        await gateway.http.post(
            "/v1/message/send-sync?sync_timeout=0", json={"chat_id": "919537851844", "message": "Hi"}
        )
        await gateway.http.get("/v1/nothing")
        await gateway.send(chat_id="x")
    assert seen == [1, 200, 1, 200, 404, 422]


async def test_options_names_every_method_of_a_path(gateway: Gateway) -> None:
    for path, allowed in (("/v1/message/queues", "GET, OPTIONS, POST"), ("/v1/phones/update", "OPTIONS, PATCH")):
        answer = await gateway.http.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (204, allowed)
