"""A webhook, what it is told, and each try to tell it: the values that rooms exchange. Times are microseconds UTC."""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.job import Event, Job

OVERLAP_US = 24 * 3_600 * 1_000_000  # the time for which the previous signing key stays valid
# `type` of the contract's webhook rows (3.5)
HOOK_TYPES = frozenset(
    {
        "zapier", "pabbly", "api", "webhook", "hubspot", "freshdesk", "slack", "jira", "salesforce", "zohodesk",
        "zohocrm", "gsheets",
    }
)  # fmt: skip


def new_signing_key() -> str:
    """Makes a signing key: `whsec_` and the base64 of 32 random bytes."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """One URL and one event name. `failures`… are of the URL, shared by all hooks that have it."""

    hook_no: int
    org_no: int
    org_id: str
    hook_id: str
    endpoint_no: int
    url: str
    event: str
    integration_type: str
    integration_id: str
    metadata: Mapping[str, Any]
    type: str
    name: str
    is_subscribed: bool
    subscribed_at_us: int
    created_at_us: int
    failures: int
    failing_since_us: int | None
    disabled_at_us: int | None
    disabled_reason: str | None


@dataclass(frozen=True, slots=True)
class NewHook:
    hook_id: str
    url: str
    event: str
    integration_id: str
    metadata: Mapping[str, Any]
    integration_type: str = "webhook"
    type: str = "webhook"
    name: str = ""


@dataclass(frozen=True, slots=True)
class HookPatch:
    """None leaves as it is."""

    url: str | None = None
    event: str | None = None
    integration_type: str | None = None
    metadata: Mapping[str, Any] | None = None
    type: str | None = None
    name: str | None = None
    is_subscribed: bool | None = None


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """An organisation's signing keys as stored: `previous` counts until `switch_at_us`."""

    current: str
    previous: str | None = None
    switch_at_us: int = 0


@dataclass(frozen=True, slots=True)
class InboundRow:
    """Inbound message as it is stored."""

    message_id: str
    chat_id: str
    author: str
    type: str
    body: str
    at_us: int
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrgEvent:
    """Organisation event: a change of a phone, a queue or a webhook."""

    name: str
    at_us: int
    detail: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one hook. `tries`: since it was made or replayed; `attempts`: ever.

    `state`: pending, delivered, dead, cancelled. `outcome`: of the last attempt.
    """

    org_no: int
    org_id: str
    no: int
    hook_no: int
    hook_id: str
    event: str
    source: str
    ack: int
    ack_before: int
    sequence: int
    state: str
    tries: int
    attempts: int
    outcome: str | None
    not_before_us: int | None
    created_at_us: int
    finished_at_us: int | None

    @property
    def delivery_id(self) -> str:
        return delivery_id(self.org_id, self.no)


@dataclass(frozen=True, slots=True)
class EventSource:
    """Source of a delivery; one of the groups is set. None at all: the source is gone."""

    job: Job | None = None
    change: Event | None = None
    inbound: InboundRow | None = None
    org_event: OrgEvent | None = None
    phone: PhoneRow | None = None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try, as it is kept. `answer`: the first 64 kB of what the receiver said."""

    attempt: int
    at_us: int
    took_ms: int
    outcome: str
    status: int
    detail: str
    answer: str


def delivery_id(org_id: str, no: int) -> str:
    """Stable over retries and replays, and not that of another installation: `dlv_5df4cb6d_1042`."""
    return f"dlv_{org_id[:8]}_{no}"


def parse_delivery_id(text: str, org_id: str) -> int | None:
    head, _, no = text.rpartition("_")
    return int(no) if head == f"dlv_{org_id[:8]}" and no.isascii() and no.isdigit() and len(no) < 19 else None
