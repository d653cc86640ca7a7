"""POST /v1/message/send-sync: as send, and waits until WhatsApp has taken the message or the time is over.

Promise: what comes back in time as `sent` was taken by the network; otherwise the ordinary answer, and the message goes
on its way all the same. Weakness: a replay waits anew and tells how the message stands now.
"""

from typing import Annotated

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from heliograph.api.http.body import check_encoding, decode
from heliograph.api.http.idempotency import headers_if
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, QueryParameter, RawResponse, route
from heliograph.api.messages.send import accept
from heliograph.api.messages.send_body import SendBody
from heliograph.domain.contract.jobs import HINT
from heliograph.domain.contract.messages import MessageObject, message_object
from heliograph.domain.errors import invalid
from heliograph.domain.explain.explanation import describe
from heliograph.domain.jobs.ids import queue_id, unique_id
from heliograph.domain.jobs.job import Enqueued, Job, PhoneRow
from heliograph.domain.jobs.states import State, shown_status

SEND_SYNC = "/v1/message/send-sync"
SYNC_TIMEOUT_S = 20.0
MAX_SYNC_S = 120.0
FIRST_LOOK_S = 0.02
SLOWEST_LOOK_S = 0.25


class SyncBody(SendBody):
    sync_timeout: Annotated[
        float | None,
        Meta(
            description="Seconds to wait for WhatsApp to take the message",
            extra_json_schema={"minimum": 0, "maximum": MAX_SYNC_S},
        ),
    ] = None


class SyncAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` sent: WhatsApp took it in time, here is the message. Otherwise as the ordinary answer; failed, and
    pending for an outcome that nobody knows yet, with the reason in words.
    """

    status: str
    unique_id: str
    message: MessageObject | None = None
    queue_id: str | None = None
    queue_position: int | None = None
    hint: str | None = None
    status_description: str | None = None


_decoder = msgspec.json.Decoder(SyncBody)


@route(
    "POST", "/message/send-sync",
    summary="Send a message and wait until WhatsApp has taken it", tag="Messages", phone=PhoneHeader.OF_CHAT,
    body=SyncBody, answer=SyncAnswer, query=(QueryParameter("sync_timeout", "Seconds to wait, 20 if not given",
    "number"),),
    errors=(404, 415), idempotent=True,
    example={"chat_id": "919537851844@c.us", "message": "Hi", "sync_timeout": 5},
)  # fmt: skip
async def send_message_sync(call: ApiRequest) -> RawResponse:
    check_encoding(call.head.content_type, call.head.content_encoding, call.body)
    body = decode(_decoder, call.body)
    limit_s = _sync_timeout(call, body)
    enqueued, call.phone = await accept(call.state, call.caller, call.head, call.body, body, path=SEND_SYNC)
    job = await _ended(call, enqueued, limit_s)
    return RawResponse(
        msgspec.json.encode(_sync_answer(enqueued, job, call.phone, call.deps.clock.now_us())),
        headers=headers_if(enqueued.replayed),
    )


def _sync_timeout(call: ApiRequest, body: SyncBody) -> float:
    asked = body.sync_timeout if body.sync_timeout is not None else call.number("sync_timeout", float)
    if asked is None:
        return SYNC_TIMEOUT_S
    if not 0 <= asked <= MAX_SYNC_S:
        raise invalid("sync_timeout", f"sync_timeout must be 0 to {MAX_SYNC_S:g} seconds")
    return asked


async def _ended(call: ApiRequest, enqueued: Enqueued, limit_s: float) -> Job | None:
    """The job once it is sent or has ended, or as it stands when the time is over."""
    deps, wait_s = call.deps, FIRST_LOOK_S
    until = deps.clock.monotonic() + limit_s
    while True:
        job = await deps.intake.job(call.org_no, queue_id(enqueued.job_id))
        left_s = until - deps.clock.monotonic()
        if job is None or job.state not in (State.QUEUED, State.SENDING) or left_s <= 0 or deps.closing():
            return job
        await deps.clock.sleep(min(wait_s, left_s))
        wait_s = min(wait_s * 1.5, SLOWEST_LOOK_S)


def _sync_answer(enqueued: Enqueued, job: Job | None, phone: PhoneRow, now_us: int) -> SyncAnswer:
    name, unique = queue_id(enqueued.job_id), unique_id(enqueued.job_id)
    if job is not None and job.state is State.SENT:
        return SyncAnswer("sent", unique, message=message_object(job, phone), queue_id=name)
    stands = job is not None and job.state not in (State.QUEUED, State.SENDING)
    return SyncAnswer(
        shown_status(job.state, job.ack) if job is not None and stands else "queued",
        unique,
        queue_id=name,
        queue_position=enqueued.position,
        hint=HINT + name,
        status_description=describe(job, now_us=now_us, phone=phone) if job is not None and stands else None,
    )


def routes() -> list[HTTPRouteHandler]:
    return [send_message_sync]
