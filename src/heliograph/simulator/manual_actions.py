"""Manual actions on the simulated network: a person writes, a receipt is sent, a contact gets a behaviour.

Promise: what was answered is in the journal, and reaches the phone even if its line is closed now.
"""

import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.domain.errors import NotFound, invalid
from heliograph.domain.jobs.ids import bare_message_id
from heliograph.domain.jobs.states import Ack
from heliograph.domain.messages.chat import is_group, parse_chat_id, parse_number
from heliograph.domain.messages.content import MAX_TEXT
from heliograph.ports.provider import Inbound, Receipt
from heliograph.ports.simulated_network import DeviceScope
from heliograph.simulator.behaviours import BEHAVIOURS, members
from heliograph.simulator.journal import SQL
from heliograph.simulator.network import SimulatedNetwork

_ACKS = sorted(ack for ack in Ack if ack != Ack.PENDING)


async def write_to_phone(network: SimulatedNetwork, share: DeviceScope, said: Mapping[str, Any]) -> dict[str, Any]:
    """A person writes to a phone of the caller's. `to`: its number; else the one that last wrote to the chat, else the
    only one.
    """
    chat_id = parse_chat_id(said.get("chat_id"))
    body = _text(said, "body")
    media = said.get("media")
    if media is not None and not isinstance(media, dict):
        raise invalid("media", 'media must be an object such as {"mimetype": "image/png"}')
    if not body and media is None and "type" not in said:
        raise invalid("body", "body, media or type is missing: what does the person write?")
    author = parse_chat_id(said["author"], "author") if "author" in said else _author(chat_id)
    if is_group(author):
        raise invalid("author", "author must be a person, not a group", author)
    inbound = Inbound(
        _text(said, "message_id") or f"3A{secrets.token_hex(9).upper()}",
        chat_id,
        author,
        network.clock.now_us(),
        _text(said, "type") or _type(media),
        body,
        {name: value for name, value in said.items() if name not in ("chat_id", "body", "to", "message_id")},
    )
    number = parse_number(said["to"], "to") if "to" in said else None
    devices, number = await network.journal.call(lambda db: _receivers(db, share, chat_id, number))
    await _post(network, devices, "inbound", inbound)
    return {"message_id": inbound.message_id, "chat_id": chat_id, "to": number, "type": inbound.type, "body": body}


async def give_receipt(network: SimulatedNetwork, share: DeviceScope, wish: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt for a message of the caller's phones. `ack` -1: refused after acceptance, with `code` and `detail`."""
    given = _text(wish, "message_id")
    if not given:
        raise invalid("message_id", "message_id is missing")
    ack = wish.get("ack")
    if not isinstance(ack, int) or isinstance(ack, bool) or ack not in _ACKS:
        raise invalid("ack", f"ack must be one of {', '.join(str(int(one)) for one in _ACKS)}", ack)
    message_id = bare_message_id(given)
    code, detail = _text(wish, "code"), _text(wish, "detail")
    if ack == Ack.FAILED:
        code, detail = code or "undeliverable", detail or "WhatsApp could not deliver the message."
    receipt = Receipt(ack, network.clock.now_us(), message_id, code=code or None, detail=detail or None)

    def note(db: sqlite3.Connection) -> list[str]:
        rows = db.execute(SQL["senders"], {"message_id": message_id}).fetchall()
        found = [(no, device_id) for no, device_id in rows if device_id in share]
        for no, _ in found:
            db.execute(SQL["hand_ack"], {"no": no, "ack": ack})
        return sorted({device_id for _, device_id in found})

    devices = await network.journal.call(note)
    if not devices:
        raise NotFound(f"The journal holds no message {message_id}", fields={"message_id": {"message": "unknown"}})
    await _post(network, devices, "receipt", receipt)
    return {"message_id": message_id, "ack": ack}


async def set_contact(network: SimulatedNetwork, chat_id: str, wish: Mapping[str, Any]) -> dict[str, Any]:
    chat_id = parse_chat_id(chat_id)
    if "behaviour" not in wish:
        raise invalid("behaviour", "behaviour is missing")
    behaviour = wish["behaviour"]
    if behaviour is not None and not (isinstance(behaviour, str) and behaviour in BEHAVIOURS):
        known = ", ".join(name for name in BEHAVIOURS if name)
        raise invalid("behaviour", f"behaviour must be one of {known}, or null for none of its own", behaviour)
    if behaviour:
        await network.journal.rows("set_contact", {"chat_id": chat_id, "behaviour": behaviour})
        network.contacts[chat_id] = behaviour
    else:
        await network.journal.rows("drop_contact", {"chat_id": chat_id})
        network.contacts.pop(chat_id, None)
    network.contacts_changed()
    return {"chat_id": chat_id, "behaviour": behaviour or None}


async def empty_journal(network: SimulatedNetwork, share: DeviceScope) -> dict[str, Any]:
    """Forgets every message of the caller's phones, and all that was still to come of one."""
    own = _own(share)

    def empty(db: sqlite3.Connection) -> int:
        for name in ("empty_turns", "empty_post"):
            db.execute(SQL[name], own)
        return db.execute(SQL["empty_messages"], own).rowcount

    deleted = await network.journal.call(empty)
    network.forget_messages(share)
    return {"deleted": deleted}


def _receivers(db: sqlite3.Connection, share: DeviceScope, chat_id: str, number: str | None) -> tuple[list[str], str]:
    own = _own(share)
    if number is None:
        if last := db.execute(SQL["last_writer"], own | {"chat_id": chat_id}).fetchone():
            return [last[0]], last[1]
        known = db.execute(SQL["numbers"], own).fetchall()
        if len(known) > 1:
            raise invalid("to", "There are several phones: name the number of one in to")
        number = known[0][0] if known else None
    devices = db.execute(SQL["devices_of"], own | {"number": number}).fetchall()
    if not devices or number is None:
        raise NotFound("No phone with this number has ever been connected", fields={"to": {"message": "unknown"}})
    return [row[0] for row in devices], number


def _own(share: DeviceScope) -> dict[str, Any]:
    """Encodes device ids as the journal's queries take them."""
    return {"devices": None if share.devices is None else msgspec.json.encode(share.devices).decode()}


async def _post(network: SimulatedNetwork, devices: list[str], kind: str, body: Inbound | Receipt) -> None:
    text = msgspec.json.encode(body).decode()

    def put(db: sqlite3.Connection) -> None:
        for device_id in devices:
            db.execute(SQL["mail"], {"device": device_id, "kind": kind, "body": text})

    await network.journal.call(put)
    for device_id in devices:
        if session := network.sessions.get(device_id):
            session.has_mail()


def _author(chat_id: str) -> str:
    if not is_group(chat_id):
        return chat_id
    return (members(chat_id) or ("12025550200@c.us",))[0]


def _type(media: Mapping[str, Any] | None) -> str:
    if media is None:
        return "chat"
    kind = str(media.get("mimetype", "")).partition("/")[0]
    return kind if kind in ("image", "video", "audio") else "document"


def _text(wish: Mapping[str, Any], field: str) -> str:
    value = wish.get(field, "")
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise invalid(field, f"{field} must be a string of at most {MAX_TEXT} characters")
    return value
