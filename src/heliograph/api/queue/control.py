"""Steering a phone's queue, a chat or a message by hand, and why a message is where it is. Extensions all.

Promise: each act is on disk, with who did it, when the answer comes; a message that is past it is refused with 409 and
the state it is in, and nothing is changed.
"""

from typing import Annotated, Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from heliograph.api.http.actor import ByBody, Retried, actor_of, conflict_for_state, page, reason_of, steering_of
from heliograph.api.http.request import ApiRequest, unknown_message
from heliograph.api.http.route import PhoneHeader, QueryParameter, route
from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.contract.broadcasts import ExplanationObject, explanation_object
from heliograph.domain.contract.jobs import QueueJob, queue_job
from heliograph.domain.errors import Conflict, NotFound, invalid
from heliograph.domain.jobs.ids import JobId, parse_job_id, queue_id
from heliograph.domain.jobs.job import Job, PhoneRow
from heliograph.domain.jobs.states import State, shown_status
from heliograph.domain.messages.chat import parse_chat_id
from heliograph.domain.timestamps import iso, parse_moment
from heliograph.ports.control_store import AuditEntry

MOST = 2_000


class Steered(msgspec.Struct, frozen=True):
    """`changed` is false where it was so already."""

    what: str
    state: str
    changed: bool


_ACT: dict[str, Any] = {"tag": "Steering", "body": ByBody, "phone": PhoneHeader.REQUIRED, "answer": Steered}


@route("POST", "/phones/pause", summary="Pause a phone: it starts nothing", errors=(404,), **_ACT)
async def pause_phone(call: ApiRequest) -> Steered:
    body, phone = call.decoded(ByBody), call.the_phone
    changed = await steering_of(call).pause_phone(phone.org_no, phone.phone_no, actor_of(body), reason_of(body))
    call.desk.phones.forget(phone.org_no)
    call.deps.wake.phones((phone.phone_no,))
    return Steered(phone.phone_id, "paused", changed)


@route("POST", "/phones/resume", summary="Let a phone go on", errors=(404,), **_ACT)
async def resume_phone(call: ApiRequest) -> Steered:
    phone = call.the_phone
    changed = await steering_of(call).resume_phone(phone.org_no, phone.phone_no, actor_of(call.decoded(ByBody)))
    call.desk.phones.forget(phone.org_no)
    call.deps.wake.phones((phone.phone_no,))
    return Steered(phone.phone_id, "running", changed)


@route("POST", "/chats/{chat_id:str}/pause", summary="Pause a chat: nothing is sent to it", errors=(404,), **_ACT)
async def pause_chat(call: ApiRequest) -> Steered:
    body, phone = call.decoded(ByBody), call.the_phone
    chat_id = parse_chat_id(call.path["chat_id"])
    changed = await steering_of(call).pause_chat(phone.org_no, phone.phone_no, chat_id, actor_of(body), reason_of(body))
    return Steered(chat_id, "paused", changed)


@route("POST", "/chats/{chat_id:str}/resume", summary="Let a chat go on", errors=(404,), **_ACT)
async def resume_chat(call: ApiRequest) -> Steered:
    phone, chat_id = call.the_phone, parse_chat_id(call.path["chat_id"])
    actor = actor_of(call.decoded(ByBody))
    changed = await steering_of(call).resume_chat(phone.org_no, phone.phone_no, chat_id, actor)
    call.deps.wake.phones((phone.phone_no,))
    return Steered(chat_id, "running", changed)


class HoldObject(msgspec.Struct, frozen=True):
    what: str
    by: str
    reason: str
    at: str


@route(
    "GET", "/queue/holds", summary="What is paused on a phone", tag="Steering", phone=PhoneHeader.REQUIRED,
    answer=list[HoldObject], errors=(404,),
)  # fmt: skip
async def holds(call: ApiRequest) -> list[HoldObject]:
    phone = call.the_phone
    rows = await steering_of(call).holds(phone.org_no, phone.phone_no)
    return [HoldObject(_what(row.what), row.actor, row.reason, iso(row.at_us)) for row in rows]


def _what(text: str) -> str:
    """`broadcast:NO` by its public id."""
    kind, _, name = text.partition(":")
    return f"broadcast:{queue_id(JobId(int(name)))}" if kind == "broadcast" else text


class ActObject(msgspec.Struct, frozen=True):
    """`phone_id` and `number`: the phone that it was done to, if any."""

    at: str
    by: str
    act: str
    what: str
    detail: str
    phone_id: str | None
    number: str | None


@route(
    "GET", "/queue/acts", summary="Who did what to queues, newest first", tag="Steering", answer=list[ActObject],
    query=(QueryParameter("limit", "How many", "integer", 1, 1000),),
)  # fmt: skip
async def list_audit_log(call: ApiRequest) -> list[ActObject]:
    limit, _ = page(call, 100, 1000)
    found = await steering_of(call).audit_log(call.org_no, limit=limit)
    phones = {phone.phone_no: phone for phone in await call.deps.accounts.phones(call.org_no)}
    for phone_no in {act.phone_no for act in found if act.phone_no is not None} - phones.keys():
        if (deleted := await call.deps.accounts.phone_row(call.org_no, phone_no)) is not None:
            phones[phone_no] = deleted
    return [_act(act, None if act.phone_no is None else phones.get(act.phone_no)) for act in found]


def _act(act: AuditEntry, phone: PhoneRow | None) -> ActObject:
    name, number = (None, None) if phone is None else (phone.phone_id, phone.number)
    return ActObject(iso(act.at_us), act.actor, act.act, act.what, act.detail, name, number)


_ONE: dict[str, Any] = {
    "tag": "Steering", "phone": PhoneHeader.OPTIONAL, "answer": QueueJob, "errors": (404, 409)
}  # fmt: skip


@route(
    "POST", "/message/{message_id:str}/cancel", summary="Take a message out that has not started", body=ByBody, **_ONE
)
async def cancel(call: ApiRequest) -> QueueJob:
    job = await _job(call)
    actor = actor_of(call.decoded(ByBody))
    if not await call.deps.intake.purge(call.org_no, None, job_ids=[job.job_id], actor=actor):
        raise await _elsewhere(call, job)
    return await _after(call, job)


@route(
    "POST", "/message/{message_id:str}/retry", summary="Try a waiting message now, or a failed one again", body=ByBody,
    description="A failed message goes to the end of its queue, with the same ids. One that waits for its turn: 409.",
    **_ONE,
)  # fmt: skip
async def retry(call: ApiRequest) -> QueueJob:
    job = await _job(call)
    steering = steering_of(call)
    done = await steering.retry_now(call.org_no, [job.job_id], actor_of(call.decoded(ByBody)))
    if State.QUEUED in done.values():
        message = (
            "The message is not the next of its chat, or the chat is paused: its explanation says what it waits for"
        )
        raise Conflict(message, fields={"state": {"message": message, "value": State.QUEUED.value}})
    if done:
        raise await _elsewhere(call, job)
    return await _after(call, job)


class ResolveBody(ByBody, kw_only=True):
    """`outcome`: arrived (it counts as sent), again (it is sent again), give_up (it counts as failed)."""

    outcome: Annotated[str, Meta(extra_json_schema={"enum": ["arrived", "again", "give_up"]})]


@route(
    "POST", "/message/{message_id:str}/resolve", summary="Settle an uncertain message by hand", body=ResolveBody, **_ONE
)
async def resolve(call: ApiRequest) -> QueueJob:
    job = await _job(call)
    body = call.decoded(ResolveBody)
    if body.outcome not in ("arrived", "again", "give_up"):
        raise invalid("outcome", "outcome must be arrived, again or give_up", body.outcome)
    state = await steering_of(call).resolve(call.org_no, job.job_id, body.outcome, actor_of(body))
    if state is not None:
        raise await _elsewhere(call, job)
    return await _after(call, job)


class RetryBody(ByBody):
    """`queue_ids`: these; `since`: everything of the phone that failed among the messages accepted since then."""

    queue_ids: list[str] | None = None
    since: str | None = None


@route(
    "POST", "/message/queues/retry", summary="Put failed messages back into the queue", tag="Steering",
    phone=PhoneHeader.OPTIONAL, body=RetryBody, answer=Retried, errors=(404,),
)  # fmt: skip
async def retry_failed(call: ApiRequest) -> Retried:
    body, steering = call.decoded(RetryBody), steering_of(call)
    actor = actor_of(body)
    if (body.queue_ids is None) == (body.since is None):
        raise invalid("queue_ids", "Give either queue_ids or since")
    if body.queue_ids is not None:
        if len(body.queue_ids) > MOST:
            raise invalid("queue_ids", f"queue_ids may name at most {MOST} messages")
        wanted = [job_id for name in dict.fromkeys(body.queue_ids) if (job_id := parse_job_id(name)) is not None]
        refused_ones = await steering.retry_now(call.org_no, wanted, actor)
        moved = len(set(wanted)) - len(refused_ones)
    else:
        if call.phone is None:
            raise invalid("x-phone", "Missing Header: {x-phone}")
        since_us = parse_moment(body.since, "since")
        moved = await steering.retry_failed(call.org_no, call.phone.phone_no, since_us, actor)
    if call.phone_no is not None:
        call.deps.wake.phones((call.phone_no,))
    return Retried(moved)


@route(
    "GET", "/message/{message_id:str}/explain", summary="Why a message is where it is, and when it will go",
    tag="Messages", phone=PhoneHeader.OPTIONAL, answer=ExplanationObject, errors=(404,),
    description="What holds it back, the most decisive first, each with until when and what can be done.",
)  # fmt: skip
async def explain(call: ApiRequest) -> ExplanationObject:
    job = await _job(call)
    phone = await call.deps.accounts.phone_row(call.org_no, job.phone_no)
    provider = None if phone is None else call.deps.provider(phone.provider)
    in_flight = 1 if provider is None else provider.capabilities.in_flight
    found = await steering_of(call).explain(job, in_flight=in_flight)
    return explanation_object(queue_id(job.job_id), shown_status(job.state, job.ack), found)


async def _job(call: ApiRequest) -> Job:
    job = await call.deps.intake.job(call.org_no, call.handle("message_id"))
    if job is None:
        raise unknown_message()
    return job


async def _after(call: ApiRequest, job: Job) -> QueueJob:
    call.deps.wake.phones((job.phone_no,))
    now = await call.deps.intake.job(call.org_no, queue_id(job.job_id)) or job
    said = await steering_of(call).described([now])
    return queue_job(now, now_us=call.deps.clock.now_us(), said=said[0])


async def _elsewhere(call: ApiRequest, job: Job) -> Exception:
    if job.events == 0:
        message = "The message is part of a broadcast and has not come to its turn: steer the broadcast"
        return Conflict(message, fields={"state": {"message": message, "value": job.state.value}})
    now = await call.deps.intake.job(call.org_no, queue_id(job.job_id)) or job
    return conflict_for_state("message", WrongState(now.state.value))


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
    limit, _ = page(call, 1000, 2000)
    rows = await steering_of(call).suppressions(call.org_no, after=call.text("after") or "", limit=limit)
    return [SuppressionObject(row.chat_id, row.reason, row.actor, iso(row.at_us)) for row in rows]


@route(
    "POST", "/suppressions", summary="Leave a chat out from now on", tag="Steering", body=SuppressBody, answer=Steered
)
async def suppress(call: ApiRequest) -> Steered:
    body = call.decoded(SuppressBody)
    chat_id = parse_chat_id(body.chat_id)
    reason = reason_of(body) or "entered by hand"
    changed = await steering_of(call).suppress(call.org_no, chat_id, reason, actor_of(body))
    return Steered(chat_id, "suppressed", changed)


@route(
    "DELETE", "/suppressions/{chat_id:str}", summary="Write to a chat again", tag="Steering", body=ByBody,
    answer=Steered, errors=(404,),
)  # fmt: skip
async def unsuppress(call: ApiRequest) -> Steered:
    chat_id = parse_chat_id(call.path["chat_id"])
    if not await steering_of(call).unsuppress(call.org_no, chat_id, actor_of(call.decoded(ByBody))):
        raise NotFound("The chat is not on the suppression list")
    return Steered(chat_id, "allowed", True)


def routes() -> list[HTTPRouteHandler]:
    return [
        pause_phone,
        resume_phone,
        pause_chat,
        resume_chat,
        holds,
        list_audit_log,
        cancel,
        retry,
        resolve,
        retry_failed,
        explain,
        suppressions,
        suppress,
        unsuppress,
    ]
