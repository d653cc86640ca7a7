"""What every steering route has in common: who acts and why, pages of a list, and the refusal of what is past."""

from typing import Annotated

import msgspec
from msgspec import Meta

from heliograph.api.http.request import ApiRequest
from heliograph.api.messages.send_options import By, performer
from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.errors import Conflict, NotFound, invalid
from heliograph.ports.control_store import ControlStore


def steering_of(call: ApiRequest) -> ControlStore:
    if call.deps.steering is None:
        raise NotFound("There is nothing at this path; see /docs")
    return call.deps.steering


def page(call: ApiRequest, usual: int, most: int) -> tuple[int, int]:
    limit, offset = call.number("limit", int), call.number("offset", int)
    limit, offset = usual if limit is None else limit, offset or 0
    if not 1 <= limit <= most:
        raise invalid("limit", f"limit must be from 1 to {most}", limit)
    if not 0 <= offset < 2**31:
        raise invalid("offset", "offset must be 0 or more", offset)
    return limit, offset


class ByBody(msgspec.Struct):
    """`by`: who does it, for the history; `api` otherwise. `reason`: shown to whoever asks."""

    by: By = None
    reason: Annotated[str | None, Meta(extra_json_schema={"maxLength": 500})] = None


def actor_of(body: ByBody) -> str:
    return performer(body.by)


def reason_of(body: ByBody) -> str:
    why = (body.reason or "").strip()
    if len(why) > 500 or not why.isprintable():
        raise invalid("reason", "reason may have at most 500 printable characters")
    return why


class Retried(msgspec.Struct, frozen=True):
    retried: int


def conflict_for_state(what: str, how: WrongState) -> Conflict:
    """409 with the state that forbids it."""
    message = f"The {what} is {how.state}"
    return Conflict(message, fields={"state": {"message": message, "value": how.state}})
