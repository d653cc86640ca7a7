"""The table of settings: name, type, default and meaning, for parsing, help and reference page.

To add a setting, add a field. Its name is HELIOGRAPH_ and the field's name in capitals.
"""

# ruff: noqa: RUF009  (`_setting` only makes a dataclass field)
from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heliograph.domain.pacing.policy import PRESETS
from heliograph.settings import parse

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

PREFIX = "HELIOGRAPH_"

# the schedule that Standard Webhooks recommends: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h
STANDARD_SCHEDULE_S = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting for help and reference page."""

    name: str
    field: str
    kind: str
    default: str
    meaning: str
    parser: parse.Parser
    secret: bool


def _setting(
    default: Any, parser: parse.Parser, kind: str, meaning: str, *, shown: str | None = None, secret: bool = False
) -> Any:
    about = {"parser": parser, "kind": kind, "meaning": meaning, "shown": shown, "secret": secret}
    return dataclasses.field(default=default, repr=not secret, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Checked values. None means "not set"; `media_path` and `journal_path` answer for the unset ones."""

    database_url: str = _setting(
        "sqlite:///heliograph.db",
        parse.database_url,
        "url",
        "Where everything is kept: `sqlite:///FILE` for one machine, `postgresql://…` for any number.",
        secret=True,
    )
    wake_database_url: str | None = _setting(
        None,
        parse.postgres_url,
        "url",
        "PostgreSQL address for the one connection that listens for wake-ups. Set it to the database itself when"
        " `HELIOGRAPH_DATABASE_URL` goes through pgbouncer in transaction mode.",
        shown="the database URL",
        secret=True,
    )
    host: str = _setting("127.0.0.1", parse.text, "address", "Address to listen on. `0.0.0.0` = every interface.")
    port: int = _setting(8080, parse.whole(0, 65535), "number", "Port to listen on; 0 takes a free one.")
    roles: frozenset[str] = _setting(
        frozenset({"api", "sender", "webhooks"}),
        parse.roles,
        "list",
        "What this process does: any of `api`, `sender`, `webhooks`.",
        shown="api,sender,webhooks",
    )
    api_key: str | None = _setting(
        None,
        parse.api_key,
        "text",
        "If the database holds no key yet, the first organisation's first key is this (16 or more printable"
        " characters); otherwise one is made and printed once. Commands that speak HTTP send it.",
        secret=True,
    )
    url: str | None = _setting(
        None,
        parse.http_url,
        "url",
        "Where commands that speak HTTP find the server; also its address in links for people.",
        shown="http://HOST:PORT",
    )
    simulator_phone: str = _setting(
        "919876543210",
        parse.phone_number,
        "number",
        "If the database holds no phone yet, a simulator phone with this number is made; empty = none.",
    )
    simulator_url: str | None = _setting(
        None,
        parse.http_url,
        "url",
        "None = simulated network inside the process; a URL = a `heliograph simulator` process shared by all.",
    )
    simulator_journal: Path | None = _setting(
        None, parse.path, "file", "The simulated network's own file.", shown="beside the database"
    )
    simulator_receipts: bool = _setting(
        True,
        parse.flag,
        "on/off",
        "`off` = the simulated network inside the process sends no receipts: for load tests.",
        shown="on",
    )
    max_retries: int = _setting(
        3, parse.whole(0, 20), "number", "Retries after the first attempt, so at most one attempt more than this."
    )
    retry_base_seconds: float = _setting(
        2.0, parse.number(0, 3600), "seconds", "First retry delay; each further one is twice as long, ± 20 %."
    )
    ack_timeout_seconds: float = _setting(
        20.0,
        parse.number(0, 3600),
        "seconds",
        "How long an unknown outcome waits for a receipt before its chat goes on.",
    )
    lease_seconds: float = _setting(
        10.0, parse.number(1, 3600), "seconds", "How long a sender owns a phone; renewed at a third of it."
    )
    pacing: str = _setting(
        "auto",
        parse.choice("auto", *PRESETS),
        "word",
        "Preset for new phones. `auto`: simulator `none`, linked device `linked-new`, Cloud API `cloud-default`.",
    )
    approve_after_seconds: float = _setting(
        0.0,
        parse.number(0, 31_536_000),
        "seconds",
        "A phone that comes back after so long with messages waiting is paused until a person resumes it; 0 = off.",
    )
    org_messages_per_second: float = _setting(
        0.0,
        parse.number(0, 1_000_000),
        "number",
        "Sending rate of an organisation over all its phones: over it, jobs wait; 0 = off.",
    )
    rate_limit_per_second: int = _setting(
        100, parse.whole(0, 1_000_000), "number", "Requests a second for each API key, then 429; 0 = off."
    )
    max_body_bytes: int = _setting(
        32 * 1024 * 1024,
        parse.byte_size,
        "size",
        "Largest request body, then 413. Larger media can be given by URL.",
        shown="32MiB",
    )
    max_connections: int = _setting(
        2048,
        parse.whole(8, 1_000_000),
        "number",
        "Open HTTP connections in all, then 503; lowered where the system allows fewer descriptors.",
    )
    max_connections_per_address: int = _setting(
        512,
        parse.whole(1, 1_000_000),
        "number",
        "Open HTTP connections of one client address (IPv6: of one /64), then 503. Behind a reverse proxy, which"
        " has one address for all clients, set it to the number above.",
    )
    head_timeout_seconds: float = _setting(
        30.0, parse.number(1, 3600), "seconds", "How long the head of a request may take, then 408."
    )
    body_timeout_seconds: float = _setting(
        30.0,
        parse.number(1, 3600),
        "seconds",
        "How long the body of a request may take, and one second more for each 16 KiB received, then 408.",
    )
    idle_timeout_seconds: float = _setting(
        75.0, parse.number(1, 86_400), "seconds", "How long a connection without a request stays open."
    )
    media_dir: Path | None = _setting(
        None, parse.path, "folder", "Where media files are kept, each once.", shown="beside the database"
    )
    webhook_allow_private: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        parse.networks,
        "list",
        "Networks that webhook and media URLs may reach although private, such as `127.0.0.0/8` for tests.",
    )
    webhook_retry_seconds: tuple[float, ...] = _setting(
        STANDARD_SCHEDULE_S,
        parse.delays,
        "list",
        "Delays between the attempts of a webhook delivery. The default is the Standard Webhooks schedule.",
        shown=",".join(f"{one:g}" for one in STANDARD_SCHEDULE_S),
    )
    retention_days: float = _setting(
        30.0,
        parse.number(0.01, 36500),
        "days",
        "How long settled jobs, events, deliveries and media are kept.",
    )
    cloud_api_url: str | None = _setting(
        None,
        parse.http_url,
        "url",
        "A Graph server beside Meta's that Cloud API phones may name as their `base_url`, such as a local"
        " `heliograph simulator --graph`.",
    )
    secret_key: str | None = _setting(
        None, parse.secret, "text", "Encrypts stored credentials and signing keys.", secret=True
    )
    log_level: str = _setting(
        "info", parse.choice("debug", "info", "warning", "error"), "word", "`debug`, `info`, `warning` or `error`."
    )
    log_format: str = _setting(
        "auto",
        parse.choice("auto", "console", "json"),
        "word",
        "`console` for people, `json` for machines; `auto` = console on a terminal, json elsewhere.",
    )
    config: Path | None = _setting(
        None,
        parse.path,
        "file",
        "A TOML file with the same names. Only read from the environment.",
        shown="heliograph.toml, if it is there",
    )

    @property
    def sqlite_path(self) -> Path | None:
        """The path of the database file, with links resolved; None on PostgreSQL."""
        scheme, _, rest = self.database_url.partition(":///")
        return Path(os.path.realpath(rest)) if scheme == "sqlite" else None

    @property
    def _beside(self) -> Path:
        found = self.sqlite_path
        return found if found is not None else Path("heliograph")

    @property
    def journal_path(self) -> Path:
        found = self._beside
        return self.simulator_journal or found.with_name(f"{found.stem}-simulator.db")

    @property
    def media_path(self) -> Path:
        found = self._beside
        return self.media_dir or found.with_name(f"{found.stem}-media")

    @property
    def server_url(self) -> str:
        """The server's address for commands. A server that listens everywhere is reached on loopback."""
        if self.url:
            return self.url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def database_label(self) -> str:
        """The database without its password, for logs."""
        scheme, mark, rest = self.database_url.partition("://")
        login, at, place = rest.rpartition("@")
        return f"{scheme}{mark}{login.partition(':')[0]}{at}{place.partition('?')[0]}"


def _shown(default: Any) -> str:
    if default in (None, (), ""):
        return "none"
    return f"{default:g}" if isinstance(default, float) else str(default)


def setting_rows() -> tuple[SettingRow, ...]:
    return tuple(
        SettingRow(
            name=PREFIX + one.name.upper(),
            field=one.name,
            kind=one.metadata["kind"],
            default=one.metadata["shown"] or _shown(one.default),
            meaning=one.metadata["meaning"],
            parser=one.metadata["parser"],
            secret=one.metadata["secret"],
        )
        for one in dataclasses.fields(Settings)
    )
