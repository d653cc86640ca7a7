"""POST /v1/message/send-sync: as send, and waits until WhatsApp has accepted the message or the time is over.

Promise: an answer `sent` means that the network accepted the message. After the time, the ordinary answer is given and
the message stays in the queue. Known weakness: a replay waits again and returns the present state.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from heliograph.api.http.body import check_encoding, decode
from heliograph.api.http.idempotency import headers_if
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, QueryParameter, RawResponse, route
from heliograph.api.messages.send import accept
from heliograph.api.messages.send_body import SendBody
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.jobs import HINT
from heliograph.domain.contract.messages import MessageObject, message_object
from heliograph.domain.errors import invalid
from heliograph.domain.explain.explanation import describe
from heliograph.domain.jobs.ids import queue_id, unique_id
from heliograph.domain.jobs.job import Enqueued, Job
from heliograph.domain.jobs.states import State, shown_status

SEND_SYNC = "/v1/message/send-sync"
SYNC_TIMEOUT_S = 20.0
MAX_SYNC_S = 120.0
MIN_POLL_S = 0.02
MAX_POLL_S = 0.25


class SyncBody(SendBody):
    sync_timeout: Annotated[
        float | None,
        Meta(
            description="Seconds to wait for WhatsApp to take the message",
            extra_json_schema={"minimum": 0, "maximum": MAX_SYNC_S},
        ),
    ] = None


class SyncAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` sent: WhatsApp accepted it in time, with the message. Otherwise the ordinary answer.

    A status failed, or pending for an uncertain outcome, comes with the reason in words.
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
    job = await _wait_for_end(call, enqueued, limit_s)
    return RawResponse(
        msgspec.json.encode(_sync_answer(enqueued, job, call.phone, call.deps.clock.now_us())),
        headers=headers_if(enqueued.replayed),
    )


def _sync_timeout(call: ApiRequest, body: SyncBody) -> float:
    timeout_s = body.sync_timeout if body.sync_timeout is not None else call.number("sync_timeout", float)
    if timeout_s is None:
        return SYNC_TIMEOUT_S
    if not 0 <= timeout_s <= MAX_SYNC_S:
        raise invalid("sync_timeout", f"sync_timeout must be 0 to {MAX_SYNC_S:g} seconds")
    return timeout_s


async def _wait_for_end(call: ApiRequest, enqueued: Enqueued, limit_s: float) -> Job | None:
    """Waits for the job to be sent or to end, and returns its state at the end of the time at the latest."""
    deps, wait_s = call.deps, MIN_POLL_S
    until = deps.clock.monotonic() + limit_s
    while True:
        job = await deps.jobs.job(call.org_no, queue_id(enqueued.job_id))
        left_s = until - deps.clock.monotonic()
        if job is None or job.state not in (State.QUEUED, State.SENDING) or left_s <= 0 or deps.closing():
            return job
        await deps.clock.sleep(min(wait_s, left_s))
        wait_s = min(wait_s * 1.5, MAX_POLL_S)


def _sync_answer(enqueued: Enqueued, job: Job | None, phone: PhoneRow, now_us: int) -> SyncAnswer:
    name, unique = queue_id(enqueued.job_id), unique_id(enqueued.job_id)
    if job is not None and job.state is State.SENT:
        return SyncAnswer("sent", unique, message=message_object(job, phone), queue_id=name)
    ended = job is not None and job.state not in (State.QUEUED, State.SENDING)
    return SyncAnswer(
        shown_status(job.state, job.ack) if job is not None and ended else "queued",
        unique,
        queue_id=name,
        queue_position=enqueued.position,
        hint=HINT + name,
        status_description=describe(job, now_us=now_us, phone=phone) if job is not None and ended else None,
    )
