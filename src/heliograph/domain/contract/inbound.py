"""The message object of the contract (section 3.1) for what a person wrote to a phone."""

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.messages import MessageKey, MessageObject
from heliograph.domain.jobs.ids import bare_message_id, message_id, parse_job_id
from heliograph.domain.messages.chat import is_group
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.webhook import InboundRow


def inbound_object(message: InboundRow, phone: PhoneRow) -> MessageObject:
    """`message_id` = `false_<chat>_<bare id>`; for groups `_<author>` at the end. It has no queue_id of its own."""
    group = is_group(message.chat_id)
    full_id = message_id(message.chat_id, message.message_id, message.author, from_me=False)
    quoted = _quoted(message, f"{phone.number}@c.us")
    return MessageObject(
        id=MessageKey(id=message.message_id, fromMe=False, remote=message.chat_id, _serialized=full_id),
        message_id=full_id,
        unique_id=message.message_id,
        sent_message_id=None,
        queue_id=None,
        org_id=phone.org_id,
        org_phone=f"{phone.number}@c.us",
        chat_id=message.chat_id,
        from_=message.chat_id,
        to=f"{phone.number}@c.us",
        from_me=False,
        author=message.author if group else None,
        sender_phone=message.author,
        message_type=message.type,
        body=message.body,
        media=None,
        has_media=False,
        quoted_message_id=quoted,
        has_quoted_msg=quoted is not None,
        ack="1",
        timestamp=iso(message.at_us),
        updated_at=iso(message.at_us),
        delivery_info={"delivered": {}, "read": {}, "pending": [], "delivered_count": 0, "read_count": 0},
    )


def _quoted(message: InboundRow, own_id: str) -> str | None:
    """The message_id of what it answers, where that is known to be the phone's own; else as the network names it."""
    named = message.raw.get("quoted_message_id")
    if not isinstance(named, str):
        return None
    key = bare_message_id(named)
    return named if parse_job_id(key) is None else message_id(message.chat_id, key, own_id)
