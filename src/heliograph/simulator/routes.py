"""The paths under /simulator, without a framework: the gateway and the process of its own serve the same.

Source: interface, "The simulator".
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from heliograph.domain.errors import BadRequest, Conflict, NotFound, PayloadTooLarge, Refusal, Unavailable, invalid
from heliograph.domain.messages.chat import parse_chat_id, parse_number
from heliograph.ports.simulated_network import DeviceScope
from heliograph.simulator import manual_actions
from heliograph.simulator.faults import Faults, changed
from heliograph.simulator.journal_reads import messages_json
from heliograph.simulator.network import SimulatedNetwork

PREFIX = "/simulator"
MAX_BODY_BYTES = 4 << 20
DEFAULT_LIMIT = 1_000
MAX_LIMIT = 100_000
_METHODS = {
    "/messages": ("GET", "DELETE"),
    "/inbound": ("POST",),
    "/receipts": ("POST",),
    "/faults": ("GET", "PUT"),
    "/contacts": ("GET",),
}


class SimulatorMethodNotAllowed(Refusal):
    code, name, status = "METHOD_NOT_ALLOWED_ERROR", "Method Not Allowed Error", 405


@dataclass(frozen=True, slots=True)
class Request:
    """`path` after the host, still with /simulator and its percent signs.

    `share`: an organisation sees and touches its own phones only.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    share: DeviceScope = field(default_factory=DeviceScope)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """JSON. `allow`: the methods that the path takes, when it was asked with another."""

    status: int
    body: bytes
    allow: str = ""


@dataclass(frozen=True, slots=True)
class Routes:
    network: SimulatedNetwork

    async def handle(self, request: Request) -> HttpReply:
        """Never raises for what a caller may send."""
        try:
            return HttpReply(200, await self._answer(request))
        except Refusal as refusal:
            return error_reply(refusal, allow=_allowed(_path(request)))
        except sqlite3.Error as error:
            return error_reply(Unavailable(f"The simulated network's journal cannot be used now: {error}"))

    async def _answer(self, request: Request) -> bytes:
        path = _path(request)
        methods = _allowed(path)
        if not methods:
            raise NotFound(f"There is no path {PREFIX}{path[:200]} in the simulated network")
        if request.method not in methods.split(", "):
            raise SimulatorMethodNotAllowed(f"{PREFIX}{path[:200]} takes {methods}")
        if len(request.body) > MAX_BODY_BYTES:
            raise too_large()
        share = request.share
        match request.method, path:
            case "GET", "/messages":
                return await self._messages(request.query, share.devices)
            case "DELETE", "/messages":
                return _json(await manual_actions.empty_journal(self.network, share))
            case "POST", "/inbound":
                return _json(await manual_actions.write_to_phone(self.network, share, _object(request.body)))
            case "POST", "/receipts":
                return _json(await manual_actions.give_receipt(self.network, share, _object(request.body)))
            case "GET", "/faults":
                return _json(self.network.faults)
        if not share.alone:
            raise Conflict(
                "Contacts and faults hold for all phones of the simulated network, and another organisation has phones"
                " on it. Whoever runs the gateway can run `heliograph simulator` apart, name it in"
                " HELIOGRAPH_SIMULATOR_URL, and set them there."
            )
        match request.method, path:
            case "PUT", "/faults":
                return _json(await self._set_faults(_object(request.body)))
            case "GET", "/contacts":
                return _json(self.network.contacts)
            case _:
                chat_id = unquote(path.removeprefix("/contacts/"))
                return _json(await manual_actions.set_contact(self.network, chat_id, _object(request.body)))

    async def _messages(self, query: Mapping[str, str], devices: tuple[str, ...] | None) -> bytes:
        chat_id = parse_chat_id(query["chat_id"]) if "chat_id" in query else None
        number = parse_number(query["from"], "from") if "from" in query else None
        limit = _limit(query["limit"]) if "limit" in query else DEFAULT_LIMIT
        return await self.network.journal.read(
            lambda db: messages_json(db, chat_id=chat_id, number=number, limit=limit, devices=devices)
        )

    async def _set_faults(self, wish: Mapping[str, Any]) -> Faults:
        await self.network.set_faults(changed(self.network.faults, wish))
        return self.network.faults


def error_reply(refusal: Refusal, *, allow: str = "") -> HttpReply:
    body = {
        "code": refusal.code,
        "name": refusal.name,
        "status": refusal.status,
        "message": refusal.message,
        "fields": refusal.fields,
    }
    return HttpReply(refusal.status, _json(body), allow if refusal.status == 405 else "")


def too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes")


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _path(request: Request) -> str:
    return request.path.removeprefix(PREFIX).rstrip("/")


def _allowed(path: str) -> str:
    if path.startswith("/contacts/"):
        return "PUT"
    return ", ".join(_METHODS.get(path, ()))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MAX_LIMIT):
        raise invalid("limit", f"limit must be a whole number from 1 to {MAX_LIMIT}", text)
    return int(text)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not JSON") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object")
    return value
