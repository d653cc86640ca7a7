"""The message object, the status in one word and in plain words, and the history of a message.

A message is found by queue_id, unique_id or message_id for its whole life, whichever phone of the organisation sent it.
Source: contract 2.1 and 3.1; interface, "Jobs on the wire".
"""

from heliograph.api.http.request import ApiRequest, unknown_message
from heliograph.api.http.route import PhoneHeader, route
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.jobs import HistoryEvent, JobStatus, history_events, job_status
from heliograph.domain.contract.messages import MessageObject, message_object
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import State

_ABOUT_ID = "The id may be the queue_id, the unique_id or the message_id (percent-encoded)."


@route(
    "GET", "/message/{message_id:str}",
    summary="A message", tag="Messages", phone=PhoneHeader.OPTIONAL, answer=MessageObject, errors=(404,),
    description=f"{_ABOUT_ID} A message that has not been sent yet has ack \"0\".",
)  # fmt: skip
async def message(call: ApiRequest) -> MessageObject:
    job, phone = await _job_and_phone(call, "message_id")
    return message_object(job, phone)


@route(
    "GET", "/message/{unique_id:str}/status", aliases=("/messages/{unique_id:str}/status",),
    summary="How far a message has come", tag="Messages", phone=PhoneHeader.OPTIONAL, answer=JobStatus, errors=(404,),
    description=f"{_ABOUT_ID} From queued, scheduled, sending or pending to sent, delivered, read, played; or failed.",
)  # fmt: skip
async def status(call: ApiRequest) -> JobStatus:
    job, phone = await _job_and_phone(call, "unique_id")
    sentence = None
    if job.state is State.QUEUED:
        sentence = (await call.deps.jobs.explain(job)).sentence
    return job_status(job, now_us=call.deps.clock.now_us(), phone=phone, said=sentence)


@route(
    "GET", "/message/{message_id:str}/history",
    summary="Everything that happened to a message", tag="Messages", phone=PhoneHeader.OPTIONAL,
    answer=list[HistoryEvent], errors=(404,), description=f"{_ABOUT_ID} Oldest first, numbered without holes.",
)  # fmt: skip
async def history(call: ApiRequest) -> list[HistoryEvent]:
    job, _ = await _job_and_phone(call, "message_id")
    return history_events(await call.deps.jobs.history(call.org_no, job.job_id))


async def _job_and_phone(call: ApiRequest, name: str) -> tuple[Job, PhoneRow]:
    job = await call.job(name)
    phone = await call.deps.phones.phone_row(call.org_no, job.phone_no)
    if phone is None:
        raise unknown_message()
    return job, phone
