"""Tests of a Cloud API account: required settings, kinds that it cannot send, and secrets that are never shown."""

from typing import Any

import pytest

from heliograph.domain.errors import Invalid
from heliograph.domain.messages.content import Content, Kind, Media
from heliograph.ports.provider import Phone
from heliograph.providers.cloud.account import PUBLIC_BASE_URL, accept_account, parse_account, shown
from heliograph.providers.cloud.capabilities import refusal

GOOD = {
    "phone_number_id": "100000000000001",
    "waba_id": "200000000000001",
    "token": "EAAG-a-token",
    "app_secret": "an-app-secret",
    "verify_token": "a-verify-token",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phone_number_id", ""),
        ("phone_number_id", "+44 7700 900000"),
        ("phone_number_id", 7),
        ("waba_id", "mine"),
        ("token", ""),
        ("token", "with spaces in it"),
        ("token", "x" * 3_000),
        ("app_secret", "short"),
        ("verify_token", "naïve-token"),
        ("api_version", "23"),
        ("surprise", "x"),
        ("media_by", "pigeon"),
        ("base_url", "https://graph.example.org"),
        ("base_url", "http://169.254.169.254"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_and_no_secret_is_shown(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        accept_account(GOOD | {field: value}, ["http://127.0.0.1:9091"])
    assert list(caught.value.fields) == [field]
    if field in ("token", "app_secret", "verify_token") and value:
        assert value not in f"{caught.value.message} {caught.value.fields}"


def test_right_settings_are_completed_and_another_server_needs_permission() -> None:
    stored = accept_account(GOOD, [])
    assert stored["base_url"] == PUBLIC_BASE_URL and stored["api_version"] == "v23.0"
    local = accept_account(GOOD | {"base_url": "http://127.0.0.1:9091/"}, ["http://127.0.0.1:9091"])
    assert parse_account(local).root == "http://127.0.0.1:9091/v23.0"


def test_secrets_are_in_no_repr_and_not_shown() -> None:
    account = parse_account(GOOD)
    phone = Phone(1, "phone-a", "447700900000", "cloud", GOOD)
    texts = f"{account} {account!r} {phone!r} {shown(GOOD)}"
    for name in ("token", "app_secret", "verify_token"):
        assert GOOD[name] not in texts
    assert shown(GOOD) == {
        "phone_number_id": "100000000000001",
        "waba_id": "200000000000001",
        "token": "set",
        "app_secret": "set",
        "verify_token": "set",
    }


PERSON = "447700900123@c.us"


def media(kind: Kind, mimetype: str, size: int = 1_000, body: str = "") -> Content:
    return Content(type=kind, body=body, media=Media(mimetype=mimetype, size=size))


@pytest.mark.parametrize(
    ("content", "chat_id", "field"),
    [
        (Content(type=Kind.TEXT, body="hi"), "120363000000000001@g.us", "chat_id"),
        (Content(type=Kind.TEXT, body="hi"), "12025550100@c.us", "chat_id"),
        (Content(type=Kind.POLL), PERSON, "poll"),
        (Content(type=Kind.TEXT, body="x" * 4_097), PERSON, "message"),
        (media(Kind.IMAGE, "image/gif"), PERSON, "mimetype"),
        (media(Kind.IMAGE, "image/png", 5 * 1024 * 1024 + 1), PERSON, "media"),
        (media(Kind.IMAGE, "image/png", body="x" * 1_025), PERSON, "message"),
        (media(Kind.VOICE, "audio/mpeg"), PERSON, "mimetype"),
        (media(Kind.AUDIO, "audio/mpeg", body="listen"), PERSON, "message"),
        (media(Kind.STICKER, "image/png"), PERSON, "mimetype"),
        (media(Kind.DOCUMENT, "application/pdf", 101 * 1024 * 1024), PERSON, "media"),
        (Content(type=Kind.IMAGE), PERSON, "media"),
    ],
)
def test_what_the_cloud_api_can_never_send_is_refused_with_the_field_and_why(
    content: Content, chat_id: str, field: str
) -> None:
    found = refusal(content, chat_id)
    assert found is not None and found[0] == field and found[1].endswith(".")


@pytest.mark.parametrize(
    "content",
    [
        Content(type=Kind.TEXT, body="x" * 4_096),
        media(Kind.IMAGE, "image/jpg"),
        media(Kind.VOICE, "audio/ogg; codecs=opus"),
        media(Kind.AUDIO, "audio/mp3"),
        media(Kind.VIDEO, "video/mp4", body="look"),
        media(Kind.DOCUMENT, "text/plain", body="read"),
        media(Kind.STICKER, "image/webp"),
        media(Kind.IMAGE, "application/octet-stream"),  # not known yet
        *(Content(type=kind) for kind in (Kind.LOCATION, Kind.CONTACT, Kind.REACTION, Kind.TEMPLATE, Kind.INTERACTIVE)),
    ],
)
def test_supported_content_is_not_refused(content: Content) -> None:
    assert refusal(content, PERSON) is None
