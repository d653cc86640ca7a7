"""Reads of the journal: messages with the field names of the interface page, and the network's last state."""

import sqlite3
from dataclasses import dataclass
from typing import Any

import msgspec

from heliograph.domain.messages.content import Content
from heliograph.domain.timestamps import iso
from heliograph.simulator.journal import SQL

_decode = msgspec.json.Decoder(Content).decode


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """State of the network at its end. `later`: messages with a step that is not due yet."""

    faults: str | None
    contacts: list[tuple[str, str]]
    devices: list[tuple[str, str, int | None]]
    later: list[tuple[int, str, str, str, str, int, int]]
    last_no: int


def left_behind(db: sqlite3.Connection, now_us: int) -> LeftBehind:
    faults = db.execute(SQL["setting"], {"name": "faults"}).fetchone()
    return LeftBehind(
        faults and faults[0],
        db.execute(SQL["contacts"]).fetchall(),
        db.execute(SQL["devices"]).fetchall(),
        db.execute(SQL["owed_later"], {"now": now_us}).fetchall(),
        db.execute(SQL["last_no"]).fetchone()[0],
    )


def messages(
    db: sqlite3.Connection,
    *,
    chat_id: str | None,
    number: str | None,
    limit: int,
    devices: tuple[str, ...] | None = None,
) -> list[dict[str, Any]]:
    """Oldest first; `devices` None: of all phones. Source: interface, "The simulator", Journal."""
    match chat_id, number:
        case None, None:
            name = "messages"
        case _, None:
            name = "messages_of_chat"
        case None, _:
            name = "messages_of_number"
        case _:
            name = "messages_of_chat_and_number"
    own = None if devices is None else msgspec.json.encode(devices).decode()
    find = {"chat_id": chat_id, "number": number, "limit": limit, "devices": own}
    return [_shown(row) for row in db.execute(SQL[name], find)]


def messages_json(
    db: sqlite3.Connection, *, chat_id: str | None, number: str | None, limit: int, devices: tuple[str, ...] | None
) -> bytes:
    """A JSON array, made here so that a long one is no work for the event loop."""
    return msgspec.json.encode(messages(db, chat_id=chat_id, number=number, limit=limit, devices=devices))


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    message_id, number, chat_id, text, quoted_id, received_at_us, transmissions, shown, ack = row
    content = _decode(text)
    media, poll = content.media, content.poll
    fields: dict[str, Any] = {
        "message_id": message_id,
        "from": number,
        "chat_id": chat_id,
        "type": content.type.value,
        "body": content.body,
        "media": media and {name: getattr(media, name) for name in media.__struct_fields__},
        "poll": poll and {name: getattr(poll, name) for name in poll.__struct_fields__},
        "quoted_message_id": quoted_id,
        "received_at": iso(received_at_us),
        "transmissions": transmissions,
        "shown": shown,
        "ack": ack,
    }
    if content.extra:
        fields["extra"] = content.extra
    return fields
