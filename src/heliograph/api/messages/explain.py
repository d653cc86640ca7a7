"""GET /v1/message/{id}/explain: why a message does not move, and when it will."""

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, route
from heliograph.domain.contract.broadcasts import ExplanationObject, explanation_object
from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.states import shown_status


@route(
    "GET", "/message/{message_id:str}/explain", summary="Why a message is where it is, and when it will go",
    tag="Messages", phone=PhoneHeader.OPTIONAL, answer=ExplanationObject, errors=(404,),
    description="What holds it back, the most decisive first, each with until when and what can be done.",
)  # fmt: skip
async def explain(call: ApiRequest) -> ExplanationObject:
    job = await call.job()
    phone = await call.deps.phones.phone_row(call.org_no, job.phone_no)
    provider = None if phone is None else call.deps.provider(phone.provider)
    in_flight = 1 if provider is None else provider.capabilities.in_flight
    explanation = await call.deps.jobs.explain(job, in_flight=in_flight)
    return explanation_object(queue_id(job.job_id), shown_status(job.state, job.ack), explanation)
