"""Actor and reason of the operator routes, and the 409 for a state that forbids an action."""

from typing import Annotated

import msgspec
from msgspec import Meta

from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.errors import Conflict, invalid

API = "api"
By = Annotated[
    str | None,
    Meta(description="Who does it, for the history; `api` if it is left out", extra_json_schema={"maxLength": 100}),
]


def performer(by: str | None) -> str:
    """Returns the name that is kept in the history and the audit log. Raises Invalid."""
    if by is None:
        return API
    name = by.strip()
    if len(name) > 100 or not name.isprintable():
        raise invalid("by", "by may have at most 100 printable characters")
    return name or API


class ByBody(msgspec.Struct):
    """`by`: the actor for the history, `api` if it is left out. `reason`: the text shown beside the action."""

    by: By = None
    reason: Annotated[str | None, Meta(extra_json_schema={"maxLength": 500})] = None


def actor_of(body: ByBody) -> str:
    return performer(body.by)


def reason_of(body: ByBody) -> str:
    reason = (body.reason or "").strip()
    if len(reason) > 500 or not reason.isprintable():
        raise invalid("reason", "reason may have at most 500 printable characters")
    return reason


class Retried(msgspec.Struct, frozen=True):
    retried: int


def conflict_for_state(kind: str, wrong: WrongState) -> Conflict:
    """Makes the 409 that names the state."""
    message = f"The {kind} is {wrong.state}"
    return Conflict(message, fields={"state": {"message": message, "value": wrong.state}})
