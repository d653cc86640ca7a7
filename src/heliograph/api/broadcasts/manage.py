"""Progress of broadcasts, and pause, resume, cancel and retry. Source: contract 2.3 and 3.3."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from heliograph.api.http.actor import ByBody, Retried, actor_of, conflict_for_state
from heliograph.api.http.pagination import page_of
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, QueryParameter, route
from heliograph.domain.broadcasts.broadcast import BroadcastRow, WrongState
from heliograph.domain.contract.broadcasts import BroadcastObject, broadcast_object
from heliograph.domain.errors import NotFound, invalid
from heliograph.domain.jobs.ids import JobId, parse_job_id


@route(
    "GET", "/queue/broadcast",
    summary="How far a broadcast has come", tag="Broadcasts", answer=BroadcastObject, errors=(404,),
    query=(QueryParameter("broadcast_id", "Which one"),), description="From counters: the same time for any size.",
)  # fmt: skip
async def status(call: ApiRequest) -> BroadcastObject:
    name = call.text("broadcast_id")
    if name is None:
        raise invalid("broadcast_id", "broadcast_id is missing")
    return await _object(call, name)


@route(
    "GET", "/message/broadcast/{broadcast_id:str}",
    summary="A broadcast", tag="Broadcasts", answer=BroadcastObject, errors=(404,),
)  # fmt: skip
async def get_broadcast(call: ApiRequest) -> BroadcastObject:
    return await _object(call, call.path["broadcast_id"])


class BroadcastList(msgspec.Struct, frozen=True):
    broadcasts: list[BroadcastObject]
    count: int


@route(
    "GET", "/message/broadcast",
    summary="Broadcasts, newest first", tag="Broadcasts", phone=PhoneHeader.OPTIONAL, answer=BroadcastList,
    query=(QueryParameter("limit", "How many", "integer", 1, 500), QueryParameter("offset", "How many to leave out",
    "integer", 0)),
)  # fmt: skip
async def list_broadcasts(call: ApiRequest) -> BroadcastList:
    limit, offset = page_of(call, 100, 500)
    rows = await call.deps.broadcasts.broadcasts(call.org_no, call.phone_no, limit=limit, offset=offset)
    broadcasts = [await _broadcast_object(call, row) for row in rows]
    return BroadcastList(broadcasts, len(broadcasts))


_Verb = Callable[[int, JobId, str], Awaitable[BroadcastRow | WrongState | None]]
_ACTION: dict[str, Any] = {
    "tag": "Broadcasts", "body": ByBody, "answer": BroadcastObject, "errors": (404, 409)
}  # fmt: skip


@route(
    "POST", "/message/broadcast/{broadcast_id:str}/pause", summary="Pause a broadcast", **_ACTION,
    description="Nothing of it is started after the answer; what is being sent ends.",
)  # fmt: skip
async def pause(call: ApiRequest) -> BroadcastObject:
    return await _change(call, call.deps.broadcasts.pause_broadcast)


@route("POST", "/message/broadcast/{broadcast_id:str}/resume", summary="Let a broadcast go on", **_ACTION)
async def resume(call: ApiRequest) -> BroadcastObject:
    return await _change(call, call.deps.broadcasts.resume_broadcast)


@route(
    "POST", "/message/broadcast/{broadcast_id:str}/cancel", summary="Stop a broadcast for good", **_ACTION,
    description="What has not started is not sent.",
)  # fmt: skip
async def cancel(call: ApiRequest) -> BroadcastObject:
    return await _change(call, call.deps.broadcasts.cancel_broadcast)


@route(
    "POST", "/message/broadcast/{broadcast_id:str}/retry", summary="Send its failed messages again",
    tag="Broadcasts", body=ByBody, answer=Retried, errors=(404, 409),
)  # fmt: skip
async def retry(call: ApiRequest) -> Retried:
    actor = actor_of(call.decoded(ByBody))
    number = _number(call.path["broadcast_id"])
    row = await call.deps.broadcasts.broadcast(call.org_no, number)
    if row is None:
        raise unknown_broadcast()
    if row.state == "cancelled":
        raise conflict_for_state("broadcast", WrongState(row.state))
    moved = await call.deps.broadcasts.retry_broadcast(call.org_no, number, actor)
    if moved:
        call.deps.wake.phones((row.phone_no,))
    return Retried(moved or 0)


async def _change(call: ApiRequest, verb: _Verb) -> BroadcastObject:
    actor = actor_of(call.decoded(ByBody))
    changed = await verb(call.org_no, _number(call.path["broadcast_id"]), actor)
    if changed is None:
        raise unknown_broadcast()
    if isinstance(changed, WrongState):
        raise conflict_for_state("broadcast", changed)
    call.deps.wake.phones((changed.phone_no,))
    return await _broadcast_object(call, changed)


def unknown_broadcast() -> NotFound:
    return NotFound("There is no such broadcast in this organisation")


def _number(name: str) -> JobId:
    number = parse_job_id(name) if len(name) == 36 else None
    if number is None:
        raise unknown_broadcast()
    return number


async def _object(call: ApiRequest, name: str) -> BroadcastObject:
    row = await call.deps.broadcasts.broadcast(call.org_no, _number(name))
    if row is None:
        raise unknown_broadcast()
    return await _broadcast_object(call, row)


async def _broadcast_object(call: ApiRequest, row: BroadcastRow) -> BroadcastObject:
    phone = await call.deps.phones.phone_row(call.org_no, row.phone_no)
    if phone is None:
        raise unknown_broadcast()
    return broadcast_object(row, phone, call.deps.clock.now_us())
