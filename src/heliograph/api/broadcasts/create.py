"""POST /v1/message/broadcast: one message to up to 100,000 chats, each with its own variables.

Promise: the whole list is on disk before the answer, or nothing of it is sent. A wrong number, a missing variable or a
bad row of a CSV refuses the whole list and is named. Source: contract 2.1.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from heliograph.api.broadcasts.recipients import (
    RecipientList,
    Steps,
    from_csv,
    is_null,
    recipients_in_body,
    release,
    slowly,
)
from heliograph.api.http.actor import By, performer
from heliograph.api.http.idempotency import headers_if, idempotency
from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import PhoneHeader, RawResponse, route
from heliograph.api.messages.send import check_content, check_recipient, prepared
from heliograph.api.messages.send_body import (
    ExpiresAt,
    MediaBody,
    PollBody,
    PriorityName,
    SendOptions,
    TtlSeconds,
    content_of,
)
from heliograph.api.messages.send_options import expiry_of, parse_priority
from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import Use
from heliograph.domain.errors import invalid
from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.jobs.states import Priority
from heliograph.domain.messages.content import MAX_TEXT
from heliograph.domain.messages.template import TemplateCheck, fill
from heliograph.domain.timestamps import iso, parse_future
from heliograph.ports.provider import Provider

MAX_DELAY_S = 86_400.0
CLOCKS_DIFFER_S = 60.0
PATH = "/v1/message/broadcast"


_CHAT_IDS = {"type": ["array", "null"], "items": {"type": "string"}}
_VARIABLES = {
    "type": ["array", "null"],
    "items": {
        "type": "object",
        "required": ["chat_id", "values"],
        "properties": {
            "chat_id": {"type": "string"},
            "values": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
        },
    },
}


def _null() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class BroadcastBody(msgspec.Struct):
    """`chat_ids` with `variables`, or `csv`: a file with one column for the number and one for each variable."""

    # both arrays are raw, to be decoded in steps
    chat_ids: Annotated[msgspec.Raw, Meta(extra_json_schema=_CHAT_IDS)] = msgspec.field(default_factory=_null)
    csv: Annotated[
        str | None, Meta(description="A CSV file as text, with a heading; one column is chat_id, phone …")
    ] = None
    message: Annotated[
        str | None, Meta(description="May hold variables: Hello {{name}}", extra_json_schema={"maxLength": MAX_TEXT})
    ] = None
    media: MediaBody | None = None
    poll: PollBody | None = None
    reply_to: str | None = None
    options: SendOptions | None = None
    scheduled_at: Annotated[str | None, Meta(description="Not before this time (ISO, UTC)")] = None
    delay: Annotated[
        float,
        Meta(description="Seconds between its messages", extra_json_schema={"minimum": 0, "maximum": MAX_DELAY_S}),
    ] = 1.0
    allow_blank: Annotated[bool, Meta(description="Send although a variable of the text is blank for somebody")] = False
    variables: Annotated[msgspec.Raw, Meta(extra_json_schema=_VARIABLES)] = msgspec.field(default_factory=_null)
    priority: PriorityName = None
    ttl_seconds: TtlSeconds = None
    expires_at: ExpiresAt = None
    by: By = None
    dry_run: Annotated[bool, Meta(description="Check and show what would be sent, and send nothing")] = False


class PreviewRow(msgspec.Struct, frozen=True):
    chat_id: str
    message: str


class BroadcastAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`repeated`: recipients left out because they came twice. `respelled`: at most ten of them that came in two
    spellings. The last three are those of a dry run.
    """

    broadcast_id: str | None
    total_chats: int
    repeated: int = 0
    respelled: tuple[str, ...] = ()
    dry_run: bool = False
    new_chats: int | None = None
    finishes_at: str | None = None
    preview: list[PreviewRow] | None = None


@route(
    "POST", "/message/broadcast",
    summary="Send one message to many chats", tag="Broadcasts", phone=PhoneHeader.REQUIRED, body=BroadcastBody,
    answer=BroadcastAnswer, errors=(404, 409, 415), idempotent=True,
    description="Up to 100,000 chats in one call. A 200 means that the whole list is on disk. Single messages of the"
    " phone pass a broadcast; who asked not to be written to is left out.",
    example={
        "chat_ids": ["919537851844@c.us"], "message": "Hello {{name}}", "delay": 1,
        "variables": [{"chat_id": "919537851844@c.us", "values": {"name": "Asha"}}],
    },
    example_answer={"broadcast_id": "ba3273cb-12be-48d4-90e0-0cbc0b427ef1", "total_chats": 1},
)  # fmt: skip
async def broadcast(call: ApiRequest) -> RawResponse | BroadcastAnswer:
    phone = call.required_phone
    # in a thread and in steps: the largest list takes seconds, in which other requests are served
    body, keyed = await slowly(_decoded(call), call.deps.clock)
    now_us = call.deps.clock.now_us()
    if not 0 <= body.delay <= MAX_DELAY_S:  # a NaN is not either
        raise invalid("delay", f"delay must be a number of seconds from 0 to {MAX_DELAY_S:.0f}")
    scheduled_us = None
    if body.scheduled_at is not None:
        scheduled_us = parse_future(body.scheduled_at, "scheduled_at", now_us, grace_s=CLOCKS_DIFFER_S)
    priority, by = parse_priority(body.priority, Priority.BULK), performer(body.by)
    expires_us = expiry_of(body.ttl_seconds, body.expires_at, now_us, from_us=scheduled_us)
    if expires_us is not None and scheduled_us is not None and expires_us <= scheduled_us:
        raise invalid("expires_at", "expires_at lies before scheduled_at", body.expires_at)
    content = content_of(body)
    listed = await slowly(_recipients(body, call.deps.provider(phone.provider)), call.deps.clock)
    first = listed.recipients[0]
    if body.dry_run:
        return await _dry_run(call, listed, body, scheduled_us)
    content = await prepared(call.deps, phone, content, body.media, first.chat_id)
    if listed.other is not None:  # a provider may send this to persons only, or to groups only
        check_content(call.deps, phone, content, None, listed.other)
    new = NewBroadcast(
        broadcast_no=call.deps.job_ids.make(),
        org_no=phone.org_no,
        phone_no=phone.phone_no,
        content=content,
        delay_s=body.delay,
        priority=priority,
        scheduled_at_us=scheduled_us,
        expires_at_us=expires_us,
        performed_by=by,
        idempotency=keyed,
    )
    total = len(listed.recipients)
    broadcast_no, replayed = await call.deps.broadcasts.create_broadcast(new, listed.recipients)
    await slowly(release(listed.recipients), call.deps.clock)
    call.deps.wake.phones((phone.phone_no,))
    answer = BroadcastAnswer(queue_id(broadcast_no), total, listed.repeated, listed.respelled)
    headers = headers_if(replayed)
    return RawResponse(msgspec.json.encode(answer), headers=headers)


def _decoded(call: ApiRequest) -> Steps[tuple[BroadcastBody, Idempotency | None]]:
    body = call.decoded(BroadcastBody)
    yield
    keyed = idempotency(call.head.idempotency_key, path=PATH, phone_id=call.required_phone.phone_id, body=call.body)
    return body, keyed


def _recipients(body: BroadcastBody, provider: Provider | None) -> Steps[RecipientList]:
    """Checks the recipients: each once, and with a value for every variable. Raises Invalid."""
    check = TemplateCheck(body.message or "", most=MAX_TEXT, allow_blank=body.allow_blank)

    def see(chat_id: str, values: Mapping[str, str]) -> None:
        check_recipient(provider, chat_id)
        check.see(chat_id, values)

    if body.csv is None:
        listed = yield from recipients_in_body(body.chat_ids, body.variables, see, check)
    elif not (is_null(body.chat_ids) and is_null(body.variables)):
        raise invalid("csv", "Give either csv, or chat_ids and variables")
    else:
        listed = yield from from_csv(body.csv, Use(check.names, body.allow_blank, see))
    check.end()
    return listed


async def _dry_run(
    call: ApiRequest, listed: RecipientList, body: BroadcastBody, scheduled_us: int | None
) -> BroadcastAnswer:
    phone = call.required_phone
    provider = call.deps.provider(phone.provider)
    forecast = await call.deps.broadcasts.forecast(
        phone.org_no,
        phone.phone_no,
        await asyncio.to_thread(lambda: [recipient.chat_id for recipient in listed.recipients]),
        delay_s=body.delay,
        in_flight=1 if provider is None else provider.capabilities.in_flight,
    )
    begin_us = scheduled_us if scheduled_us is not None else call.deps.clock.now_us()
    ends = None if forecast.seconds is None else iso(begin_us + round(forecast.seconds * 1_000_000))
    preview = [PreviewRow(row.chat_id, fill(body.message or "", row.values)) for row in listed.recipients[:3]]
    return BroadcastAnswer(
        None, len(listed.recipients), listed.repeated, listed.respelled, True, forecast.new_chats, ends, preview
    )
