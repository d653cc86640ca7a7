"""Tests of commands for Cloud API phones: secrets come from a file or standard input, and are never printed."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said, Script, error

Run = Callable[..., Said]
SECRETS = {"token": "EAAG-a-secret-token", "app_secret": "an-app-secret"}
MADE = {"phone_id": "phone-abcdefghijklmnop", "org_phone": "447700900000@c.us"}


def test_a_phone_is_added_with_secrets_from_a_file_and_a_verify_token_is_made_and_shown_once(
    server: Script, heliograph: Run, tmp_path: Path
) -> None:
    server.on("POST /v1/phones/create", MADE)
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(SECRETS | {"phone_number_id": "100000000000001"}))
    said = heliograph("phones", "add", "--provider", "cloud", "--number", "447700900000", "--credentials", str(file))
    assert said.code == 0, said.err
    assert said.out.strip() == MADE["phone_id"]
    (asked,) = server.of("/v1/phones/create")
    config = asked.body["config"]
    assert asked.body["provider"] == "cloud" and config["phone_number_id"] == "100000000000001"
    assert (
        f"verify token {config['verify_token']} (shown this once).\n" in said.err
        and "/providers/cloud/webhook" in said.err
    )
    for secret in SECRETS.values():
        assert secret not in said.out + said.err


def test_a_missing_option_is_named_before_any_request(server: Script, heliograph: Run, tmp_path: Path) -> None:
    said = heliograph("phones", "add", "--provider", "cloud", "--number", "447700900000", "--phone-number-id", "12345")
    assert said.code == 2 and "token" in said.err and "--credentials" in said.err
    odd = tmp_path / "odd.json"
    odd.write_text("[1]")
    said = heliograph("phones", "add", "--provider", "cloud", "--number", "447700900000", "--credentials", str(odd))
    assert said.code == 2 and "JSON" in said.err
    gone = heliograph("phones", "add", "--provider", "cloud", "--number", "4477", "--credentials", str(tmp_path / "no"))
    assert gone.code == 2 and "cannot read" in gone.err
    assert server.asked == []


def test_a_check_shows_each_finding_and_ends_with_1_if_one_is_bad(server: Script, heliograph: Run) -> None:
    good = {"name": "access", "ok": True, "detail": "The token may use this phone.", "advice": ""}
    bad = {"name": "webhooks", "ok": False, "detail": "0 app(s)", "advice": "Subscribe the app."}
    server.on("GET /v1/phones/447700900000/check", {"phone_id": "p", "provider": "cloud", "ok": True, "checks": [good]})
    said = heliograph("phones", "check", "447700900000")
    assert said.code == 0 and "✓ ok" in said.out and "The token may" in said.out
    server.on(
        "GET /v1/phones/447700900000/check", {"phone_id": "p", "provider": "cloud", "ok": False, "checks": [good, bad]}
    )
    said = heliograph("phones", "check", "447700900000")
    assert said.code == 1 and "✗ look" in said.out and "Subscribe the app." in said.err
    said = heliograph("phones", "check", "447700900000", "--json")
    assert said.code == 1 and json.loads(said.out)["checks"][1] == bad
    server.on("GET /v1/phones/4499/check", error(404, "NOT_FOUND_ERROR", "There is no such phone"), status=404)
    assert heliograph("phones", "check", "4499").code == 3


def test_credentials_are_replaced_and_not_shown(server: Script, heliograph: Run, tmp_path: Path) -> None:
    server.on("PATCH /v1/phones/update", MADE)
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"token": "EAAG-the-new-one"}))
    said = heliograph(
        "phones", "credentials", "447700900000", "--credentials", str(file), "--waba-id", "200000000000001"
    )
    assert said.code == 0, said.err
    (asked,) = server.of("/v1/phones/update")
    assert asked.body == {"config": {"token": "EAAG-the-new-one", "waba_id": "200000000000001"}}
    assert asked.headers.get("x-phone", asked.headers.get("X-Phone")) == "447700900000"
    assert "EAAG" not in said.out + said.err
    assert heliograph("phones", "credentials", "447700900000").code == 2
