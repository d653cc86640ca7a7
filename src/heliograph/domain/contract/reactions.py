"""The reaction object of the contract (section 2.7) for a reaction that a person gave to a message."""

import msgspec

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.messages import MessageKey
from heliograph.domain.jobs.ids import bare_message_id, message_id
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.webhook import InboundRow


class ReactionObject(msgspec.Struct, frozen=True, kw_only=True):
    """`message_id` is of the message reacted to. `reaction` empty: taken back. `orphan`: it does not say to which."""

    reaction_id: str
    message_id: str | None
    unique_id: str
    id: MessageKey
    msg_id: MessageKey | None
    chat_id: str
    org_id: str
    org_phone: str
    sender_id: str
    reaction: str
    ack: str
    orphan: int
    orphan_reason: str | None
    read: bool
    timestamp: str


def reaction_object(given: InboundRow, phone: PhoneRow) -> ReactionObject:
    own_id = f"{phone.number}@c.us"
    named = given.raw.get("reacted_to") or (given.raw.get("reaction") or {}).get("message_id")
    # people react to what the phone sent them; of what they wrote themselves no network tells us
    target = _key(bare_message_id(named), given.chat_id, own_id, from_me=True) if isinstance(named, str) else None
    return ReactionObject(
        reaction_id=given.message_id,
        message_id=None if target is None else target._serialized,
        unique_id=given.message_id,
        id=_key(given.message_id, given.chat_id, given.author, from_me=False),
        msg_id=target,
        chat_id=given.chat_id,
        org_id=phone.org_id,
        org_phone=own_id,
        sender_id=given.author,
        reaction=given.body,
        ack="1",
        orphan=int(target is None),
        orphan_reason="The network did not say to which message." if target is None else None,
        read=False,
        timestamp=iso(given.at_us),
    )


def _key(bare: str, chat_id: str, author: str, *, from_me: bool) -> MessageKey:
    whole = message_id(chat_id, bare, author, from_me=from_me)
    return MessageKey(id=bare, fromMe=from_me, remote=chat_id, _serialized=whole)
