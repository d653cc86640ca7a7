"""Operator actions on a phone's queue, a chat or a message: pause, resume, cancel, retry, resolve. All are extensions.

Promise: an action and its actor are on disk before the answer. A state that forbids it is answered with 409, and
nothing is changed.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from heliograph.api.http.actor import ByBody, Retried, actor_of, conflict_for_state, reason_of
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, route
from heliograph.domain.broadcasts.broadcast import WrongState
from heliograph.domain.contract.jobs import QueueJob, queue_job
from heliograph.domain.errors import Conflict, invalid
from heliograph.domain.jobs.ids import JobId, parse_job_id, queue_id
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.chat import parse_chat_id
from heliograph.domain.timestamps import iso, parse_moment

MAX_RETRIED = 2_000


class Steered(msgspec.Struct, frozen=True):
    """The state after an action. `changed` is false if it was so before."""

    what: str
    state: str
    changed: bool


_ACTION: dict[str, Any] = {"tag": "Steering", "body": ByBody, "phone": PhoneHeader.REQUIRED, "answer": Steered}


@route("POST", "/phones/pause", summary="Pause a phone: it starts nothing", errors=(404,), **_ACTION)
async def pause_phone(call: ApiRequest) -> Steered:
    body, phone = call.decoded(ByBody), call.required_phone
    changed = await call.deps.control.pause_phone(phone.org_no, phone.phone_no, actor_of(body), reason_of(body))
    call.state.phones.forget(phone.org_no)
    call.deps.wake.phones((phone.phone_no,))
    return Steered(phone.phone_id, "paused", changed)


@route("POST", "/phones/resume", summary="Let a phone go on", errors=(404,), **_ACTION)
async def resume_phone(call: ApiRequest) -> Steered:
    phone = call.required_phone
    changed = await call.deps.control.resume_phone(phone.org_no, phone.phone_no, actor_of(call.decoded(ByBody)))
    call.state.phones.forget(phone.org_no)
    call.deps.wake.phones((phone.phone_no,))
    return Steered(phone.phone_id, "running", changed)


@route("POST", "/chats/{chat_id:str}/pause", summary="Pause a chat: nothing is sent to it", errors=(404,), **_ACTION)
async def pause_chat(call: ApiRequest) -> Steered:
    body, phone = call.decoded(ByBody), call.required_phone
    chat_id = parse_chat_id(call.path["chat_id"])
    changed = await call.deps.control.pause_chat(phone.org_no, phone.phone_no, chat_id, actor_of(body), reason_of(body))
    return Steered(chat_id, "paused", changed)


@route("POST", "/chats/{chat_id:str}/resume", summary="Let a chat go on", errors=(404,), **_ACTION)
async def resume_chat(call: ApiRequest) -> Steered:
    phone, chat_id = call.required_phone, parse_chat_id(call.path["chat_id"])
    actor = actor_of(call.decoded(ByBody))
    changed = await call.deps.control.resume_chat(phone.org_no, phone.phone_no, chat_id, actor)
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
    phone = call.required_phone
    rows = await call.deps.control.holds(phone.org_no, phone.phone_no)
    return [HoldObject(_what(row.target), row.actor, row.reason, iso(row.at_us)) for row in rows]


def _what(text: str) -> str:
    """Shows `broadcast:NO` by its public id."""
    kind, _, name = text.partition(":")
    return f"broadcast:{queue_id(JobId(int(name)))}" if kind == "broadcast" else text


_MESSAGE_ACTION: dict[str, Any] = {
    "tag": "Steering", "phone": PhoneHeader.OPTIONAL, "answer": QueueJob, "errors": (404, 409)
}  # fmt: skip


@route(
    "POST",
    "/message/{message_id:str}/cancel",
    summary="Take a message out that has not started",
    body=ByBody,
    **_MESSAGE_ACTION,
)
async def cancel(call: ApiRequest) -> QueueJob:
    job = await call.job()
    actor = actor_of(call.decoded(ByBody))
    if not await call.deps.jobs.purge(call.org_no, None, job_ids=[job.job_id], actor=actor):
        raise await _wrong_state(call, job)
    return await _queue_job(call, job)


@route(
    "POST", "/message/{message_id:str}/retry", summary="Try a waiting message now, or a failed one again", body=ByBody,
    description="A failed message goes to the end of its queue, with the same ids. One that waits for its turn: 409.",
    **_MESSAGE_ACTION,
)  # fmt: skip
async def retry(call: ApiRequest) -> QueueJob:
    job = await call.job()
    refused = await call.deps.control.retry_now(call.org_no, [job.job_id], actor_of(call.decoded(ByBody)))
    if State.QUEUED in refused.values():
        message = (
            "The message is not the next of its chat, or the chat is paused: its explanation says what it waits for"
        )
        raise Conflict(message, fields={"state": {"message": message, "value": State.QUEUED.value}})
    if refused:
        raise await _wrong_state(call, job)
    return await _queue_job(call, job)


class ResolveBody(ByBody, kw_only=True):
    """`outcome`: arrived (it counts as sent), again (it is sent again), give_up (it counts as failed)."""

    outcome: Annotated[str, Meta(extra_json_schema={"enum": ["arrived", "again", "give_up"]})]


@route(
    "POST",
    "/message/{message_id:str}/resolve",
    summary="Settle an uncertain message by hand",
    body=ResolveBody,
    **_MESSAGE_ACTION,
)
async def resolve(call: ApiRequest) -> QueueJob:
    job = await call.job()
    body = call.decoded(ResolveBody)
    if body.outcome not in ("arrived", "again", "give_up"):
        raise invalid("outcome", "outcome must be arrived, again or give_up", body.outcome)
    state = await call.deps.control.resolve(call.org_no, job.job_id, body.outcome, actor_of(body))
    if state is not None:
        raise await _wrong_state(call, job)
    return await _queue_job(call, job)


class RetryBody(ByBody):
    """`queue_ids`: these; `since`: everything of the phone that failed among the messages accepted since then."""

    queue_ids: list[str] | None = None
    since: str | None = None


@route(
    "POST", "/message/queues/retry", summary="Put failed messages back into the queue", tag="Steering",
    phone=PhoneHeader.OPTIONAL, body=RetryBody, answer=Retried, errors=(404,),
)  # fmt: skip
async def retry_failed(call: ApiRequest) -> Retried:
    body = call.decoded(RetryBody)
    actor = actor_of(body)
    if (body.queue_ids is None) == (body.since is None):
        raise invalid("queue_ids", "Give either queue_ids or since")
    if body.queue_ids is not None:
        if len(body.queue_ids) > MAX_RETRIED:
            raise invalid("queue_ids", f"queue_ids may name at most {MAX_RETRIED} messages")
        job_ids = [job_id for name in dict.fromkeys(body.queue_ids) if (job_id := parse_job_id(name)) is not None]
        refused = await call.deps.control.retry_now(call.org_no, job_ids, actor)
        moved = len(set(job_ids)) - len(refused)
    else:
        if call.phone is None:
            raise invalid("x-phone", "Missing Header: {x-phone}")
        since_us = parse_moment(body.since, "since")
        moved = await call.deps.control.retry_failed(call.org_no, call.phone.phone_no, since_us, actor)
    if call.phone_no is not None:
        call.deps.wake.phones((call.phone_no,))
    return Retried(moved)


async def _queue_job(call: ApiRequest, job: Job) -> QueueJob:
    call.deps.wake.phones((job.phone_no,))
    now = await call.deps.jobs.job(call.org_no, queue_id(job.job_id)) or job
    [sentence] = await call.deps.jobs.explain_many([now])
    return queue_job(now, now_us=call.deps.clock.now_us(), said=sentence)


async def _wrong_state(call: ApiRequest, job: Job) -> Exception:
    if job.events == 0:
        message = "The message is part of a broadcast and has not come to its turn: steer the broadcast"
        return Conflict(message, fields={"state": {"message": message, "value": job.state.value}})
    now = await call.deps.jobs.job(call.org_no, queue_id(job.job_id)) or job
    return conflict_for_state("message", WrongState(now.state.value))
