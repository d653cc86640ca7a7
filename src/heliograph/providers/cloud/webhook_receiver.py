"""The way in for WhatsApp's webhooks: proven by signature over the raw bytes, on disk before the 200.

Promise: a webhook without a right signature stores nothing. One that was stored twice, by a repeat of Meta's or of an
attacker's, changes nothing when it is applied: the ack level does not fall and an inbound message is kept once.
"""

import contextlib
from dataclasses import dataclass

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Invalid
from heliograph.ports.clock import Clock
from heliograph.ports.provider_inbox import NewInboxItem, ProviderInbox, ReceiveResult, ReceiveStatus
from heliograph.ports.secrets import CannotOpen, Secrets
from heliograph.providers.cloud.account import Account, parse_account
from heliograph.providers.cloud.spec import SPEC
from heliograph.providers.cloud.webhook_payload import challenge_answer, phone_number_ids, read_payload, signed
from heliograph.providers.spec import PhoneSource

_FRESH_S = 60.0
_MISS_S = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    org_no: int
    phone_no: int
    account: Account


class CloudWebhookReceiver:
    def __init__(self, phones: PhoneSource, inbox: ProviderInbox, secrets: Secrets, clock: Clock) -> None:
        self._phones = phones
        self._inbox = inbox
        self._secrets = secrets
        self._clock = clock
        self._known: list[_Known] = []
        self._read_at: float | None = None

    async def challenge(self, mode: str, token: str, challenge: str) -> str | None:
        tokens = [known.account.verify_token for known in await self._cloud_phones(_MISS_S)]
        return challenge_answer(mode, token, challenge, tokens)

    async def receive(self, raw: bytes, signature: str) -> ReceiveResult:
        payload = read_payload(raw)
        if payload is None:
            return ReceiveResult(ReceiveStatus.MALFORMED, "This is not a webhook of a WhatsApp Business account.")
        named = phone_number_ids(payload)
        taken = _proven(await self._cloud_phones(_FRESH_S), named, raw, signature)
        if not taken and named:  # perhaps the phone was added or given another secret a moment ago
            taken = _proven(await self._cloud_phones(_MISS_S), named, raw, signature)
        if not taken:
            return ReceiveResult(ReceiveStatus.FORGED, "The signature is not one of a phone that this webhook names.")
        now_us = self._clock.now_us()
        await self._inbox.keep_deliveries([NewInboxItem(one.org_no, one.phone_no, now_us, raw) for one in taken])
        return ReceiveResult(ReceiveStatus.STORED, phone_nos=tuple(one.phone_no for one in taken))

    async def _cloud_phones(self, fresh_s: float) -> list[_Known]:
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= fresh_s:
            rows = await self._phones.phones(None)
            self._known = [known for row in rows if row.provider == SPEC.name and (known := self._open(row))]
            self._read_at = now
        return self._known

    def _open(self, row: PhoneRow) -> _Known | None:
        with contextlib.suppress(CannotOpen, Invalid, msgspec.DecodeError, ValueError):
            config = msgspec.json.decode(self._secrets.open(row.config, about=row.phone_id), type=dict[str, str])
            return _Known(row.org_no, row.phone_no, parse_account(config))
        return None


def _proven(phones: list[_Known], named: frozenset[str], raw: bytes, signature: str) -> list[_Known]:
    """Selects, of the phones that the webhook names, those whose own secret signed it."""
    meant = [known for known in phones if known.account.phone_number_id in named]
    secrets = {known.account.app_secret for known in meant}
    right = {secret for secret in secrets if signed(raw, signature, secret)}
    return [known for known in meant if known.account.app_secret in right]
