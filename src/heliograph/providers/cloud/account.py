"""Credentials and settings that a phone needs for the Cloud API: checked when they are given, and read at each opening.

Promise: no secret appears in a repr, in `shown`, or in an error text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heliograph.domain.errors import Invalid, invalid

PUBLIC_BASE_URL = "https://graph.facebook.com"
DEFAULT_VERSION = "v23.0"

_SECRETS = ("token", "app_secret", "verify_token")
_KNOWN = frozenset({"phone_number_id", "waba_id", "base_url", "api_version", "media_by", *_SECRETS})
_DIGITS = re.compile(r"[0-9]{5,32}", re.ASCII)
_VERSION = re.compile(r"v[0-9]{1,2}\.[0-9]{1,2}", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]{8,2048}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """`phone_number_id` and `waba_id` are Meta's ids (not the number). `app_secret` signs the webhooks.

    `media_by` link: a file that was given by URL is named to WhatsApp by it, instead of being uploaded.
    """

    phone_number_id: str
    token: str = field(repr=False)
    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    waba_id: str = ""
    base_url: str = PUBLIC_BASE_URL
    api_version: str = DEFAULT_VERSION
    media_by: str = "upload"

    @property
    def root(self) -> str:
        return f"{self.base_url}/{self.api_version}"


def parse_account(config: Mapping[str, Any]) -> Account:
    """Raises Invalid naming the first field that is wrong."""
    if unknown := sorted(set(config) - _KNOWN):
        raise invalid(
            unknown[0], f"{unknown[0]} is not a setting of a Cloud API phone; known are {', '.join(sorted(_KNOWN))}"
        )
    version = _text(config, "api_version") or DEFAULT_VERSION
    if not _VERSION.fullmatch(version):
        raise invalid("api_version", "api_version must look like v23.0", version)
    media_by = _text(config, "media_by") or "upload"
    if media_by not in ("upload", "link"):
        raise invalid("media_by", "media_by must be upload or link", media_by)
    return Account(
        phone_number_id=_digits(config, "phone_number_id", required=True),
        waba_id=_digits(config, "waba_id", required=False),
        token=_secret(config, "token"),
        app_secret=_secret(config, "app_secret"),
        verify_token=_secret(config, "verify_token"),
        base_url=(_text(config, "base_url") or PUBLIC_BASE_URL).rstrip("/"),
        api_version=version,
        media_by=media_by,
    )


def accept_account(config: Mapping[str, Any], allowed_base_urls: Sequence[str]) -> dict[str, Any]:
    """The configuration to store. A base URL is the operator's to allow: a caller must not point us at other hosts."""
    account = parse_account(config)
    if account.base_url not in {url.rstrip("/") for url in (PUBLIC_BASE_URL, *allowed_base_urls)}:
        raise invalid(
            "base_url",
            "base_url is not allowed here: leave it out, or let the operator set HELIOGRAPH_CLOUD_API_URL to it",
            account.base_url,
        )
    return {name: getattr(account, name) for name in sorted(_KNOWN)}


def shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without its secrets: only whether each is set."""
    return {name: ("set" if value else "not set") if name in _SECRETS else value for name, value in config.items()}


def _text(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name) or ""
    if not isinstance(value, str):
        raise invalid(name, f"{name} must be a string")
    return value.strip()


def _digits(config: Mapping[str, Any], name: str, *, required: bool) -> str:
    value = _text(config, name)
    if not value and not required:
        return ""
    if not _DIGITS.fullmatch(value):
        raise invalid(name, f"{name} must be the number that Meta shows under WhatsApp → API setup, digits only", value)
    return value


def _secret(config: Mapping[str, Any], name: str) -> str:
    value = _text(config, name)
    if not value:
        raise Invalid(f"{name} is missing", fields={name: {"message": f"{name} is missing", "value": None}})
    if not _PRINTABLE.fullmatch(value):
        text = f"{name} must be 8 to 2,048 printable characters without spaces"
        raise Invalid(text, fields={name: {"message": text, "value": None}})
    return value
