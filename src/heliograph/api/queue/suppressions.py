"""The suppression list: chats that broadcasts, schedules and bulk messages leave out."""

import msgspec

from heliograph.api.http.actor import ByBody, actor_of, reason_of
from heliograph.api.http.pagination import page_of
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import QueryParameter, route
from heliograph.api.queue.control import Steered
from heliograph.domain.errors import NotFound
from heliograph.domain.messages.chat import parse_chat_id
from heliograph.domain.timestamps import iso


class SuppressBody(ByBody, kw_only=True):
    chat_id: str


class SuppressionObject(msgspec.Struct, frozen=True):
    chat_id: str
    reason: str
    by: str
    at: str


@route(
    "GET", "/suppressions", summary="Chats that broadcasts, schedules and bulk messages leave out", tag="Steering",
    answer=list[SuppressionObject],
    description="Who answers STOP is entered by itself, START takes it back. A single message of priority normal or"
    " urgent still goes; one of priority bulk is refused (422).",
    query=(QueryParameter("after", "Go on after this chat_id"), QueryParameter("limit", "How many", "integer", 1,
    2000)),
)  # fmt: skip
async def suppressions(call: ApiRequest) -> list[SuppressionObject]:
    limit, _ = page_of(call, 1000, 2000)
    rows = await call.deps.control.suppressions(call.org_no, after=call.text("after") or "", limit=limit)
    return [SuppressionObject(row.chat_id, row.reason, row.actor, iso(row.at_us)) for row in rows]


@route(
    "POST", "/suppressions", summary="Leave a chat out from now on", tag="Steering", body=SuppressBody, answer=Steered
)
async def suppress(call: ApiRequest) -> Steered:
    body = call.decoded(SuppressBody)
    chat_id = parse_chat_id(body.chat_id)
    reason = reason_of(body) or "entered by hand"
    changed = await call.deps.control.suppress(call.org_no, chat_id, reason, actor_of(body))
    return Steered(chat_id, "suppressed", changed)


@route(
    "DELETE", "/suppressions/{chat_id:str}", summary="Write to a chat again", tag="Steering", body=ByBody,
    answer=Steered, errors=(404,),
)  # fmt: skip
async def unsuppress(call: ApiRequest) -> Steered:
    chat_id = parse_chat_id(call.path["chat_id"])
    if not await call.deps.control.unsuppress(call.org_no, chat_id, actor_of(call.decoded(ByBody))):
        raise NotFound("The chat is not on the suppression list")
    return Steered(chat_id, "allowed", True)
