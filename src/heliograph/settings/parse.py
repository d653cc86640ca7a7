"""Parsers of setting values. A ValueError's text completes the sentence "NAME must be …"."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

Parser = Callable[[str], Any]

_BYTES = re.compile(r"^([0-9]+) *(|k|kb|kib|m|mb|mib|g|gb|gib)$", re.IGNORECASE | re.ASCII)
_ON = frozenset({"on", "true", "yes", "1"})
_OFF = frozenset({"off", "false", "no", "0"})
_HTTP = re.compile(r"^https?://[^/\s?#]+(/[^\s?#]*)?$")


def text(raw: str) -> str:
    return raw


def whole(low: int, high: int) -> Parser:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", raw, re.ASCII) or not low <= int(raw) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(raw)

    return parse


def number(low: float, high: float) -> Parser:
    def parse(raw: str) -> float:
        if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,6})?", raw, re.ASCII) or not low <= float(raw) <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(raw)

    return parse


def flag(raw: str) -> bool:
    if raw.lower() in _ON | _OFF:
        return raw.lower() in _ON
    raise ValueError("on or off")


def choice(*words: str) -> Parser:
    def parse(raw: str) -> str:
        if raw.lower() not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return raw.lower()

    return parse


def roles(raw: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in raw.split(",") if part.strip())
    known = {"api", "sender", "webhooks"}
    if not found or found - known:
        raise ValueError("a comma list of api, sender, webhooks")
    return found


def database_url(raw: str) -> str:
    if raw.startswith("sqlite:///") and len(raw) > len("sqlite:///"):
        return raw
    if raw.startswith(("postgresql://", "postgres://")):
        return raw
    raise ValueError("sqlite:///FILE or postgresql://USER@HOST/DATABASE")


def postgres_url(raw: str) -> str:
    if raw.startswith(("postgresql://", "postgres://")):
        return raw
    raise ValueError("postgresql://USER@HOST/DATABASE")


def http_url(raw: str) -> str:
    if not _HTTP.match(raw):
        raise ValueError("an address such as http://127.0.0.1:9090")
    return raw.rstrip("/")


def phone_number(raw: str) -> str:
    digits = raw.removeprefix("+")
    if digits and not re.fullmatch(r"[1-9][0-9]{6,14}", digits, re.ASCII):
        raise ValueError("a country code and number, digits only, such as 919876543210 (empty = none)")
    return digits


def api_key(raw: str) -> str:
    if len(raw) < 16 or any(not "!" <= c <= "~" for c in raw):
        raise ValueError("16 or more printable characters without spaces")
    return raw


def secret(raw: str) -> str:
    if len(raw) < 16:
        raise ValueError("at least 16 characters")
    return raw


def networks(raw: str) -> tuple[IPv4Network | IPv6Network, ...]:
    from ipaddress import ip_network  # imports for 5 ms, so only when it is used

    try:
        return tuple(ip_network(part.strip()) for part in raw.split(",") if part.strip())
    except ValueError:
        raise ValueError("a comma list of networks such as 127.0.0.0/8,10.0.0.0/8") from None


def delays(raw: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in raw.split(","))
    except ValueError:
        found = ()
    if not found or any(not 0 <= one <= 30 * 86_400 for one in found):
        raise ValueError("a comma list of seconds such as 5,300,1800")
    return found


def byte_size(raw: str) -> int:
    match = _BYTES.match(raw)
    size = int(match[1]) * 1024 ** " kmg".index((match[2][:1] or " ").lower()) if match else 0
    if not 1024 <= size <= 1024**4:
        raise ValueError("a size in bytes such as 33554432 or 32MiB, at least 1KiB")
    return size


def path(raw: str) -> Path:
    return Path(raw).expanduser()
