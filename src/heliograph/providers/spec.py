"""ProviderSpec: everything that the other rooms know of a provider, as one value that is cheap to import.

A provider is a folder that exports one `SPEC`; `app/providers.py` lists them. Promise: importing a spec imports no
network library; `open`, `reader` and `receiver` import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from heliograph.domain.accounts.phone import PhoneRow
    from heliograph.ports.clock import Clock
    from heliograph.ports.provider import Provider, Setup
    from heliograph.ports.provider_inbox import PayloadReader, ProviderInbox, WebhookReceiver
    from heliograph.ports.secrets import Secrets
    from heliograph.ports.simulated_network import Network
    from heliograph.ports.uploads import UploadStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """Services of the process that opens a provider. `settings` is the table of settings, which no room imports."""

    settings: Any
    clock: Clock
    uploads: UploadStore
    network: Network  # the simulated one


@dataclass(frozen=True, slots=True)
class OpenProvider:
    """A provider at work; `setup` if its phones need credentials."""

    provider: Provider
    setup: Setup | None = None


class PhoneSource(Protocol):
    """The stored phones, of one organisation or of all."""

    async def phones(self, org_no: int | None) -> list[PhoneRow]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSpec:
    """The provider's own webhook: its path, who checks and stores what comes in, and who reads what was stored."""

    path: str
    receiver: Callable[[PhoneSource, ProviderInbox, Secrets, Clock], WebhookReceiver]
    reader: Callable[[], PayloadReader]
    signature_header: str = "x-hub-signature-256"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigField:
    """One text of a phone's configuration, as `heliograph phones add` asks for it.

    `metavar`: it has an option of its own; the others come from a file. `prompt`: it is required. `generated`: a random
    text is made when none is given, and shown once.
    """

    name: str
    metavar: str = ""
    help: str = ""
    prompt: str = ""
    secret: bool = False
    generated: bool = False

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """`preset`: the pacing of a new phone where HELIOGRAPH_PACING is auto. `pairing_code` makes the text of a QR code
    from a phone_id. `next_steps`: lines shown after a phone was added; each may name {phone_id}, {webhook} and fields
    of the configuration.
    """

    name: str
    preset: str
    open: Callable[[ProviderContext], AbstractAsyncContextManager[OpenProvider]]
    webhook: WebhookSpec | None = None
    config: tuple[ConfigField, ...] = ()
    pairing_code: Callable[[str], str] | None = None
    next_steps: tuple[str, ...] = ()
