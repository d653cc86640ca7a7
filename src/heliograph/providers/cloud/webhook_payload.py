"""Reading what WhatsApp tells us: pure functions over the raw bytes of a webhook.

Promise: nothing is believed before `signed` says so; what is not understood is left out, never raised. Statuses may
come in any order, twice, without contacts, and for messages that nobody here knows.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

from heliograph.ports.provider import Inbound, Phone, Receipt
from heliograph.ports.provider_inbox import ProviderUpdate
from heliograph.providers.cloud.error_codes import UNKNOWN_4XX
from heliograph.providers.cloud.inbound import inbound_of, stamp_us
from heliograph.providers.cloud.responses import explain, read_fault, read_json

_ACKS = {"sent": 2, "delivered": 3, "read": 4, "played": 5, "failed": -1}
_PREFIX = "sha256="


def signed(raw: bytes, signature: str, app_secret: str) -> bool:
    """Checks `X-Hub-Signature-256` over the raw bytes, in constant time."""
    if not signature.startswith(_PREFIX) or not app_secret:
        return False
    expected = hmac.new(app_secret.encode(), raw, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature[len(_PREFIX) :].strip().encode())


def challenge_answer(mode: str, token: str, challenge: str, verify_tokens: list[str]) -> str | None:
    """The text that GET verification wants echoed; None if it does not know one of our tokens."""
    known = [hmac.compare_digest(token.encode(), ours.encode()) for ours in verify_tokens if ours]
    return challenge if mode == "subscribe" and any(known) and len(challenge) <= 1_000 else None


def phone_number_ids(payload: Mapping[str, Any]) -> frozenset[str]:
    """Lists the phones that the webhook names. Unproven: used to choose the secret, and to sort proven payloads."""
    return frozenset(_number_id(value) for value in _changes(payload)) - {""}


def read_payload(raw: bytes) -> dict[str, Any] | None:
    """None: not a webhook of a WhatsApp Business account."""
    payload = read_json(raw)
    if payload is None or payload.get("object") != "whatsapp_business_account":
        return None
    return payload if isinstance(payload.get("entry"), list) else None


def read_delivery(phone: Phone, payload: bytes, received_at_us: int) -> ProviderUpdate:
    """Reads a stored webhook for one phone. Implements ports.provider_inbox.PayloadReader."""
    value = read_payload(payload)
    if value is None:
        return ProviderUpdate()
    number_id = phone.config.get("phone_number_id")
    receipts: list[Receipt] = []
    inbound: list[Inbound] = []
    for change in _changes(value):
        if _number_id(change) == number_id:
            receipts += [
                receipt for status in _dicts(change.get("statuses")) if (receipt := _receipt(status, received_at_us))
            ]
            inbound += [
                message for raw in _dicts(change.get("messages")) if (message := inbound_of(raw, received_at_us))
            ]
    return ProviderUpdate(tuple(receipts), tuple(inbound))


def _receipt(status: Mapping[str, Any], received_at_us: int) -> Receipt | None:
    ack = _ACKS.get(str(status.get("status")))
    wamid, tracker = status.get("id"), status.get("biz_opaque_callback_data")
    if ack is None or not (isinstance(wamid, str) or isinstance(tracker, str)):
        return None
    code, detail = None, None
    if ack == -1:
        fault = next((f for error in _dicts(status.get("errors")) if (f := read_fault(error))), None)
        row = (fault.row if fault else None) or UNKNOWN_4XX
        code, detail = row.code, explain(fault, row) if fault else "WhatsApp says that it failed, without saying why."
    participant = status.get("recipient_participant_id")
    return Receipt(
        ack=ack,
        at_us=stamp_us(status.get("timestamp"), received_at_us),
        provider_message_id=wamid if isinstance(wamid, str) else None,
        tracker=tracker if isinstance(tracker, str) else None,
        participant=participant if isinstance(participant, str) else None,
        code=code,
        detail=detail,
    )


def _changes(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in _dicts(payload.get("entry")):
        for change in _dicts(entry.get("changes")):
            if isinstance(value := change.get("value"), dict):
                yield value


def _number_id(value: Mapping[str, Any]) -> str:
    metadata = value.get("metadata")
    found = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
